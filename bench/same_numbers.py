"""Whether two folders of runs hold the same numbers: `python bench/same_numbers.py BEFORE AFTER`.

Every ``result.json`` below BEFORE is compared, field by field, with the run of the same experiment and tag
below AFTER; runs of the first format and experiments under their former names are brought into today's form
first. Numbers may differ by 1e-6 (of the largest in their array, or of 1); all else must be the same, but for
the provenance.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from interp.errors import InterpError
from interp.experiments.base import current_name
from interp.runs import read_run

TOLERANCE = 1e-6


def differences(a: Any, b: Any, where: str = "") -> Iterator[str]:
    """The fields of two JSON values that are not the same, each in a line."""
    if isinstance(a, dict) and isinstance(b, dict):
        if a.keys() == b.keys() == {"dtype", "shape", "values"}:
            yield from _arrays(a, b, where)
            return
        for key in sorted(a.keys() ^ b.keys()):
            yield f"{where}.{key}: only {'before' if key in a else 'after'}"
        for key in sorted((a.keys() & b.keys()) - {"provenance"}):
            yield from differences(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            yield from differences(x, y, f"{where}[{i}]")
    elif isinstance(a, float) and isinstance(b, float):
        if abs(a - b) > TOLERANCE * max(1.0, abs(a)):
            yield f"{where}: {a} and {b}"
    elif a != b:
        yield f"{where}: {str(a)[:60]} and {str(b)[:60]}"


def _arrays(a: dict[str, Any], b: dict[str, Any], where: str) -> Iterator[str]:
    x, y = np.asarray(a["values"]), np.asarray(b["values"])
    if a["shape"] != b["shape"]:
        yield f"{where}: shapes {a['shape']} and {b['shape']}"
    elif x.size and (off := np.abs(x.astype(float) - y.astype(float)).max()) > TOLERANCE * max(
        1.0, np.abs(x).max()
    ):
        yield f"{where}: off by {off:.1e}"


def main(before: Path, after: Path) -> int:
    failed = 0
    for file in sorted(before.glob("*/*/result.json")):
        experiment, tag = current_name(file.parts[-3]), file.parts[-2]
        try:
            runs = [read_run(folder).result.to_dict() for folder in (file.parent, after / experiment / tag)]
            found = list(differences(*runs))
        except InterpError as error:
            found = [str(error)]
        failed += bool(found)
        print(f"{experiment}/{tag}: {'same' if not found else '; '.join(found[:8])}")
    print(f"{failed} differ")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
