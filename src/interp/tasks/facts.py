"""Facts of one relation, two at a time: "The capital of France is" and "The capital of Japan is".

The facts and the templates are those that the demo models were taught (`interp.zoo.facts`); another model may
know them or not, which an inspection shows. Clean and corrupted prompt are one template with two subjects of
the same number of tokens; the foil is the corrupted prompt's answer.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from interp.answers import Answer, apart
from interp.errors import InputError, check_choice
from interp.models.base import Model
from interp.tasks.base import (
    Dropped,
    Pair,
    PairDataset,
    check_count,
    encode_pair,
    in_turn,
    made_for,
    single_tokens,
)
from interp.zoo.facts import FactPrompt, fact_prompts, split_template

PROMPTS: tuple[str, ...] = ("held_out", "taught", "any")


@dataclass(frozen=True)
class _Placed:
    """A fact's prompt, and what two prompts must share to make a pair: all but the subject and the answer."""

    prompt: FactPrompt
    length: int
    subject: tuple[int, ...]

    @property
    def frame(self) -> tuple[object, ...]:
        fact = self.prompt.fact
        return fact.relation, self.prompt.template, fact.given, self.length, self.subject


def facts(
    model: Model,
    *,
    n: int = 50,
    relations: str | Sequence[str] | None = None,
    prompts: str = "held_out",
    several_tokens: bool = False,
    seed: int = 0,
) -> PairDataset:
    """`n` pairs with different clean prompts, taken from the relations in turn (some have fewer than others).

    Args:
        relations: names such as ``country_capital``; all by default.
        prompts: whether the clean prompt is one that the demo models' training never saw (``held_out``), one
            of those that it did (``taught``), or ``any``. The corrupted prompt may be either.
        several_tokens: take answers of several tokens, too (`interp.answers`), of which log-probabilities are
            compared; by default they are left out. On a vocabulary that was made for other text, half of them
            are.

    Roles: subject (all its tokens), subject_last, END. A pair's `template` has {s} or {S} for the subject and
    {x} for what the sentence gives besides. Prompts whose answer is not one token (unless
    `several_tokens`), or that have no partner, are left out, and `PairDataset.dropped` counts them.

    Raises `InputError` for an unknown relation or choice, and where there are fewer than `n` pairs.
    """
    check_count(n)
    check_choice("choice of prompts", prompts, PROMPTS)
    wanted = _relations(relations)
    dropped: list[Dropped] = []
    answers = _answers(model, wanted, several_tokens)
    by_frame = _by_frame(model, wanted, answers, dropped)
    rng = random.Random(f"facts {seed}")
    queues = []
    for relation in wanted:
        queue = _with_partners(by_frame, answers, relation, prompts, dropped)
        rng.shuffle(queue)
        queues.append(queue)
    if n > sum(map(len, queues)):
        raise InputError(
            f"There are {sum(map(len, queues))} pairs of facts for {model.identity.name}, not n={n}; ask for "
            "fewer, or for more relations."
        )
    pairs = [_pair(model, clean, rng.choice(partners).prompt) for clean, partners in in_turn(queues, n)]
    also = {"several_tokens": True} if several_tokens else {}
    made = made_for(model, n=n, relations=wanted, prompts=prompts, **also, seed=seed)
    return PairDataset(name="facts", pairs=tuple(pairs), dropped=tuple(dropped), made=made)


def _relations(given: str | Sequence[str] | None) -> list[str]:
    """The relations that are asked for, in their order; all of them for None."""
    known = list(dict.fromkeys(prompt.fact.relation for prompt in fact_prompts()))
    wanted = known if given is None else [given] if isinstance(given, str) else list(given)
    for relation in wanted:
        check_choice("relation", relation, known)
    return wanted


def _answers(model: Model, relations: Sequence[str], several_tokens: bool) -> dict[str, Answer]:
    """Each answer of the relations that can be used."""
    words = dict.fromkeys(p.fact.answer for p in fact_prompts() if p.fact.relation in relations)
    if several_tokens:
        return {word: model.to_answer({"any": [f" {word}"]}) for word in words}
    found = {word: Answer.of(token) for word, token in single_tokens(model, words).items()}
    if not found:
        raise InputError(
            f"None of the answers is one token of {model.identity.name} with a leading space; ask for "
            "several_tokens."
        )
    return found


def _by_frame(
    model: Model, relations: Sequence[str], answers: Mapping[str, Answer], dropped: list[Dropped]
) -> dict[tuple[object, ...], list[_Placed]]:
    """The prompts whose answer can be used, together with those that they could make a pair with."""
    found: dict[tuple[object, ...], list[_Placed]] = defaultdict(list)
    for relation in relations:
        of_relation = [prompt for prompt in fact_prompts() if prompt.fact.relation == relation]
        usable = [prompt for prompt in of_relation if prompt.fact.answer in answers]
        _note(dropped, len(of_relation) - len(usable), relation, "the answer is not one token")
        for placed in (_place(model, prompt) for prompt in usable):
            found[placed.frame].append(placed)
    return found


def _with_partners(
    by_frame: dict[tuple[object, ...], list[_Placed]],
    answers: Mapping[str, Answer],
    relation: str,
    prompts: str,
    dropped: list[Dropped],
) -> list[tuple[_Placed, list[_Placed]]]:
    """The clean prompts of a relation, each with those that can be its corrupted prompt: whose answer is
    another, and neither begins with the other, as 6 and 63 do where digits are tokens."""

    candidates = [
        (
            one,
            [
                other
                for other in group
                if apart(answers[one.prompt.fact.answer], answers[other.prompt.fact.answer])
            ],
        )
        for frame, group in by_frame.items()
        for one in group
        if frame[0] == relation and (prompts == "any" or one.prompt.held_out == (prompts == "held_out"))
    ]
    found = [(one, partners) for one, partners in candidates if partners]
    _note(dropped, len(candidates) - len(found), relation, "no subject of as many tokens to swap with")
    return found


def _pair(model: Model, clean: _Placed, corrupted: FactPrompt) -> Pair:
    return encode_pair(
        model,
        clean=clean.prompt.text,
        corrupted=corrupted.text,
        answer={"any": [clean.prompt.answer]},
        foil={"any": [corrupted.answer]},
        positions={
            "subject": clean.subject,
            "subject_last": clean.subject[-1:],
            "END": (clean.length - 1,),
        },
        template=clean.prompt.template,
    )


def _place(model: Model, prompt: FactPrompt) -> _Placed:
    """The prompt with the positions of its subject."""
    start = 0
    for piece in split_template(prompt.template, prompt.fact):
        if piece.label == "subject":
            break
        start += len(piece.text)
    subject = model.positions_of(prompt.text, span=(start, start + len(prompt.fact.subject)))
    return _Placed(prompt, model.to_tokens(prompt.text).lengths[0], tuple(subject))


def _note(dropped: list[Dropped], count: int, relation: str, why: str) -> None:
    if count:
        dropped.append(Dropped(f"{count} prompts of {relation}", why))
