"""A worker: it runs a job in a thread of its own, and speaks where the job needs an answer.

event = worker.talk(Begin(1, job))  # until it has something to say
event = worker.talk(Compute(3))     # the answer to that, until it has something to say again
"""

from __future__ import annotations

import os
import threading
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from queue import Queue
from typing import Any

from interp.errors import InterpError, InterpWarning, first_line
from interp.parts import Arrays, Work, computed_by, one_by_one
from interp.resume import resuming
from interp.workers.jobs import Models
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
    Setting,
    Stop,
)


class Stopped(BaseException):
    """Thrown out of a job that nobody waits for any more."""


class Worker:
    """Runs jobs, one at a time, on models that stay loaded from job to job."""

    def __init__(self) -> None:
        self._models: Models = {}
        self._thread: threading.Thread | None = None
        self._answers: Queue[Any] = Queue()
        self._events: Queue[Said] = Queue()

    def talk(self, answer: Any) -> Said:
        """Give the answer to what was said last, or a job to begin; what the worker says next."""
        if isinstance(answer, Begin):
            self._begin(answer)
        else:
            self._answers.put(answer)
        return self._events.get()

    def _begin(self, begin: Begin) -> None:
        if self._thread is not None and self._thread.is_alive():
            self._answers.put(Stop())  # of an earlier job, whose last word nobody has answered
            self._thread.join()
        self._answers, self._events = Queue(), Queue()
        run = _Running(begin, self._models, self._answers, self._events)
        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()


class _Running:
    """A job on its way; the executor of its parts, and the store of what they answer."""

    def __init__(self, begin: Begin, models: Models, answers: Queue[Any], events: Queue[Said]) -> None:
        self.begin, self.models = begin, models
        self.answers, self.events = answers, events
        self.warned: list[str] = []
        self.stages = 0
        self.in_part = False
        self.made: dict[str, Arrays] = {}

    def __call__(self) -> None:
        """Run the job to its end. Its last word is not answered."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", InterpWarning)
            warnings.showwarning = self._warned
            try:
                with resuming(self), computed_by(self.parts):
                    last: Said = Finished(result=self.begin.what.run(self.models))
            except Stopped:
                return
            except BaseException as error:
                last = Broke(error=_sendable(error), trace=traceback.format_exc())
        self._say(last)

    def _say(self, what: Said) -> None:
        self.events.put(replace(what, job=self.begin.job, warnings=tuple(self.warned)))
        self.warned.clear()

    def _ask(self, what: Said) -> Any:
        self._say(what)
        answer = self.answers.get()
        if isinstance(answer, Stop):
            raise Stopped
        return answer

    def _warned(self, message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        if issubclass(category, InterpWarning):
            self.warned.append(str(message))

    # ---- parts ----

    def parts(self, work: Work) -> Sequence[Arrays]:
        """Compute those parts that are handed to this worker; all of them, in their order."""
        stage, self.stages = self.stages, self.stages + 1
        if not work.total:
            return ()
        answer = self._ask(Free(stage=stage, task=work.task, total=work.total))
        while isinstance(answer, Compute | Describe):
            if isinstance(answer, Describe):
                said: Said = Described(stage=stage, index=answer.index, what=_in_words(work, answer.index))
            else:
                said = self._part(work, stage, answer.index)
            answer = self._ask(said)
        assert isinstance(answer, GoOn)
        return answer.parts

    def _part(self, work: Work, stage: int, index: int) -> Said:
        self.made, self.in_part = {}, True
        try:
            with computed_by(one_by_one):  # parts of a part are no parts of the job
                arrays = work.compute(index)
        except Exception as error:
            return Failed(stage=stage, index=index, what=_in_words(work, index), why=_sentence(error))
        finally:
            self.in_part = False
        whole = next((digest for digest, made in self.made.items() if made is arrays), None)
        for digest, made in self.made.items():
            if digest != whole:
                self._ask(Made(digest=digest, arrays=made))
        return Computed(stage=stage, index=index, arrays=arrays, digest=whole)

    # ---- what is kept ----

    def kept(self, digest: str, make: Callable[[], Arrays]) -> Arrays:
        """A part that the driver has, or one that is made now. What is to be kept outside of any part is
        one by itself, so that one worker makes it for all."""
        if not self.in_part:
            work = Work(
                task="steps", total=1, compute=lambda _: self.kept(digest, make), describe=lambda _: digest
            )
            return self.parts(work)[0]
        found = self._ask(Looking(digest=digest))
        assert isinstance(found, Found)
        if found.arrays is not None:
            return found.arrays
        self.made[digest] = make()
        return self.made[digest]


def set_up(setting: Setting) -> None:
    """Before torch is imported: as many threads as were asked for, and paths from where the driver is."""
    if Path(setting.folder).is_dir():
        os.chdir(setting.folder)
    import torch

    torch.set_num_threads(setting.threads)


def _in_words(work: Work, index: int) -> str:
    number = f"{work.task} {index + 1} of {work.total}"
    try:
        return f"{number}, {work.describe(index)}"
    except Exception as error:  # a description must not hide what it is of
        return f"{number}, which cannot be described ({first_line(error)})"


def _sentence(error: BaseException) -> str:
    """For people as it stands; else with its kind."""
    if isinstance(error, InterpError):
        return str(error)
    return f"{type(error).__name__}: {first_line(error)}."


def _sendable(error: BaseException) -> BaseException:
    """The error itself where it is meant for people; others may hold what cannot be sent."""
    return error if isinstance(error, InterpError) else RuntimeError(_sentence(error))
