"""The driver's side: which part goes to whom, and what is done about workers and parts that fail.

1. Parts of a stage are handed out in their order, one at a time, to whoever is free. A part that comes in is
   kept at once.
2. A worker that dies loses the part that it was at, and no other; that one is handed out again.
3. A part that fails is given to another worker. Where it fails there too, or there is no other, or three
   workers have died of it, it is given up: all others are computed, and then the job ends with a `RunError`
   that names it.
4. When all parts of a stage are there, the first of the workers at it goes on with them. The others wait
   until it comes to another stage, and then follow; so what comes after the last stage is done once.
5. An error outside of any part that is no matter of the machine (`InterpError`) ends the job; any other ends
   the worker, and the job where no worker is left.

Nothing here knows what workers are made of; `carry_out` is told by a `Crew`.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from interp.errors import InterpError, InterpWarning, ModelLoadError, RunError
from interp.parts import Arrays
from interp.progress import report
from interp.resume import Folder, Store, store
from interp.workers.jobs import Job
from interp.workers.messages import (
    Begin,
    Broke,
    Compute,
    Computed,
    Describe,
    Described,
    Failed,
    Finished,
    Found,
    Free,
    GoOn,
    Looking,
    Made,
    Said,
)

FAILURES = 2  # workers on which a part fails before it is given up
DEATHS = 3  # workers that die at a part before it is given up
LOSSES = 3  # workers lost one after the other, for each that there is, with nothing computed between
_NAMED = 5  # parts that are named in an error


@dataclass(frozen=True)
class Lost:
    """A worker is no more."""

    why: str


@runtime_checkable
class Crew(Protocol):
    """Workers somewhere, by number."""

    def begin(self, begin: Begin) -> Sequence[int]:
        """Give all of them a job, those that have died being replaced; their numbers."""
        ...

    def replace(self, begin: Begin) -> int | None:
        """Another worker in the place of one that was lost, at the same job; None where there can be none."""
        ...

    def send(self, worker: int, answer: Any) -> None: ...

    def wait(self, seconds: float) -> Sequence[tuple[int, Said | Lost]]:
        """What workers have said by now, at least one thing unless the time is over."""
        ...


@dataclass(eq=False)
class Stage:
    """The parts of one piece of work."""

    task: str
    total: int
    queue: list[int]
    parts: dict[int, Arrays] = field(default_factory=dict)
    given_up: dict[int, str] = field(default_factory=dict)  # why
    words: dict[int, str] = field(default_factory=dict)  # what those parts are
    failed_on: dict[int, dict[int, str]] = field(default_factory=dict)  # by part and worker
    deaths: Counter[int] = field(default_factory=Counter)
    lead: int | None = None  # the worker that goes on behind it

    @property
    def over(self) -> bool:
        return len(self.parts) + len(self.given_up) == self.total

    @property
    def nameless(self) -> list[int]:
        """Parts that were given up, and of which no worker has said what they are."""
        return [index for index in self.given_up if index not in self.words]

    def called(self, index: int) -> str:
        return self.words.get(index, f"{self.task} {index + 1} of {self.total}")


class Coordinator:
    """What is known of a job: its stages, who is at which, and how it ended."""

    def __init__(self, place: Store | None) -> None:
        self.folder = place if isinstance(place, Folder) else None
        self.stages: list[Stage] = []
        self.alive: set[int] = set()
        self.at: dict[int, int] = {}  # the stage that a worker is at
        self.computing: dict[int, int] = {}  # the part that it is at
        self.waiting: set[int] = set()  # workers that want something to do
        self.finding: dict[int, Found] = {}  # answers about what is kept
        self.over = False
        self.result: Any = None
        self.error: BaseException | None = None
        self.losses = 0  # since a part came in
        self.warned: set[str] = set()

    # ---- what happens ----

    def joined(self, workers: Sequence[int]) -> None:
        self.alive.update(workers)

    def heard(self, worker: int, said: Said) -> None:
        """Take in what a worker says."""
        for text in said.warnings:
            if text not in self.warned:
                self.warned.add(text)
                warnings.warn(text, InterpWarning, stacklevel=2)
        match said:
            case Free():
                self._stage(said)
                self.at[worker] = said.stage
                self.waiting.add(worker)
            case Computed():
                if said.digest is not None and self.folder is not None:
                    self.folder.keep(said.digest, said.arrays)
                self._came_in(worker, said)
                self.waiting.add(worker)
            case Failed():
                self._failed(worker, said)
                self.waiting.add(worker)
            case Described():
                stage = self.stages[said.stage]
                stage.words[said.index] = said.what
                self.waiting.add(worker)
                self._see_whether_over(stage)
            case Looking():
                self.finding[worker] = Found(None if self.folder is None else self.folder.find(said.digest))
            case Made():
                if self.folder is not None:
                    self.folder.keep(said.digest, said.arrays)
                self.finding[worker] = Found()
            case Finished():
                self.over, self.result = True, said.result
            case Broke():
                self._broke(worker, said)

    def lost(self, worker: int, why: str) -> None:
        """A worker is no more; what it was at is to do again."""
        self.losses += 1
        index = self._forget(worker)
        if index is None:
            return
        part, stage_number = index
        stage = self.stages[stage_number]
        stage.deaths[part] += 1
        if stage.deaths[part] >= DEATHS:
            stage.given_up[part] = f"{DEATHS} workers have died of it ({why})"
            self._see_whether_over(stage)
        else:
            stage.queue.insert(0, part)

    def answers(self) -> Iterator[tuple[int, Any]]:
        """What can be said to workers that wait, now."""
        yield from self.finding.items()
        self.finding = {}
        for worker in sorted(self.waiting):
            answer = self._answer(worker)
            if answer is not None:
                self.waiting.remove(worker)
                yield worker, answer

    # ---- what follows ----

    def _answer(self, worker: int) -> Describe | Compute | GoOn | None:
        number = self.at[worker]
        stage = self.stages[number]
        if stage.nameless:
            return Describe(stage.nameless[0])
        if not stage.over:
            return self._next(worker, stage)
        if stage.given_up:
            return None  # the job is over
        if stage.lead is None:
            stage.lead = worker
        if stage.lead == worker or number + 1 < len(self.stages):
            parts = tuple(stage.parts[index] for index in range(stage.total))
            return GoOn(parts)
        return None

    def _next(self, worker: int, stage: Stage) -> Compute | None:
        """The first part that has not failed on this worker."""
        for index in stage.queue:
            if worker not in stage.failed_on.get(index, ()):
                stage.queue.remove(index)
                self.computing[worker] = index
                return Compute(index)
        return None

    def _stage(self, said: Free) -> None:
        if said.stage == len(self.stages):
            self.stages.append(Stage(said.task, said.total, list(range(said.total))))
            report(said.task, 0, said.total)
        known = self.stages[said.stage]
        if (known.task, known.total) != (said.task, said.total):
            self.end(
                RunError(
                    f"The workers disagree: one is at {said.total} {said.task} where another was at "
                    f"{known.total} {known.task}; is the same version of everything on all machines?"
                )
            )

    def _came_in(self, worker: int, said: Computed) -> None:
        self.losses = 0
        self.computing.pop(worker, None)
        stage = self.stages[said.stage]
        stage.parts[said.index] = said.arrays
        report(stage.task, len(stage.parts), stage.total)
        self._see_whether_over(stage)

    def _failed(self, worker: int, said: Failed) -> None:
        self.computing.pop(worker, None)
        stage = self.stages[said.stage]
        on = stage.failed_on.setdefault(said.index, {})
        on[worker] = said.why
        stage.words[said.index] = said.what
        if len(on) >= FAILURES or not self.alive - on.keys():
            stage.given_up[said.index] = said.why
            self._see_whether_over(stage)
        else:
            stage.queue.append(said.index)

    def _see_whether_over(self, stage: Stage) -> None:
        """End the job where all is done that can be, and something is missing."""
        if not stage.over or not stage.given_up or (stage.nameless and self.alive):
            return
        named = [f"{stage.called(index)}: {why.rstrip('.')}" for index, why in sorted(stage.given_up.items())]
        more = f"; and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
        kept = "; those are kept, and not computed again" if self.folder is not None else ""
        self.end(
            RunError(
                f"{len(stage.given_up)} of {stage.total} {stage.task} could not be computed, the other "
                f"{len(stage.parts)} were{kept}. {'; '.join(named[:_NAMED])}{more}."
            )
        )

    def _broke(self, worker: int, said: Broke) -> None:
        own = isinstance(said.error, ModelLoadError | RunError) or not isinstance(said.error, InterpError)
        self._forget(worker)
        if not own or not self.alive:
            self.end(said.error)
        self.give_up_failed()

    def _forget(self, worker: int) -> tuple[int, int] | None:
        """Take a worker out; the part that it was at, and its stage."""
        self.alive.discard(worker)
        self.waiting.discard(worker)
        self.finding.pop(worker, None)
        number, index = self.at.pop(worker, None), self.computing.pop(worker, None)
        for stage in self.stages:
            if stage.lead == worker:
                stage.lead = None
        return None if index is None or number is None else (index, number)

    def give_up_failed(self) -> None:
        """Give up parts that have failed on every worker that is left."""
        for stage in self.stages:
            for part in [one for one in stage.queue if not self.alive - stage.failed_on.get(one, {}).keys()]:
                if part in stage.failed_on:
                    stage.queue.remove(part)
                    stage.given_up[part] = next(iter(stage.failed_on[part].values()))
                    self._see_whether_over(stage)

    def end(self, error: BaseException) -> None:
        if not self.over:
            self.over, self.error = True, error


def carry_out(job: Job, crew: Crew, number: int) -> Any:
    """The result of a job, done by a crew. Parts are kept where `interp.resuming` says.

    Raises what the job raises; `RunError` for parts that were given up, and where workers die or cannot be
    had.
    """
    coordinator, begin = Coordinator(store()), Begin(number, job)
    workers = crew.begin(begin)
    coordinator.joined(workers)
    while not coordinator.over:
        said = [one for one in crew.wait(1.0) if isinstance(one[1], Lost) or one[1].job == number]
        for worker, what in said:
            if worker not in coordinator.alive:
                continue
            if isinstance(what, Lost):
                coordinator.lost(worker, what.why)
                _replace(coordinator, crew, begin, what, n=len(workers))
            else:
                coordinator.heard(worker, what)
        if not coordinator.over:
            for worker, answer in list(coordinator.answers()):
                crew.send(worker, answer)
    if coordinator.error is not None:
        raise coordinator.error
    return coordinator.result


def _replace(coordinator: Coordinator, crew: Crew, begin: Begin, lost: Lost, *, n: int) -> None:
    """Another worker for one that was lost, as long as that makes sense."""
    if coordinator.over:
        return
    if coordinator.losses <= LOSSES * n:
        other = crew.replace(begin)
        if other is not None:
            coordinator.joined([other])
    coordinator.give_up_failed()
    if not coordinator.alive:
        coordinator.end(
            RunError(
                f"The workers die before they have computed anything ({lost.why}); try fewer of them, or "
                "look whether the model fits the memory of the machine."
            )
        )
