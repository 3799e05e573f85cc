"""A crew of workers as threads of this process: all of `interp.workers` but the processes."""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any

import numpy as np

from interp.parts import Arrays, Work, each_part
from interp.resume import kept
from interp.workers.coordinator import Lost, carry_out
from interp.workers.jobs import CallJob, Job
from interp.workers.messages import Begin, Compute, Said
from interp.workers.worker import Worker

if TYPE_CHECKING:
    from interp.models.base import Model


class Threads:
    """Workers that share one loaded model. `dies(worker, part)` says which of them are lost, and where."""

    def __init__(self, n: int, model: Model | None = None, dies: Callable[[int, int], bool] | None = None):
        self.n, self.model, self.dies = n, model, dies
        self.members: dict[int, Worker] = {}
        self.said: Queue[tuple[int, Said | Lost]] = Queue()
        self.computed: list[tuple[int, int]] = []  # who was given which part
        self.started = self.jobs = 0

    def run(self, function: Callable[..., Any], model: Model, *arguments: Any, **keywords: Any) -> Any:
        self.model = model
        return self.do(CallJob.of(function, model, *arguments, **keywords))

    def do(self, job: Job) -> Any:
        self.jobs += 1
        with warnings.catch_warnings():  # each worker sets filters, which threads share
            return carry_out(job, self, self.jobs)

    def begin(self, begin: Begin) -> Sequence[int]:
        while len(self.members) < self.n:
            self._start(begin)
        for number in self.members:
            self.send(number, begin)
        return list(self.members)

    def replace(self, begin: Begin) -> int:
        number = self._start(begin)
        self.send(number, begin)
        return number

    def send(self, worker: int, answer: Any) -> None:
        if isinstance(answer, Compute):
            self.computed.append((worker, answer.index))
            if self.dies is not None and self.dies(worker, answer.index):
                del self.members[worker]
                self.said.put((worker, Lost("killed by signal 9")))
                return
        member = self.members[worker]

        def talk() -> None:
            self.said.put((worker, member.talk(answer)))

        threading.Thread(target=talk, daemon=True).start()

    def wait(self, seconds: float) -> Sequence[tuple[int, Said | Lost]]:
        try:
            return [self.said.get(timeout=seconds)]
        except Empty:
            return []

    def _start(self, begin: Begin) -> int:
        self.started += 1
        worker = Worker()
        if self.model is not None:
            worker._models[begin.what.key] = self.model
        self.members[self.started] = worker
        return self.started


@dataclass
class Logged:
    """A job whose parts say, in a file, which process began them; one may wait, begun, until it is let go."""

    log: str
    n: int = 8
    seconds: float = 0.0
    fails: int = -1
    held: int = -1

    def run(self, models: Any) -> list[float]:
        work = Work(task="numbers", total=self.n, compute=self.part, describe=lambda i: f"the number {i}")
        return [float(part["value"]) for part in each_part(work)]

    def part(self, index: int) -> Arrays:
        return kept({"square of": index}, lambda: self.square(index))

    def square(self, index: int) -> Arrays:
        with open(self.log, "a") as file:
            file.write(f"{index} {os.getpid()}\n")
        time.sleep(self.seconds)
        while index == self.held and not self._gate.exists():
            time.sleep(0.01)
        if index == self.fails:
            raise ValueError("this one never works")
        return {"value": np.array(float(index**2))}

    @property
    def _gate(self) -> Path:
        return Path(f"{self.log}.open")

    def let_go(self) -> None:
        """The part that is held goes on, wherever it is."""
        self._gate.touch()

    def holder(self) -> int:
        """The process in which the part that is held has begun, as soon as it has."""
        while True:
            for index, pid in self.begun():
                if index == self.held:
                    return pid
            time.sleep(0.01)

    def begun(self) -> list[tuple[int, int]]:
        """The part and the process of each beginning."""
        lines = Path(self.log).read_text().splitlines() if Path(self.log).exists() else []
        return [(int(index), int(pid)) for index, pid in map(str.split, lines)]
