"""What a part costs beside its computing, on processes and on a Ray cluster of this machine.

    python bench/scale.py            # prints; --write puts the tables into docs/benchmarks.md

1. Parts that compute nothing: the seconds for each are what handing it out, computing elsewhere and keeping
   it cost. The start (processes, imports) is taken out as the difference of two numbers of parts.
2. A run of pairs on a small model, by one process, and by one and two workers.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tables import put

import interp
from interp.parts import Arrays, Work, each_part
from interp.resume import kept, resuming

PAIRS = 24


@dataclass
class Nothing:
    """Parts of so many bytes that compute nothing."""

    n: int
    size: int

    def run(self, models: Any) -> int:
        work = Work(task="parts", total=self.n, compute=self.part, describe=str)
        return len(each_part(work))

    def part(self, index: int) -> Arrays:
        return kept({"part": index, "size": self.size, "n": self.n}, self.array)

    def array(self) -> Arrays:
        return {"x": np.zeros(self.size, dtype=np.uint8)}


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def of_a_part(crew: Any, size: int) -> float:
    """The seconds of a part of so many bytes."""
    few, many = (40, 440) if size < 1e6 else (10, 60)
    times = []
    for n in (few, few, many):  # the first starts what is not there yet
        with tempfile.TemporaryDirectory() as folder, resuming(folder):
            times.append(seconds(lambda n=n: crew.do(Nothing(n, size))))
    return (times[2] - times[1]) / (many - few)


def crews(n: int) -> dict[str, Callable[[], Any]]:
    return {
        "processes": lambda: interp.on_processes(workers=n),
        "Ray": lambda: interp.on_ray("local", workers=n),
    }


def overheads() -> list[list[str]]:
    rows = []
    for n in (1, 2):
        for name, start in crews(n).items():
            with start() as crew:
                small, large = of_a_part(crew, 1_000), of_a_part(crew, 10_000_000)
            rows.append([name, str(n), f"{1e3 * small:.1f}", f"{1e3 * large:.0f}", f"{20 * small:.2f}"])
    return rows


def a_run() -> list[list[str]]:
    torch.set_num_threads(1)
    model = interp.load_model("demo-gpt2", device="cpu", memory=2)
    dataset = interp.make_dataset("indirect_objects", model, n=PAIRS)
    whole = interp.path_patching(model, dataset)
    alone = seconds(lambda: interp.path_patching(model, dataset))
    rows = [["one process", "", f"{alone:.1f}", "1.00", ""]]
    for n in (1, 2):
        for name, start in crews(n).items():
            with start() as crew:
                first = crew.run(interp.path_patching, model, dataset)
                taken = seconds(lambda crew=crew: crew.run(interp.path_patching, model, dataset))
            rows.append([name, str(n), f"{taken:.1f}", f"{alone / taken:.2f}", str(first.equals(whole))])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    tables = {
        "overhead": (
            ["workers as", "how many", "ms for a part of 1 kB", "of 10 MB", "5 % of a part of (s)"],
            overheads(),
        ),
        "run": (["workers as", "how many", "seconds", "times as fast", "the same to the last bit"], a_run()),
    }
    for name, (headings, rows) in tables.items():
        lines = [headings, ["---"] * len(headings), *rows]
        table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
        print(table)
        if asked.write:
            put(f"scale {name}", table)


if __name__ == "__main__":
    main()
