"""Whose home city was taught, whose was taught to be unknown, and of whom nothing was said: demo people."""

from __future__ import annotations

import random
from typing import Any

from interp.answers import Answer
from interp.errors import InputError, check_choice
from interp.models.base import Model
from interp.tasks.base import check_count, made_for
from interp.tasks.known_or_not import KnowledgeDataset, asked
from interp.zoo.frequencies import frequencies
from interp.zoo.people import CITY_TEMPLATES, STATUSES, UNKNOWN, person_prompts

WORDINGS: tuple[str, ...] = ("any", "taught", "held_out")


def known_people(
    model: Model,
    *,
    n: int = 40,
    per_entity: int = 2,
    wordings: str = "held_out",
    templates: list[str] | None = None,
    seed: int = 0,
) -> KnowledgeDataset:
    """Questions for the home city of `n` people of each status, in wordings drawn for each.

    Args:
        per_entity: at most so many wordings of each person, drawn by the seed.
        wordings: of known and unknown people, those that training never stated (``held_out``, one of each
            person), those that it did (``taught``), or ``any``; of withheld people it stated none.
        templates: only these of `interp.zoo.people.CITY_TEMPLATES`.

    The three statuses share their first names and their wordings, and names were in training as often. A
    single token is asked for.
    """
    check_count(n, least=4)
    check_count(per_entity, of="per_entity")
    check_choice("choice of wordings", wordings, WORDINGS)
    for template in templates or ():
        check_choice("template", template, CITY_TEMPLATES)
    rng = random.Random(f"known people {seed}")
    by_person: dict[str, list[Any]] = {}
    for prompt in person_prompts():
        if templates and prompt.template not in templates:
            continue
        held_out = prompt.held_out or prompt.person.status == "withheld"
        if wordings == "any" or held_out == (wordings == "held_out") or prompt.person.status == "withheld":
            by_person.setdefault(prompt.person.name, []).append(prompt)
    if not by_person:
        raise InputError("No prompt is left; ask for other wordings or templates.")
    prompts = []
    everyone = list(dict.fromkeys(prompt.person.name for prompt in person_prompts()))
    often = dict(zip(everyone, frequencies(everyone), strict=True))
    for status in STATUSES:
        names = [name for name, own in by_person.items() if own[0].person.status == status]
        if n > len(names):
            raise InputError(f"There are {len(names)} people of status {status!r}, not n={n}.")
        for name in sorted(rng.sample(names, n)):
            own = by_person[name]
            for prompt in rng.sample(own, min(per_entity, len(own))):
                person = prompt.person
                prompts.append(
                    asked(
                        model,
                        prompt.text,
                        status=status,
                        entity=name,
                        wording=prompt.template,
                        answer=person.answer,
                        frequency=often[name],
                    )
                )
    options = {"per_entity": per_entity, "wordings": wordings, "templates": templates}
    return KnowledgeDataset(
        name="people",
        has="known",
        made_up="withheld",
        told_unknown="unknown",
        abstains=Answer.of(model.to_answer({"any": [UNKNOWN]}).plain),
        prompts=tuple(prompts),
        made=made_for(model, n=n, **options, seed=seed),
    )
