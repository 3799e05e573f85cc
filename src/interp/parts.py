"""Work that is cut into parts, and who computes them.

A method that does the same to each of many things, such as pairs of prompts or pieces of text, asks for all
of them by `each_part`. They are computed here, one after the other; within `computed_by`, somebody else has
them computed, in other processes or on other machines (`interp.workers`). How the work is cut is the method's
own, and does not depend on who computes it: so the numbers do not, either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import numpy as np

from interp.progress import report

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False, kw_only=True)
class Work:
    """So many parts of one kind, each of which can be computed without the others."""

    task: str  # what they are, for progress: "pairs"
    total: int
    compute: Callable[[int], Arrays]  # the part of this number
    describe: Callable[[int], str]  # what it is about, for whoever reads that it failed


#: Who computes the parts of some work, and gives them back in their order.
Executor = Callable[[Work], Sequence[Arrays]]

_executor: ContextVar[Executor | None] = ContextVar("executor", default=None)


def each_part(work: Work) -> Sequence[Arrays]:
    """All parts, in their order."""
    return (_executor.get() or one_by_one)(work)


def parts_in_turn(work: Work, *, stops_early: bool = False) -> Iterator[Arrays]:
    """All parts in their order, for a caller that needs each once, so that here one is held at a time. With
    `stops_early`, the caller may not need all of them: then nobody else has them computed."""
    executor = None if stops_early else _executor.get()
    if executor is not None:
        yield from executor(work)
        return
    for index in range(work.total):
        yield work.compute(index)


def one_by_one(work: Work) -> Sequence[Arrays]:
    """Each part here, after the other."""
    report(work.task, 0, work.total)
    parts = []
    for index in range(work.total):
        parts.append(work.compute(index))
        report(work.task, index + 1, work.total)
    return parts


@contextmanager
def computed_by(executor: Executor | None) -> Iterator[None]:
    """Have parts computed by `executor`, for as long as the context lasts; None: here."""
    token = _executor.set(executor)
    try:
        yield
    finally:
        _executor.reset(token)
