"""What is shown of a result that has no view of its own: its fields."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from interp.figures.engine.notation import count, measured, show_text
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Table, View
from interp.provenance import Provenance
from interp.results import Estimate, Interval, Pairs, Result, Stored

_MOST_CHARS = 80


def view(result: Result) -> View:
    """A row for each field."""
    names = [field.name for field in dataclasses.fields(result) if field.name != "provenance"]
    rows = tuple((name, in_words(getattr(result, name))) for name in names)
    title = result.kind.replace("_", " ").capitalize()
    return View(title=title, above=(), blocks=(Table(("field", "holds"), rows, name="fields"),))


figure, table, report = presentation(view)


def in_words(value: Any) -> str:
    """A value in a few words: an array by its shape and range, several values by their number."""
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, Estimate | Interval):
        mean = value.mean if isinstance(value, Estimate) else value.value
        return f"{value.kind}: {_array(np.asarray(mean))}"
    if isinstance(value, Pairs):
        return count(len(value), "pair") + (f" of {value.task}" if value.task else "")
    if isinstance(value, Stored | Provenance):
        return type(value).__name__
    if isinstance(value, float):
        return measured(value)
    if isinstance(value, tuple | Mapping):
        short = value and all(isinstance(one, str | int | float) for one in value) and len(value) <= 6
        return show_text(", ".join(map(str, value)), max_chars=_MOST_CHARS) if short else _several(value)
    return show_text(str(value), max_chars=_MOST_CHARS)


def _several(values: tuple | Mapping) -> str:
    return count(len(values), "value") if values else "none"


def _array(array: np.ndarray) -> str:
    """Its shape, and where it has numbers, their range."""
    shape = f"{array.dtype} {list(array.shape)}" if array.ndim else str(array.dtype)
    numbers = array[~np.isnan(array)] if array.dtype.kind == "f" else array
    if not numbers.size or array.dtype.kind not in "iuf":
        return shape
    low, high = measured(float(numbers.min())), measured(float(numbers.max()))
    return f"{shape}: {low}" if low == high else f"{shape}: {low} to {high}"
