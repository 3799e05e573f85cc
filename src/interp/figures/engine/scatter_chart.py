"""Points as a picture, the notable ones labelled where there is room.

A label stands beside its point, in one of eight directions, where it touches no other point and label;
farther away, a line joins the two. Labels that find no room are named in the picture's corner.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from interp.figures.engine.blocks import number
from interp.figures.engine.chart_axes import (
    SMALL,
    TEXT,
    WIDTH,
    X_AXIS_HEIGHT,
    Scale,
    draw_x_axis,
    draw_y_axis,
    padded_range,
    room_for_numbers,
)
from interp.figures.engine.chart_blocks import Scatter
from interp.figures.engine.measured_text import fit, line_height, text_width
from interp.figures.engine.picture import Dot, Label, Picture, Stroke

Box: TypeAlias = tuple[float, float, float, float]  # left, top, right, bottom
Point: TypeAlias = tuple[float, float]

_DIRECTIONS = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (1, 1), (-1, -1), (-1, 1))
_SIDE = 4.4  # inches of a square, where there is room
_AWAY = (0.05, 0.14, 0.26, 0.42, 0.62)  # inches from a point to its label, the first that is free


@dataclass(frozen=True, kw_only=True)
class _Axes:
    """From values to inches on a picture."""

    x: Scale
    y: Scale

    @property
    def frame(self) -> Box:
        return self.x.start, self.y.stop, self.x.stop, self.y.start


def scatter(block: Scatter, *, width: float = WIDTH) -> Picture:
    """Points, the notable ones labelled where there is room; with the diagonal, on a square."""
    axes = _axes(block, width)
    left, top, right, bottom = axes.frame
    picture = Picture(width, bottom + X_AXIS_HEIGHT)
    picture.add(Label(0, 0.08, block.y_title, TEXT, "quiet"))
    draw_y_axis(picture, axes.y, left=left, right=right)
    draw_x_axis(picture, axes.x, top=top, bottom=bottom, title=block.x_title)
    if block.diagonal:
        picture.add(Stroke(((left, bottom), (right, top)), "quiet", 1, (3, 2), tip="y = x"))
    radius = 0.035 if len(block.x) <= 200 else 0.022
    dots = [(axes.x(x), axes.y(y)) for x, y in zip(block.x, block.y, strict=True)]
    for i, (x, y) in enumerate(dots):
        tip = f"{block.labels[i]}: {block.x_title} {number(block.x[i])}, {block.y_title} {number(block.y[i])}"
        picture.add(Dot(x, y, radius, "s1" if i in block.labelled else "s0", tip=tip))
    _draw_labels(picture, block, dots, radius, axes.frame)
    return picture


def _axes(block: Scatter, width: float) -> _Axes:
    xs, ys = (block.x + block.y,) * 2 if block.diagonal else (block.x, block.y)
    top = 0.08 + line_height(TEXT)
    low, high = padded_range(min(ys), max(ys), pad=0.06)
    left = room_for_numbers(Scale(low=low, high=high, start=top + _SIDE, stop=top))
    height = min(_SIDE, width - left - 0.1) if block.diagonal else 3.6
    y = Scale(low=low, high=high, start=top + height, stop=top)
    right = left + height if block.diagonal else width - 0.1
    low, high = padded_range(min(xs), max(xs), pad=0.06)
    return _Axes(x=Scale(low=low, high=high, start=left, stop=right), y=y)


# ---- labels ----


def _draw_labels(picture: Picture, block: Scatter, dots: Sequence[Point], radius: float, frame: Box) -> None:
    """Put each label where it touches nothing; name those that find no room."""
    taken: list[Box] = [(x - radius, y - radius, x + radius, y + radius) for x, y in dots]
    if block.diagonal:
        taken += _boxes_along_diagonal(frame)
    no_room = []
    for i in block.labelled:
        text = fit(block.labels[i], SMALL, 1.8)
        spot = next((spot for spot in _spots(dots[i], radius, text) if _is_free(spot, taken, frame)), None)
        if spot is None:
            no_room.append(block.labels[i])
            continue
        _draw_label(picture, dots[i], spot, text, radius=radius, tip=block.labels[i])
        taken.append(spot)
    if no_room:
        text = f"no room for {', '.join(no_room)}"
        room = picture.width - text_width(block.y_title, TEXT) - 0.4
        picture.add(
            Label(picture.width, 0.08, fit(text, SMALL, room), SMALL, "quiet", anchor="end", tip=text)
        )


def _boxes_along_diagonal(frame: Box) -> list[Box]:
    left, top, right, bottom = frame
    steps = [i / 100 for i in range(101)]
    points = [(left + t * (right - left), bottom - t * (bottom - top)) for t in steps]
    return [(x - 0.03, y - 0.03, x + 0.03, y + 0.03) for x, y in points]


def _spots(dot: Point, radius: float, text: str) -> Iterator[Box]:
    """Where a label may stand, the nearest first."""
    width, height = text_width(text, SMALL), SMALL / 72
    for away in _AWAY:
        for dx, dy in _DIRECTIONS:
            left = dot[0] + dx * (radius + away) + (dx - 1) / 2 * width
            top = dot[1] + dy * (radius + away) - height / 2
            yield left, top, left + width, top + height


def _is_free(spot: Box, taken: Sequence[Box], frame: Box) -> bool:
    left, top, right, bottom = frame
    inside = spot[0] >= left and spot[1] >= top and spot[2] <= right and spot[3] <= bottom
    return bool(inside) and not any(_overlap(spot, other) for other in taken)


def _overlap(a: Box, b: Box) -> bool:
    return bool(a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3])


def _draw_label(picture: Picture, dot: Point, spot: Box, text: str, *, radius: float, tip: str) -> None:
    """The label, and a line to its point where it stands away from it."""
    (x, y), (left, top, right, bottom) = dot, spot
    nearest = min(max(x, left), right), min(max(y, top), bottom)
    if max(abs(nearest[0] - x), abs(nearest[1] - y)) > radius + 0.07:
        picture.add(Stroke((dot, nearest), "quiet", 0.6))
    picture.add(Label(left, (top + bottom) / 2, text, SMALL, tip=tip))
