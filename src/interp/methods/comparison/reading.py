"""One number of a result by its path, so that any result can be followed over checkpoints.

A path names fields one after the other: ``text.losses.0`` is the first of the interval ``losses`` of
``text``. Numbers are indices, of tuples and of arrays (``attention.2,5,1``). At the end may stand ``max``,
``min`` or ``average`` of what is left; of intervals, ``max`` and ``min`` have the ends of the cell that is
chosen, which are too narrow for a choice among many, and ``average`` has none.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from interp.errors import InputError, nearest
from interp.results import Estimate, Interval, Stored

_INDICES = re.compile(r"-?\d+(,-?\d+)*")
_OF_ALL = {"max": np.argmax, "min": np.argmin}
Number = tuple[float, float, float]  # and the ends of its interval: NaN where there is none


def number_at(result: Stored, path: str) -> Number:
    """The number at `path` of a result, with its interval; `InputError` where there is none."""
    value: Any = result
    for part in path.split("."):
        try:
            value = _part(value, part)
        except (AttributeError, IndexError, KeyError, TypeError):
            valid = sorted(name for name in dir(value) if not name.startswith("_"))
            hint = nearest(part, valid) if isinstance(value, Stored) else "it has no such part."
            raise InputError(f"There is no {part!r} on the way to {path!r}; {hint}") from None
    return as_number(value, path)


def as_number(value: Any, called: str) -> Number:
    """A number, or a mean or other interval of a single cell, with its ends; `InputError` otherwise."""
    if isinstance(value, Estimate):
        value = value.interval
    ends = (value.value, value.low, value.high) if isinstance(value, Interval) else (value, np.nan, np.nan)
    if any(not isinstance(end, int | float | np.number | np.ndarray) or np.size(end) != 1 for end in ends):
        shape = f" of shape {list(np.shape(ends[0]))}" if isinstance(ends[0], np.ndarray) else ""
        raise InputError(
            f"{called!r} is no single number{shape}; go on to a field or to one cell by its index, or to its "
            "max, min or average."
        )
    found, low, high = (float(np.asarray(end).item()) for end in ends)
    return found, low, high


def _part(value: Any, part: str) -> Any:
    if _INDICES.fullmatch(part):
        indices = tuple(map(int, part.split(",")))
        return value[indices[0]] if isinstance(value, tuple) else value[indices]
    if part in (*_OF_ALL, "average"):
        value = value.interval if isinstance(value, Estimate) else value
        array = value.value if isinstance(value, Interval) else value
        if isinstance(array, np.ndarray):
            if part == "average":
                return float(array.mean())
            return value[np.unravel_index(int(_OF_ALL[part](array)), array.shape)]
    if part.startswith("_") or not isinstance(value, Stored):
        raise AttributeError(part)
    return getattr(value, part)
