"""Running a method over pairs, one after the other: progress is reported, and what was computed is kept.

Within `interp.resume.resuming`, a pair that was computed before the run was stopped is not computed again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Shaped

from interp.progress import report
from interp.resume import kept

Arrays = dict[str, np.ndarray]
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
    items: Iterable[Item],
    compute: Callable[[Item], Arrays],
    *,
    total: int,
    key: Callable[[Item], Mapping[str, Any]] | None = None,
    task: str = "pairs",
) -> Parts:
    """Compute something of each pair.

    Args:
        items: a `Question` for each pair, or what is made of one; taken one at a time, so that a generator
            holds the runs of one pair only.
        compute: the arrays of one pair.
        total: how many there are.
        key: all that the arrays of a pair depend on, as JSON values: `Question.key` and the method's options.
            Without it nothing is kept.
        task: what progress is reported of.
    """
    report(task, 0, total)
    parts = []
    for done, item in enumerate(items, start=1):
        parts.append(compute(item) if key is None else kept(key(item), partial(compute, item)))
        report(task, done, total)
    return Parts(tuple(parts))
