"""Workers as processes of this machine.

with interp.on_processes(workers=2) as crew:
    crew.run(interp.activation_patching, model, clean=..., corrupted=..., answer=...)
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from interp.workers.coordinator import Lost
from interp.workers.crew import Workers
from interp.workers.messages import Begin, Said, Setting


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Processes(Workers):
    """A crew of processes."""

    def __init__(self, workers: int | None = None, *, threads: int = 1) -> None:
        """`workers`: how many; by default as many as there are cores for their `threads`."""
        super().__init__(workers, threads)
        self.n = workers or max(1, cores() // threads)
        self._members: dict[int, tuple[SpawnProcess, Connection]] = {}

    # ---- a `Crew` ----

    def begin(self, begin: Begin) -> Sequence[int]:
        for number in [n for n, (process, _) in self._members.items() if not process.is_alive()]:
            self._drop(number)
        while len(self._members) < self.n:
            self._start()
        for number in self._members:
            self.send(number, begin)
        return list(self._members)

    def send(self, worker: int, answer: Any) -> None:
        try:
            self._members[worker][1].send(answer)
        except OSError:  # it has died, which `wait` will say
            return

    def wait(self, seconds: float) -> Sequence[tuple[int, Said | Lost]]:
        numbers = {pipe: number for number, (_, pipe) in self._members.items()}
        heard: list[tuple[int, Said | Lost]] = []
        for pipe in wait(list(numbers), seconds):
            number = numbers[pipe]  # type: ignore[index]
            try:
                heard.append((number, self._members[number][1].recv()))
            except (EOFError, OSError):
                heard.append((number, Lost(self._drop(number))))
        return heard

    def _start(self) -> int:
        self._started += 1
        context = multiprocessing.get_context("spawn")
        own, other = context.Pipe()
        process = context.Process(target=_serve, args=(other, self.setting), daemon=True)
        process.start()
        other.close()
        self._members[self._started] = process, own
        return self._started

    def _drop(self, number: int) -> str:
        """Forget a process that is gone, or shall be; how it ended."""
        process, pipe = self._members.pop(number)
        pipe.close()
        process.join(timeout=1)
        if process.is_alive():
            process.kill()
            process.join()
        code = process.exitcode or 0
        return f"killed by signal {-code}" if code < 0 else f"exit code {code}"

    @property
    def pids(self) -> list[int]:
        """The processes that are there."""
        return [process.pid for process, _ in self._members.values() if process.pid is not None]

    def close(self) -> None:
        """End all processes."""
        for process, _ in self._members.values():
            process.terminate()
        for number in list(self._members):
            self._drop(number)


def on_processes(workers: int | None = None, *, threads: int = 1) -> Processes:
    """Workers as processes of this machine, each with the model loaded once.

    Args:
        workers: how many; by default one for each core (and `threads` of them).
        threads: that each computes with. Sums of floating-point numbers may depend on it in their last bits.
    """
    return Processes(workers, threads=threads)


def _serve(pipe: Connection, setting: Setting) -> None:
    """The life of a process: answers in, events out, until the driver is gone."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's
    os.environ.update({"OMP_NUM_THREADS": str(setting.threads), "OMP_WAIT_POLICY": "PASSIVE"})
    from interp.workers.worker import Worker, set_up

    set_up(setting)
    worker = Worker()
    while True:
        try:
            pipe.send(worker.talk(pipe.recv()))
        except (EOFError, OSError):
            return
