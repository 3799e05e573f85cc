"""What the presentations of lenses share: lines over the layers, and a layer in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from interp.figures.engine.view import Lines, Series

_FLATTENS = 50.0  # nats


def lines_by_layer(
    layers: Sequence[str],
    values: Mapping[str, np.ndarray],
    *,
    y_title: str,
    name: str = "",
    title: str = "",
    levels: tuple[tuple[float, str], ...] = (),
    hollow: tuple[int, ...] = (),
    note: str = "",
) -> Lines:
    """A line for each series, values [layer] by its name, over `layers` ("embed", "0", ...); the points of
    the layers in `hollow` are rings."""
    x = tuple(float(i) for i in range(len(layers)))
    return Lines(
        name=name,
        series=tuple(Series(one, x, tuple(map(float, row)), hollow=hollow) for one, row in values.items()),
        x_title="after layer",
        y_title=y_title,
        title=title,
        ticks=tuple(zip(x, layers, strict=True)),
        levels=levels,
        note=note,
    )


def nats_by_layer(
    layers: Sequence[str], values: Mapping[str, np.ndarray], *, y_title: str = "nats", **shown: Any
) -> Lines:
    """Entropies or divergences over the layers, on an axis that is logarithmic above 1 where some value, such
    as that at the embedding of a large vocabulary, would flatten all others."""
    found = lines_by_layer(layers, values, y_title=y_title, **shown)
    low, high = (float(of([of(row) for row in values.values()])) for of in (np.min, np.max))
    if high <= _FLATTENS:
        return found
    y_title = f"{y_title} (logarithmic above 1)"
    return replace(found, y_title=y_title, symlog_y=True, y_range=(min(low, 0.0), high))


def from_layer(layer: str | int) -> str:
    """``from layer 3``; of "embed" or -1, ``from the embedding``."""
    return "from the embedding" if layer in ("embed", -1) else f"from layer {layer}"
