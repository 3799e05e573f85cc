"""What the presentations of heads share: a [layer x head] map, and the strongest heads in words."""

from __future__ import annotations

import numpy as np

from interp.figures.engine.notation import decimal
from interp.figures.engine.view import Axis, Grid
from interp.figures.views.chance_text import framed_cells
from interp.methods.common.names import head_name
from interp.results import Interval

_NAMED = 4
_FRAMED = 3


def head_map(
    interval: Interval,
    *,
    name: str,
    unit: str,
    title: str,
    above: str,
    below: str = "",
    signed: bool = False,
    limit: float | None = 1.0,
    least: float = 0.0,
) -> Grid:
    """Values [layer, head] with their intervals on hover; from 0 upwards, or centred on 0 where `signed`.
    Framed are the cells that are told from chance, where `signed`; else the strongest, above `least`."""
    values = interval.value
    layers, heads = values.shape
    strongest = tuple(at for at in strongest_cells(values)[:_FRAMED] if abs(values[at]) > least)
    marked = framed_cells(interval) if signed else {"framed": strongest, "framed_means": "the strongest"}
    return Grid(
        name=name,
        values=values,
        rows=Axis.numbers("layer", layers),
        columns=Axis.numbers("head", heads),
        unit=unit,
        title=title,
        centre=0.0 if signed else None,
        limit=limit,
        above=above,
        below=below,
        hover=(("from", interval.low), ("to", interval.high)),
        **marked,
    )


def strongest_heads(values: np.ndarray, n: int = _NAMED) -> str:
    """``5.1 (0.93), 2.0 (0.41)``: the heads with the largest values [layer, head]."""
    return ", ".join(f"{head_name(head)} ({decimal(values[head])})" for head in strongest_cells(values)[:n])


def strongest_cells(values: np.ndarray) -> list[tuple[int, int]]:
    """The cells of a grid, that of the largest absolute value first."""
    order = np.argsort(-np.abs(values), axis=None, kind="stable")
    return [(int(a), int(b)) for a, b in zip(*np.unravel_index(order, values.shape), strict=True)]
