"""Prompts with a yes-or-no label each, for probes and for directions: what every such dataset is.

A label may be told from many things that are not its meaning: from the words, from the length, from who is
spoken of. So each prompt has a *group*, what it shares with others that must be in training together or
tested together (a person, a token, a fact). Where two prompts of one group are on both sides of a split, a
probe may know the answer by heart.

The datasets by name are `LABELLED`; each is a function of a model, in the module that stands there.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Bool

from interp.errors import InputError, nearest
from interp.models.base import Model
from interp.results import Dropped
from interp.showing import Listing, listed
from interp.tokens import Prompt


@dataclass(frozen=True, kw_only=True)
class LabelledPrompt:
    """A prompt in ids, its label, its group, and the one position of each role (END among them)."""

    ids: tuple[int, ...]
    label: bool
    group: str
    positions: Mapping[str, int]
    text: str

    def __post_init__(self) -> None:
        for role, position in self.positions.items():
            if not 0 <= position < len(self.ids):
                raise InputError(
                    f"The role {role!r} stands at {position}, but {self.text!r} has {len(self.ids)} tokens."
                )


@dataclass(frozen=True, kw_only=True)
class LabelledDataset:
    """Labelled prompts of one question. `labels` are the names of no and of yes, in this order; `grouped_by`
    says what a group is. Raises `InputError` where a label has prompts of fewer than two groups."""

    name: str
    labels: tuple[str, str]
    grouped_by: str
    prompts: tuple[LabelledPrompt, ...]
    dropped: tuple[Dropped, ...] = ()
    made: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for label, name in enumerate(self.labels):
            groups = {prompt.group for prompt in self.prompts if prompt.label == bool(label)}
            if len(groups) < 2:
                raise InputError(
                    f"The label {name!r} of {self.name!r} is on prompts of {len(groups)} "
                    f"{self.grouped_by}, and some must be left for testing; give at least two."
                )

    def __repr__(self) -> str:
        counts = Counter(prompt.label for prompt in self.prompts)
        each = ", ".join(f"{counts[bool(label)]} {name}" for label, name in enumerate(self.labels))
        return f"<LabelledDataset {self.name}: {each}>"

    def _repr_html_(self) -> str:
        rows = [(prompt.text, self.labels[prompt.label], prompt.group) for prompt in self.prompts]
        listing = Listing("Prompts", ("prompt", "label", f"group ({self.grouped_by})"), rows)
        return listed(repr(self).strip("<>"), [listing])

    def __len__(self) -> int:
        return len(self.prompts)

    @property
    def values(self) -> Bool[np.ndarray, " prompt"]:
        return np.array([prompt.label for prompt in self.prompts])

    @property
    def groups(self) -> Sequence[str]:
        return [prompt.group for prompt in self.prompts]

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that every prompt has."""
        first, *others = self.prompts
        return tuple(role for role in first.positions if all(role in one.positions for one in others))

    def check_roles(self, roles: Sequence[str]) -> None:
        """`InputError` for a role that not every prompt has, or for none."""
        if not roles:
            raise InputError(f"Say at least one role of {self.name!r}: {', '.join(self.roles)}.")
        for role in roles:
            if role not in self.roles:
                raise InputError(
                    f"Not every prompt of {self.name!r} has a role {role!r}; {nearest(role, self.roles)}"
                )

    def where(self, groups: set[str]) -> LabelledDataset:
        """The prompts of some groups. `InputError` where a label has fewer than two left."""
        return replace(self, prompts=tuple(prompt for prompt in self.prompts if prompt.group in groups))

    def halves(self, seed: int) -> tuple[LabelledDataset, LabelledDataset]:
        """Two datasets without a group in common, with as many groups of each label, as far as that goes."""
        rng = random.Random(f"halves {seed}")
        of: dict[tuple[bool, ...], list[str]] = defaultdict(list)
        labels: dict[str, set[bool]] = defaultdict(set)
        for prompt in self.prompts:
            labels[prompt.group].add(prompt.label)
        for group, has in labels.items():
            of[tuple(sorted(has))].append(group)
        first: set[str] = set()
        for groups in of.values():
            rng.shuffle(groups)
            first.update(groups[: (len(groups) + 1) // 2])
        return self.where(first), self.where(set(labels) - first)


def labelled_prompt(
    model: Model,
    prompt: Prompt,
    *,
    label: bool,
    group: str,
    positions: Mapping[str, int] | None = None,
) -> LabelledPrompt:
    """A prompt in the ids of `model`, with END, its last position, among its roles."""
    ids = tuple(model.to_tokens(prompt).repeat(1).row(0))
    where = {**(positions or {}), "END": len(ids) - 1}
    text = prompt if isinstance(prompt, str) else model.to_text(ids)
    return LabelledPrompt(ids=ids, label=label, group=group, positions=where, text=text)


def balanced(prompts: Sequence[LabelledPrompt], n: int | None, seed: int) -> tuple[LabelledPrompt, ...]:
    """A seeded sample of `n` prompts, half of each label, in their order; all of them for None. As many
    groups as there can be: a second prompt of one only when each has one. `InputError` where a label has
    too few."""
    if n is None:
        return tuple(prompts)
    rng = random.Random(f"labelled {seed}")
    chosen: list[int] = []
    for label in (False, True):
        rounds: list[tuple[int, float, int]] = []
        had: Counter[str] = Counter()
        mine = [i for i, prompt in enumerate(prompts) if prompt.label == label]
        rng.shuffle(mine)
        for i in mine:
            rounds.append((had[prompts[i].group], rng.random(), i))
            had[prompts[i].group] += 1
        wanted = n // 2 + (n % 2 if label else 0)
        if len(rounds) < wanted or wanted < 2:
            raise InputError(
                f"There are {len(rounds)} prompts of one label, so that n can be 4 to {2 * len(rounds)}; "
                f"got {n}."
            )
        chosen += [i for _, _, i in sorted(rounds)[:wanted]]
    return tuple(prompts[i] for i in sorted(chosen))
