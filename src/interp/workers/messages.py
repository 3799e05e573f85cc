"""What a worker and the driver say to each other. A worker speaks, and waits for the answer.

They are sent between processes of one version of this library, and are never kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from interp.parts import Arrays

# ---- the worker says ----


@dataclass(frozen=True, kw_only=True)
class Said:
    """Base of what a worker says. Stages are numbered in the order in which a job comes to them."""

    warnings: tuple[str, ...] = ()  # what it was warned of since it last spoke
    job: int = 0


@dataclass(frozen=True, kw_only=True)
class Free(Said):
    """The worker is at a stage of so many parts, and computes none of them."""

    stage: int
    task: str
    total: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Computed(Said):
    """A part is done; `digest` is that of its question, where it has one."""

    stage: int
    index: int
    arrays: Arrays
    digest: str | None


@dataclass(frozen=True, kw_only=True)
class Failed(Said):
    """A part could not be computed here."""

    stage: int
    index: int
    what: str  # the part, in words
    why: str  # in a sentence


@dataclass(frozen=True, kw_only=True)
class Described(Said):
    """What a part is, in words."""

    stage: int
    index: int
    what: str


@dataclass(frozen=True, kw_only=True)
class Looking(Said):
    """Is there a part of this digest?"""

    digest: str


@dataclass(frozen=True, eq=False, kw_only=True)
class Made(Said):
    """Something to be kept that is no whole part."""

    digest: str
    arrays: Arrays


@dataclass(frozen=True, eq=False, kw_only=True)
class Finished(Said):
    """The job has come to its end."""

    result: Any


@dataclass(frozen=True, eq=False, kw_only=True)
class Broke(Said):
    """The job broke off outside of any part."""

    error: BaseException
    trace: str


# ---- the driver answers ----


@dataclass(frozen=True, eq=False)
class Begin:
    """To an idle worker: begin this job."""

    job: int
    what: Any  # a `Job`


@dataclass(frozen=True)
class Compute:
    """To `Free`, `Computed` and `Failed`: compute this part."""

    index: int


@dataclass(frozen=True)
class Describe:
    """To the same: say what this part is."""

    index: int


@dataclass(frozen=True, eq=False)
class GoOn:
    """To the same: all parts of the stage are these."""

    parts: tuple[Arrays, ...]


@dataclass(frozen=True, eq=False)
class Found:
    """To `Looking`, and to `Made`."""

    arrays: Arrays | None = None


@dataclass(frozen=True)
class Stop:
    """To whatever it said: nobody waits for this job any more."""


@dataclass(frozen=True)
class Setting:
    """How a worker is set up, before it loads anything."""

    folder: str  # where the driver is: relative paths of a job are read from there, if it is here
    threads: int
