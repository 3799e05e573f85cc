"""Two runs compared: what differs of their configurations, of where they came from, and of their numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from interp.errors import RunError
from interp.figures.engine.notation import count, measured, shorten, show_text
from interp.figures.engine.view import Table
from interp.results import Result, Stored, encoded

if TYPE_CHECKING:
    from interp.runs import Run

_MAX_CHARS, _MAX_ITEMS = 60, 8  # of a text and of a list in a table
_IN_CONFIGURATION = ("model", "backend", "dtype", "processing", "seed")  # of the provenance
_SAME, _MISSING = "the same", "not there"


def config_differences(first: Run, second: Run) -> Table:
    """The keys of the configurations that differ, side by side, and what differs of the provenance."""
    sides = [{"experiment": run.experiment.name, **run.config, **_made_with(run)} for run in (first, second)]
    rows = tuple(
        (show_text(key), *(in_brief(side[key]) if key in side else _MISSING for side in sides))
        for key in dict.fromkeys((*sides[0], *sides[1]))
        if key not in sides[0] or key not in sides[1] or sides[0][key] != sides[1][key]
    )
    return Table(("key", "first", "second"), rows, title="What differs in the configuration and provenance")


def result_differences(first: Result, second: Result) -> Table:
    """Value by value: numbers with their difference, arrays with the largest absolute difference of an entry
    and where it is, texts where they differ. `RunError` for results of different kinds."""
    if first.kind != second.kind:
        raise RunError(
            f"One is a result of {first.kind} and the other of {second.kind}, so that their numbers cannot "
            "be compared; choose two runs of one experiment."
        )
    left, right = dict(_values(first)), dict(_values(second))
    names = dict.fromkeys((*left, *right))
    rows = [(name, *_compared(left.get(name), right.get(name))) for name in names]
    rows.sort(key=lambda row: row[-1] == _SAME)  # what differs comes first
    strong = tuple(i for i, row in enumerate(rows) if row[-1] != _SAME)
    return Table(("result", "first", "second", "difference"), tuple(rows), title="The results", strong=strong)


def verdict(table: Table) -> str:
    """How many of the compared values differ, in a sentence."""
    if not table.strong:
        return "The two results are the same, to the last digit."
    return f"{len(table.strong)} of {count(len(table.rows), 'result')} differ; those stand first."


def flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings as one, with joined keys as in ``versions: torch``."""
    joined: dict[str, Any] = {}
    for key, value in values.items():
        nested = flat(value).items() if isinstance(value, Mapping) else ()
        joined |= {f"{key}: {inner}": one for inner, one in nested} if nested else {key: value}
    return joined


def in_brief(value: Any) -> str:
    """A value of any kind on one short line."""
    if isinstance(value, str):
        text = show_text(value) if value == value.strip() != "" else repr(value)
        return shorten(text, _MAX_CHARS)
    if isinstance(value, tuple | list):
        if len(value) > _MAX_ITEMS or any(isinstance(item, tuple | list | Stored) for item in value):
            return f"a list of {len(value)}"
        items = (repr(item) if isinstance(item, str) else in_brief(item) for item in value)
        return shorten(", ".join(items), _MAX_CHARS)
    return show_text(str(value), max_chars=_MAX_CHARS)


def _made_with(run: Run) -> dict[str, Any]:
    """The provenance, but for what is always as the configuration says."""
    provenance = flat(run.result.provenance.to_dict()).items()
    return {f"made with: {key}": value for key, value in provenance if key not in _IN_CONFIGURATION}


def _values(stored: Stored, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values that a result holds, with those that it holds within others: (name, value). What is None and
    where the result came from are left out."""
    for field in fields(stored):  # type: ignore[arg-type]
        value = getattr(stored, field.name)
        if isinstance(value, Stored):
            yield from _values(value, f"{prefix}{field.name}: ")
        elif field.name != "provenance" and value is not None:
            yield prefix + field.name, value


def _compared(a: Any, b: Any) -> tuple[str, str, str]:
    """Both values in brief, and their difference. None: the value is missing."""
    left, right = _as_numbers(a), _as_numbers(b)
    if left is not None and right is not None:
        return _numbers_in_brief(left), _numbers_in_brief(right), _distance(left, right)
    shown = [_MISSING if value is None else in_brief(value) for value in (a, b)]
    return shown[0], shown[1], _SAME if encoded(a) == encoded(b) else "differs"


def _as_numbers(value: Any) -> np.ndarray | None:
    """A number or an array of numbers as an array; None for anything else."""
    if isinstance(value, bool | str | None):
        return None
    array = np.asarray(value) if isinstance(value, int | float | np.ndarray | np.number) else None
    return array if array is not None and array.dtype.kind in "iuf" else None


def _numbers_in_brief(array: np.ndarray) -> str:
    if array.size == 0:
        return "[0]"
    if array.size == 1:
        return measured(float(array.item()))
    return f"[{' x '.join(map(str, array.shape))}], mean {measured(float(array.mean()))}"


def _distance(a: np.ndarray, b: np.ndarray) -> str:
    """The largest difference of two entries, and where it is. NaN (no interval, say) is the same as NaN."""
    if a.shape != b.shape:
        return "of different shapes"
    a, b = a.astype(float), b.astype(float)
    if (alone := np.isnan(a) != np.isnan(b)).any():
        return f"no number in one of them, at {int(alone.sum())} of {a.size}"
    away = np.where((a == b) | np.isnan(a), 0.0, np.abs(a - b))  # two infinities can be the same
    if not away.any():
        return _SAME
    if away.size == 1:
        return measured(b.item() - a.item())
    at = np.unravel_index(int(away.argmax()), away.shape)
    return f"at most {measured(float(away[at]))}, at [{', '.join(map(str, at))}]"
