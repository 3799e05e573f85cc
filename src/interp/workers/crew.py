"""What workers have in common, whatever they are made of: jobs, replacements, and a context's end."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from interp.errors import InputError
from interp.workers.coordinator import Lost, carry_out
from interp.workers.jobs import CallJob, Job
from interp.workers.messages import Begin, Said, Setting

if TYPE_CHECKING:
    from interp.models.base import Model


class Workers(ABC):
    """A `Crew` whose workers are started when they are first needed; a context, at whose end they are gone.

    Raises `InputError` where `workers` or `threads` is no whole number from 1.
    """

    def __init__(self, workers: int | None, threads: int) -> None:
        for name, value in (("workers", workers), ("threads", threads)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise InputError(f"{name} must be a whole number, at least 1; got {value!r}.")
        self.threads = threads
        self.setting = Setting(os.getcwd(), threads)
        self._started = 0
        self._jobs = 0

    def run(self, function: Callable[..., Any], model: Model, *arguments: Any, **keywords: Any) -> Any:
        """What ``function(model, *arguments, **keywords)`` returns, its parts computed by all workers."""
        return self.do(CallJob.of(function, model, *arguments, **keywords))

    def do(self, job: Job) -> Any:
        """The result of a job."""
        self._jobs += 1
        return carry_out(job, self, self._jobs)

    def replace(self, begin: Begin) -> int:
        number = self._start()
        self.send(number, begin)
        return number

    @abstractmethod
    def begin(self, begin: Begin) -> Sequence[int]: ...

    @abstractmethod
    def send(self, worker: int, answer: Any) -> None: ...

    @abstractmethod
    def wait(self, seconds: float) -> Sequence[tuple[int, Said | Lost]]: ...

    @abstractmethod
    def close(self) -> None:
        """End all workers."""

    @abstractmethod
    def _start(self) -> int:
        """Start a worker; its number."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
