"""What a part costs beside its computing, speed against workers, and from both, on paper, a cluster.

    python bench/scale.py            # prints, in about two minutes; --write puts it into docs/scale-out.md

1. Parts that compute nothing, of three sizes, handed out to two processes. Of each: the driver's processor
   time, which bounds how many workers it can serve, and the time on the clock of one worker, which is what a
   part takes longer there.
2. Parts that keep a processor busy for a known time, here, on one process and on two.
3. A real run: activation patching of pairs on a demo model, here, on one process and on two.
4. The cluster: how many workers a driver of this speed serves, and a network, by the length and the size of
   parts; and the length from which less than 5 % goes into being handed out.

What starts the processes is not counted. On a machine that is busy with other things the clock says more of
these than of the parts; the tables say how busy it was.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tables import put

import interp
from interp.parts import Arrays, Work, each_part
from interp.resume import kept, resuming

DOC = Path(__file__).parents[1] / "docs" / "scale-out.md"
SIZES = ((1_000, 300), (1_000_000, 60), (10_000_000, 16))  # bytes of a part, and how many parts
LENGTHS = ((0.005, 100), (0.02, 50), (0.08, 25), (0.32, 8))  # seconds of a part, and how many parts
PAIRS = 12
NETWORK = 10e9 / 8  # bytes a second
SHARE = 0.05  # of the time that may go into being handed out


@dataclass
class Parts:
    """Parts of so many bytes that keep a processor busy for so long, and are kept."""

    n: int
    size: int = 1_000
    seconds: float = 0.0

    def run(self, models: Any) -> int:
        return len(each_part(Work(task="parts", total=self.n, compute=self.part, describe=str)))

    def part(self, index: int) -> Arrays:
        return kept({"part": index, "of": [self.n, self.size, self.seconds]}, self.array)

    def array(self) -> Arrays:
        end = time.process_time() + self.seconds
        while time.process_time() < end:
            pass
        return {"x": np.zeros(self.size, dtype=np.uint8)}


@dataclass(frozen=True)
class Cost:
    """Of one part beside its computing, in seconds."""

    driver: float
    clock: float


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Seconds of this process's processor and on the clock, parts being kept in a new folder."""
    with tempfile.TemporaryDirectory() as folder, resuming(folder):
        own, clock = time.process_time(), time.perf_counter()
        work()
        return time.process_time() - own, time.perf_counter() - clock


def costs(one: Any, two: Any) -> dict[int, Cost]:
    """By the size of a part: the driver's share with two workers, the clock's with one."""
    found = {}
    for size, n in SIZES:
        job = Parts(n, size)
        found[size] = Cost(timed(partial(two.do, job))[0] / n, timed(partial(one.do, job))[1] / n)
    return found


def busy(one: Any, two: Any) -> list[list[str]]:
    rows = []
    for seconds, n in LENGTHS:
        job = Parts(n, seconds=seconds)
        ways = (partial(job.run, {}), partial(one.do, job), partial(two.do, job))
        here, *there = (timed(work)[1] for work in ways)
        rows.append([f"{n} parts of {1e3 * seconds:.0f} ms", *speeds(here, there)])
    return rows


def real(one: Any, two: Any) -> list[str]:
    torch.set_num_threads(1)
    model = interp.load_model("demo-gpt2", device="cpu")
    dataset = interp.make_dataset("indirect_objects", model, n=PAIRS)

    options: dict[str, Any] = {"clean": dataset.clean, "corrupted": dataset.corrupted}
    options |= {"answer": dataset.answers, "foil": dataset.foils, "site": "z", "by": "head"}
    ways = [partial(interp.activation_patching, model, **options)]
    ways += [partial(crew.run, interp.activation_patching, model, **options) for crew in (one, two)]
    for work in ways:  # loads the model, and does what is done once
        work()
    here, *there = (timed(work)[1] for work in ways)
    return [f"activation patching of {PAIRS} pairs, demo-gpt2", *speeds(here, there)]


def speeds(here: float, there: list[float]) -> list[str]:
    return [f"{here:.2f} s", *(f"{seconds:.2f} s, x {here / seconds:.2f}" for seconds in there)]


def cluster(found: dict[int, Cost]) -> list[list[str]]:
    """How many workers a driver can serve, and a network, if parts are of this length and size."""
    rows = []
    for size, cost in found.items():
        for seconds in (0.1, 1.0, 10.0):
            driver, network = seconds / cost.driver, seconds * NETWORK / size
            limit = "driver" if driver < network else "network"
            rows.append(
                [in_bytes(size), f"{seconds:g} s", f"{driver:,.0f}", f"{network:,.0f}", limit,
                 f"{cost.clock / (cost.clock + seconds):.1%}", in_bytes(10_000 * size)]
            )  # fmt: skip
    return rows


def lengths(found: dict[int, Cost]) -> list[list[str]]:
    return [
        [in_bytes(size), f"{1e3 * cost.driver:.2f} ms", f"{1e3 * cost.clock:.2f} ms",
         f"{1e3 * cost.clock * (1 - SHARE) / SHARE:,.0f} ms"]
        for size, cost in found.items()
    ]  # fmt: skip


def in_bytes(n: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if n < 1000 or unit == "GB":
            break
        n /= 1000
    return f"{n:g} {unit}"


def table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put the tables into docs/scale-out.md")
    arguments = parser.parse_args()
    cores, load = os.cpu_count() or 1, os.getloadavg()[0]
    with interp.on_processes(workers=1) as one, interp.on_processes(workers=2) as two:
        for crew, n in ((one, 1), (two, 2)):
            crew.do(Parts(n))  # starts them
        found = costs(one, two)
        speed = [*busy(one, two), real(one, two)]
    state = "idle otherwise"
    if load > 0.5 * cores:
        state = "busy with other things, so that the clock and the speeds below say little"
    text = "\n".join(
        [
            f"Measured on {cores} cores, one thread a process; the machine was {state} (load {load:.1f}).\n",
            table(["a part of", "the driver's processor", "the clock", "5 % of a part of"], lengths(found)),
            table(["", "in this process", "one worker", "two workers"], speed),
            "On paper, a cluster with a driver of this speed and a network of 10 Gb/s:\n",
            table(
                ["a part of", "computing for", "workers that the driver serves", "the network", "first limit",
                 "share handed out", "10,000 parts in the driver's memory"],
                cluster(found),
            ),
        ]
    )  # fmt: skip
    print(text)
    if arguments.write:
        put("scale", text, DOC)


if __name__ == "__main__":
    main()
