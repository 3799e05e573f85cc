"""A variable that has a value in each prompt of a task, for interchange interventions.

If a model has the variable somewhere, then with its value there taken from another prompt (the *source*), the
first one (the *base*) is answered as if the variable had the source's value. Two variables are named:

- ``answer``: which of the answers it is (the country of "The capital of France is", the indirect object by
  name). With the value of the source, the base is answered as the source is.
- ``order``: whether the answer is the first or the second of the two names in the prompt. With the value of
  the source, the base is answered by its own first or second name; the names of the source have no say.

Whether what was found holds for others is asked of other *entities*: the answers (and the foils, where they
stand in the prompt) are dealt to two halves, and a prompt belongs to one only if all of its entities do.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from interp.answers import Answer
from interp.errors import InputError, check_choice
from interp.results import Dropped
from interp.tasks.base import Pair, PairDataset

Variable = Literal["answer", "order"]
VARIABLES: tuple[Variable, ...] = ("answer", "order")
ORDERS: tuple[str, str] = ("first", "second")


@dataclass(frozen=True, kw_only=True)
class ValuedPrompt:
    """A prompt, the value of the variable in it, and what is to be said for each value."""

    ids: tuple[int, ...]
    position: int  # of the role
    value: int
    answers: tuple[int, ...]  # [value], a token each
    own: int  # the token to be said as it is
    entities: frozenset[int]
    text: str


@dataclass(frozen=True)
class Interchange:
    """Prompts by index, and what the base is to be answered with the value of the source."""

    base: int
    source: int
    wanted: int


@dataclass(frozen=True, kw_only=True)
class VariableDataset:
    """Prompts of one variable, read at one role. Raises `InputError` where they have fewer than two
    values."""

    name: str
    variable: Variable
    role: str
    prompts: tuple[ValuedPrompt, ...]
    dropped: tuple[Dropped, ...] = ()

    def __post_init__(self) -> None:
        if len({prompt.value for prompt in self.prompts}) < 2:
            raise InputError(
                f"{len(self.prompts)} prompts of {self.name!r} have one value of {self.variable!r} or none, "
                "so that nothing can be exchanged; give more prompts."
            )

    def __len__(self) -> int:
        return len(self.prompts)

    @property
    def tokens(self) -> tuple[int, ...]:
        """All that may be answered."""
        return tuple(sorted({token for prompt in self.prompts for token in (prompt.own, *prompt.entities)}))

    def where(self, chosen: Sequence[int], dropped: Sequence[Dropped] = ()) -> VariableDataset:
        """Some of the prompts, by index."""
        prompts = tuple(self.prompts[i] for i in chosen)
        return replace(self, prompts=prompts, dropped=(*self.dropped, *dropped))

    def halves(self, seed: int) -> tuple[VariableDataset, VariableDataset]:
        """Prompts without an entity in common; those that have one of each half are in neither."""
        entities = sorted({entity for prompt in self.prompts for entity in prompt.entities})
        random.Random(f"entities {seed}").shuffle(entities)
        first = frozenset(entities[: (len(entities) + 1) // 2])
        inside = [i for i, prompt in enumerate(self.prompts) if prompt.entities <= first]
        outside = [i for i, prompt in enumerate(self.prompts) if not prompt.entities & first]
        return self.where(inside), self.where(outside)

    def interchanges(self, per_base: int, seed: int) -> list[Interchange]:
        """`per_base` sources for each base, as far as there are so many: their value is drawn first, evenly,
        then the prompt. Where the variable is the answer itself, base and source have different ones."""
        rng = random.Random(f"interchanges {seed}")
        of: dict[int, list[int]] = defaultdict(list)
        for i, prompt in enumerate(self.prompts):
            of[prompt.value].append(i)
        found = []
        for base, prompt in enumerate(self.prompts):
            left = {
                value: rng.sample(mine, len(mine))
                for value, own in sorted(of.items())
                if (mine := [i for i in own if i != base])
                and not (self.variable == "answer" and value == prompt.value)
            }
            for _ in range(per_base):
                if not left:
                    break
                value = rng.choice(sorted(left))
                found.append(Interchange(base, left[value].pop(), prompt.answers[value]))
                if not left[value]:
                    del left[value]
        return found

    def shuffled(self, seed: int) -> VariableDataset:
        """The values of others: those of whole answers are dealt anew, so that each answer has another one
        throughout; an order is dealt anew to each prompt."""
        rng = random.Random(f"shuffled values {seed}")
        if self.variable == "answer":
            values = sorted({prompt.value for prompt in self.prompts})
            rng.shuffle(values)
            turned = dict(zip(values, [*values[1:], values[0]], strict=True))  # none keeps its own
            new = [turned[prompt.value] for prompt in self.prompts]
        else:
            new = [prompt.value for prompt in self.prompts]
            rng.shuffle(new)
        prompts = (replace(prompt, value=value) for prompt, value in zip(self.prompts, new, strict=True))
        return replace(self, prompts=tuple(prompts))


def with_variable(data: PairDataset, variable: Variable, role: str) -> VariableDataset:
    """The clean prompts of a task, with the value of a variable in each.

    Raises `InputError` for a variable or role that is not there, answers of several tokens, facts of several
    relations (of which the answer to one says nothing about the other), and an order where answer and foil
    do not both stand in the prompt.
    """
    check_choice("variable", variable, VARIABLES)
    at = data.position(role)
    relations = data.made.get("relations") or ()
    if len(relations) > 1:
        raise InputError(
            f"These facts are of {len(relations)} relations, and the answer to one is none to another; ask "
            "for one, as with relations: country_capital."
        )
    if any(Answer.of(one).token is None for one in (*data.answers, *data.foils)):
        raise InputError(
            "An interchange is judged by the next token; take answers of one token, in one form."
        )
    answers = tuple(dict.fromkeys(Answer.of(one).first for one in data.answers))
    prompts = {}
    for pair, position in zip(data, at, strict=True):
        value, options, entities = _valued(pair, variable, answers)
        prompts[pair.clean] = ValuedPrompt(
            ids=pair.clean,
            position=position,
            value=value,
            answers=options,
            own=Answer.of(pair.answer).first,
            entities=entities,
            text=pair.text,
        )
    return VariableDataset(
        name=data.name, variable=variable, role=role, prompts=tuple(prompts.values()), dropped=data.dropped
    )


def _valued(
    pair: Pair, variable: Variable, answers: tuple[int, ...]
) -> tuple[int, tuple[int, ...], frozenset[int]]:
    """The value of a variable in a clean prompt, what each value would have it say, and its entities."""
    answer, foil = Answer.of(pair.answer).first, Answer.of(pair.foil).first
    named = frozenset({answer, *((foil,) if foil in pair.clean else ())})
    if variable == "answer":
        return answers.index(answer), answers, named
    if answer not in pair.clean or foil not in pair.clean:
        raise InputError(
            f"In {pair.text!r}, answer and foil do not both stand in the prompt, so that none comes first; "
            "use the variable 'answer'."
        )
    first = pair.clean.index(answer) < pair.clean.index(foil)
    return int(not first), (answer, foil) if first else (foil, answer), named
