"""Running a method over pairs: progress is reported, and what was computed is kept.

Each pair is a part of the work (`interp.parts`), computed here or elsewhere. Within `interp.resume.resuming`,
a pair that was computed before the run was stopped is not computed again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Shaped

from interp.answers import Answer
from interp.models.base import Model
from interp.parts import Arrays, Work, each_part
from interp.resume import kept, store
from interp.tasks.base import Pair, PairDataset

Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class Parts:
    """What was computed of each pair, in their order: arrays by name, the same names for each."""

    each: tuple[Arrays, ...]

    def stacked(self, name: str) -> Shaped[np.ndarray, "pair ..."]:
        """One of the arrays over all pairs, which must have one shape."""
        return np.stack([part[name] for part in self.each])

    @property
    def path(self) -> str:
        """How the runs were computed, from the array ``path`` of each pair: ``branching``, ``plain``,
        ``gradients``, or several of these."""
        return " and ".join(sorted({str(part["path"]) for part in self.each}))


def over_pairs(
    n: int,
    ask: Callable[[int], Item],
    compute: Callable[[Item], Arrays],
    *,
    key: Callable[[Item], Mapping[str, Any]] | None = None,
    describe: Callable[[int], str] | None = None,
    task: str = "pairs",
) -> Parts:
    """Compute something of each pair.

    Args:
        n: how many there are.
        ask: makes a `Question` of the pair of a number, or whatever is computed from; called where and when
            this pair is computed, so that the runs of one pair only are held.
        compute: the arrays of one pair. It must not depend on which pairs were computed before.
        key: all that the arrays of a pair depend on, as JSON values: `Question.key` and the method's options.
            Without it nothing is kept.
        describe: a pair in words, for whoever reads that it failed.
        task: what progress is reported of.
    """

    def part(number: int) -> Arrays:
        item = ask(number)
        if key is None or store() is None:
            return compute(item)
        return kept(key(item), partial(compute, item))

    work = Work(task=task, total=n, compute=part, describe=describe or (lambda number: f"number {number}"))
    return Parts(tuple(each_part(work)))


def pair_key(pair: Pair) -> list[Any]:
    """All of a pair that numbers depend on, as JSON values."""
    positions = {role: list(where) for role, where in pair.positions.items()}
    answers = [Answer.of(one).key for one in (pair.answer, pair.foil)]
    return [list(pair.clean), list(pair.corrupted), answers, positions, pair.template]


def dataset_key(dataset: PairDataset) -> str:
    """A digest of all pairs, for what depends on the others, too: means over prompts, and what is drawn."""
    return digest_of([pair_key(pair) for pair in dataset])


def digest_of(values: Any) -> str:
    """What stands for JSON values that are too many to be written into every key."""
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def likeliest(model: Model, ids: Sequence[int]) -> dict[str, Any]:
    """Which model it is, for a key where nothing that is measured says so: its identity, and what it makes of
    a prompt without any edit, which stands for its weights. One forward pass."""
    last = model.forward([list(ids)])[0, -1].double()
    return {"model": model.identity.to_dict(), "unpatched": [int(last.argmax()), float(last.logsumexp(0))]}
