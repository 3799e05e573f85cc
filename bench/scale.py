"""What a part costs beside its computing: parts that compute nothing, handed out to two processes.

    python bench/scale.py

Of each size of part: the driver's processor time, which bounds how many workers it can serve, and the time on
the clock, both for one part. What starts the processes is not counted.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

import interp
from interp.parts import Arrays, Work, each_part
from interp.resume import kept, resuming

WORKERS = 2
SIZES = ((1_000, 400), (10_000_000, 20))  # bytes of a part, and how many parts


@dataclass
class Nothing:
    """Parts of so many bytes that compute nothing, and are kept."""

    n: int
    size: int

    def run(self, models: Any) -> int:
        work = Work(task="parts", total=self.n, compute=self.part, describe=str)
        return len(each_part(work))

    def part(self, index: int) -> Arrays:
        return kept({"part": index, "of": [self.n, self.size]}, self.array)

    def array(self) -> Arrays:
        return {"x": np.zeros(self.size, dtype=np.uint8)}


def main() -> None:
    with interp.on_processes(workers=WORKERS) as crew:
        crew.do(Nothing(WORKERS, 1))  # starts them
        for size, n in SIZES:
            with tempfile.TemporaryDirectory() as folder, resuming(folder):
                own, clock = time.process_time(), time.perf_counter()
                crew.do(Nothing(n, size))
                own, clock = (time.process_time() - own) / n, (time.perf_counter() - clock) / n
            print(
                f"{size:>10,} bytes: driver {1e3 * own:.1f} ms, on the clock {1e3 * clock:.1f} ms", flush=True
            )


if __name__ == "__main__":
    main()
