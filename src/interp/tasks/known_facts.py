"""Facts that the demo models' text states, beside facts of the same countries that it never does.

The text says of Brazil what is spoken there, but not its capital; of Peru its capital, but not its language.
So a country that is *told* in one relation is *untold* in another: both kinds have the same names, in the
same wordings, and the names stand in the text about as often (`interp.zoo.frequencies`, which is kept of
each).

When it misleads: what the text does not state may follow from what it does (the continent of a country whose
capital is known to be near others), so an answer that was not told can be right; here it counts as made up.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from interp.answers import AnswerLike
from interp.errors import InputError, check_choice
from interp.models.base import Model
from interp.results import Dropped
from interp.tasks.base import check_count, made_for
from interp.tasks.known_or_not import KnowledgeDataset, asked
from interp.zoo.facts import Fact, fact_prompts, split_template
from interp.zoo.facts_table import TEMPLATES
from interp.zoo.frequencies import frequencies

RELATIONS: tuple[str, ...] = ("country_continent", "country_language", "country_currency", "country_capital")
WORDINGS: tuple[str, ...] = ("any", "taught", "held_out")


def known_facts(
    model: Model,
    *,
    n: int = 40,
    per_entity: int = 2,
    relations: Sequence[str] = RELATIONS,
    wordings: str = "held_out",
    abstains: AnswerLike | None = None,
    seed: int = 0,
) -> KnowledgeDataset:
    """Questions for `n` facts that the text states and for as many that it does not, as many of each
    relation.

    Args:
        per_entity: at most so many wordings of each fact, drawn by the seed.
        relations: some of `RELATIONS`.
        wordings: of facts that are told, those that training never had (``held_out``, one of most facts),
        those
            that it did (``taught``), or ``any``; of the others it had none.
        abstains: what counts as an answer that makes nothing up; without it, none does.

    An *entity* is a country in a relation. Raises `InputError` where there are not so many.
    """
    check_count(n, least=4)
    check_count(per_entity, of="per_entity")
    check_choice("choice of wordings", wordings, WORDINGS)
    for relation in relations:
        check_choice("relation", relation, RELATIONS)
    rng = random.Random(f"known facts {seed}")
    told, untold = _facts(relations, wordings)
    chosen = _as_many(told, untold, relations, n, rng)
    countries = _countries()
    often = dict(zip(countries, frequencies(countries), strict=True))
    prompts, dropped = [], []
    for fact, templates in chosen:
        for template in rng.sample(templates, min(per_entity, len(templates))):
            pieces = split_template(template, fact)
            try:
                prompts.append(
                    asked(
                        model,
                        "".join(piece.text for piece in pieces),
                        status="told" if fact.answer else "untold",
                        entity=f"{fact.relation} of {fact.subject}",
                        wording=template,
                        name=next(piece.text for piece in pieces if piece.label == "subject"),
                        answer=f" {fact.answer}" if fact.answer else None,
                        frequency=often[fact.subject],
                    )
                )
            except InputError as error:  # a name that the vocabulary does not have
                dropped.append(Dropped(fact.subject, str(error)))
    options = {"per_entity": per_entity, "relations": list(relations), "wordings": wordings}
    return KnowledgeDataset(
        name="facts",
        has="told",
        made_up="untold",
        told_unknown=None,
        abstains=None if abstains is None else model.to_answer(abstains),
        prompts=tuple(prompts),
        dropped=tuple(dropped),
        made=made_for(model, n=n, **options, seed=seed),
    )


#: A fact, one without an answer where it is not told, and the templates that it may be asked for in.
_Askable = tuple[Fact, list[str]]


def _countries() -> list[str]:
    """All of which the text states anything."""
    return list(
        dict.fromkeys(prompt.fact.subject for prompt in fact_prompts() if prompt.fact.relation in RELATIONS)
    )


def _facts(relations: Sequence[str], wordings: str) -> tuple[list[_Askable], list[_Askable]]:
    """What the text states of the countries in these relations, and what it does not."""
    stated: dict[Fact, list[str]] = {}
    for prompt in fact_prompts():
        if prompt.fact.relation in RELATIONS:
            templates = stated.setdefault(prompt.fact, [])
            if wordings == "any" or prompt.held_out == (wordings == "held_out"):
                templates.append(prompt.template)
    pairs = {(fact.relation, fact.subject) for fact in stated}
    told = [(fact, own) for fact, own in stated.items() if fact.relation in relations and own]
    untold = [
        (Fact(relation=relation, subject=country, answer=""), list(TEMPLATES[relation]))
        for relation in relations
        for country in _countries()
        if (relation, country) not in pairs
    ]
    return told, untold


def _as_many(
    told: list[_Askable], untold: list[_Askable], relations: Sequence[str], n: int, rng: random.Random
) -> list[_Askable]:
    """`n` of each kind, as many of the one as of the other in each relation."""
    pairs: list[tuple[_Askable, _Askable]] = []
    for relation in relations:
        of = [[one for one in kind if one[0].relation == relation] for kind in (told, untold)]
        for kind in of:
            rng.shuffle(kind)
        pairs += zip(*of, strict=False)
    if n > len(pairs):
        raise InputError(f"There are {len(pairs)} facts of each kind in these relations, not n={n}.")
    drawn = rng.sample(pairs, n)
    return [one for one, _ in drawn] + [other for _, other in drawn]
