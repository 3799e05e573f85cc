"""Bars as a picture: every text is measured first, so that none runs into another."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from interp.figures.engine.chart_axes import SMALL, TEXT, WIDTH, Scale, draw_x_axis, padded_range
from interp.figures.engine.chart_blocks import Bars
from interp.figures.engine.measured_text import fit, line_height, text_width
from interp.figures.engine.notation import decimal
from interp.figures.engine.picture import Area, Label, Picture, Stroke, box

_FEW = 30  # as many bars stand well apart


def bars(block: Bars, *, width: float = WIDTH) -> Picture:
    """A bar a label, its number (and interval) at the right."""
    shown = block.largest
    row, size = (0.2, TEXT) if len(shown) <= _FEW else (0.16, SMALL)
    labels = [fit(block.labels[i], size, min(2.4, 0.36 * width)) for i in shown]
    numbers = [_with_interval(block, i) for i in shown]
    scale = _scale(block, labels, numbers, size=size, width=width)
    bottom = row * len(shown) + 0.08
    picture = Picture(width, bottom + 0.1 + 2 * line_height(SMALL))
    draw_x_axis(picture, scale, top=0, bottom=bottom, title=block.unit)
    for place, i in enumerate(shown):
        y, tip = 0.04 + row * (place + 0.5), f"{block.labels[i]}: {numbers[place]}"
        picture.add(Label(scale.start - 0.08, y, labels[place], size, anchor="end"))
        _draw_bar(picture, block, i, scale=scale, y=y, height=row * 0.72, tip=tip)
        picture.add(Label(width, y, numbers[place], size, anchor="end"))
    picture.add(Stroke(((scale(0), 0), (scale(0), bottom)), "ink", 0.8))
    return picture


def _scale(block: Bars, labels: Sequence[str], numbers: Sequence[str], *, size: float, width: float) -> Scale:
    """From 0 to all values, between the labels at the left and the numbers at the right."""
    ends = [0.0, *(v for values in (block.values, block.low, block.high) for v in values)]
    low, high = padded_range(min(ends), max(ends), pad=0)
    left = max(text_width(label, size) for label in labels) + 0.1
    right = width - max(text_width(text, size) for text in numbers) - 0.15
    return Scale(low=low, high=high, start=left, stop=right, symlog=block.symlog)


def _draw_bar(
    picture: Picture, block: Bars, i: int, *, scale: Scale, y: float, height: float, tip: str
) -> None:
    """The bar, and its interval as a line upon it."""
    start, stop = sorted((scale(0), scale(block.values[i])))
    colour = "warm" if block.is_warm(i) else "cool"
    corners = box(start, y - height / 2, max(stop - start, 0.004), height)
    picture.add(Area(corners, colour, tip=tip))
    if block.has_ends(i):
        ends = ((scale(block.low[i]), y), (scale(block.high[i]), y))
        picture.add(Stroke(ends, "paper", 2.6))
        picture.add(Stroke(ends, "ink", 1.2, tip=tip))


def _with_interval(block: Bars, i: int) -> str:
    write = _decimals_for(block.values)
    band = f" [{write(block.low[i])}, {write(block.high[i])}]" if block.has_ends(i) else ""
    return write(block.values[i]) + band


def _decimals_for(values: Sequence[float]) -> Callable[[float], str]:
    """Three digits of the largest, the same number of decimals for all."""
    largest = max((abs(v) for v in values), default=0)
    places = 2 if not largest else min(max(2 - math.floor(math.log10(largest)), 0), 6)
    return lambda value: decimal(value, places)
