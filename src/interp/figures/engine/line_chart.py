"""Lines as pictures, one set by itself or several small ones with a common x axis, one above the other.

1. Each set has a head: its legend, what its y axis is, and the names of marked places.
2. All sets have one scale for x; each has its own for y.
3. Bands are drawn below all lines, and points on top.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    spread,
)
from interp.figures.engine.chart_blocks import Lines, Panels, Series
from interp.figures.engine.measured_text import fit, line_height, text_width
from interp.figures.engine.picture import DASHES, Area, Dot, Label, Picture, Stroke

_HEIGHT, _PANEL_HEIGHT, _PANELS_WIDTH = 2.9, 1.15, 5.2  # inches
_MANY_TICKS = 14  # named places of an x axis, beyond which panels are wider
_HUES = ("s0", "s1", "s2", "s3", "s4", "s5")


@dataclass(frozen=True, kw_only=True)
class _Axes:
    """Where one set of lines is drawn: from values to inches."""

    lines: Lines
    head: float  # inches from the top of the picture to the set's head
    x: Scale
    y: Scale

    @property
    def top(self) -> float:
        return min(self.y.start, self.y.stop)

    @property
    def bottom(self) -> float:
        return max(self.y.start, self.y.stop)

    def at(self, xs: Sequence[float], ys: Sequence[float]) -> list[tuple[float, float]]:
        """The points in inches."""
        return [(self.x(x), self.y(y)) for x, y in zip(xs, ys, strict=True)]


def lines(block: Lines, *, width: float = WIDTH) -> Picture:
    """Curves with their bands; the names above, the named heights at the right."""
    return _picture((block,), width=width, height=_HEIGHT)


def panels(block: Panels) -> Picture:
    """Several small sets of curves, the numbers of the x axis below the last."""
    many = any(len(one.ticks) > _MANY_TICKS for one in block.panels)
    return _picture(block.panels, width=WIDTH if many else _PANELS_WIDTH, height=_PANEL_HEIGHT)


def _picture(sets: Sequence[Lines], *, width: float, height: float) -> Picture:
    found = _layout(sets, width=width, height=height)
    picture = Picture(width, found[-1].bottom + X_AXIS_HEIGHT)
    for i, axes in enumerate(found):
        _draw_head(picture, axes)
        _draw_axes(picture, axes, last=i == len(found) - 1)
        _draw_levels(picture, axes)
        _draw_x_marks(picture, axes)
        _draw_bands(picture, axes)
        _draw_curves(picture, axes)
    return picture


def _layout(sets: Sequence[Lines], *, width: float, height: float) -> list[_Axes]:
    """The axes of each set, below each other and with the same left and right ends."""
    heights, head, heads = [], 0.0, []
    for one in sets:
        top = head + _head_height(one, width)
        heights.append(_y_scale(one, top=top, bottom=top + height))
        heads.append(head)
        head = top + height + 0.2
    left = max(map(room_for_numbers, heights))
    names = [name for one in sets for name in _level_names(one)]
    right = width - max((text_width(name, SMALL) + 0.12 for name in names), default=0.15)
    xs = [x for one in sets for series in one.series for x in series.x]
    log = sets[0].log_x
    low, high = padded_range(min(xs), max(xs), pad=0.0 if log else 0.03, log=log)
    x = Scale(low=low, high=high, start=left, stop=right, log=log)
    return [_Axes(lines=o, head=h, x=x, y=y) for o, h, y in zip(sets, heads, heights, strict=True)]


def _y_scale(block: Lines, *, top: float, bottom: float) -> Scale:
    ys = [y for s in block.series for values in (s.y, s.low, s.high) for y in values]
    ys += [value for value, _ in block.levels]
    low, high = block.y_range or padded_range(
        min(ys), max(ys), pad=0.0 if block.symlog_y else 0.05, log=block.log_y
    )
    start, stop = (top, bottom) if block.downwards else (bottom, top)
    return Scale(low=low, high=high, start=start, stop=stop, log=block.log_y, symlog=block.symlog_y)


# ---- the head: legend, title of the y axis, names of marked places ----


def _head_height(block: Lines, width: float) -> float:
    return _legend_height(block, width) + line_height(TEXT) + 0.08 + _marks_height(block)


def _marks_height(block: Lines) -> float:
    """Inches for the names of marked places; none where they have no names."""
    return line_height(SMALL) if any(name for _, name in block.x_marks) else 0.0


def _draw_head(picture: Picture, axes: _Axes) -> None:
    block = axes.lines
    for row, entries in enumerate(_legend_rows(block, picture.width)):
        y = axes.head + 0.08 + row * line_height(TEXT)
        for i, name, x in entries:
            picture.add(Stroke(((x, y), (x + 0.34, y)), *_style(block, i)))
            picture.add(Label(x + 0.42, y, name, TEXT, tip=block.series[i].name))
    picture.add(Label(0, axes.top - 0.14 - _marks_height(block), block.y_title, TEXT, "quiet"))


def _legend_rows(block: Lines, width: float) -> list[list[tuple[int, str, float]]]:
    """(which series, its name, where it begins), in rows that fit; none where the y axis says it already."""
    if [one.name for one in block.series] == [block.y_title]:
        return []
    rows: list[list[tuple[int, str, float]]] = [[]]
    x = 0.0
    for i, one in enumerate(block.series):
        name = fit(one.name, TEXT, width - 0.5)
        needs = 0.42 + text_width(name, TEXT) + 0.2
        if rows[-1] and x + needs > width:
            rows.append([])
            x = 0.0
        rows[-1].append((i, name, x))
        x += needs
    return rows


def _legend_height(block: Lines, width: float) -> float:
    return len(_legend_rows(block, width)) * line_height(TEXT) + 0.06


def _style(block: Lines, i: int) -> tuple[str, float, tuple[float, ...]]:
    """The colour, width and dashes of a series."""
    return _HUES[i % 6], 1.5, DASHES[i // 6 % 6 if len(block.series) > 6 else i]


# ---- the axes and what is named on them ----


def _draw_axes(picture: Picture, axes: _Axes, *, last: bool) -> None:
    block = axes.lines
    draw_y_axis(picture, axes.y, left=axes.x.start, right=axes.x.stop)
    draw_x_axis(
        picture, axes.x, top=axes.top, bottom=axes.bottom, title=block.x_title, named=block.ticks,
        numbered=last,
    )  # fmt: skip


def _level_names(block: Lines) -> list[str]:
    return [fit(name, SMALL, 1.6) for _, name in block.levels]


def _draw_levels(picture: Picture, axes: _Axes) -> None:
    """Dashed lines across at the named heights, their names at the right."""
    levels, left, right = axes.lines.levels, axes.x.start, axes.x.stop
    places = spread([axes.y(value) for value, _ in levels], line_height(SMALL), axes.bottom)
    for (value, full), name, place in zip(levels, _level_names(axes.lines), places, strict=True):
        across = ((left, axes.y(value)), (right, axes.y(value)))
        picture.add(Stroke(across, "quiet", 1.1, (3, 2), tip=f"{full}: {number(value)}"))
        picture.add(Label(right + 0.06, place, name, SMALL, "quiet", tip=full))


def _draw_x_marks(picture: Picture, axes: _Axes) -> None:
    """Dotted lines upwards at the named places, their names above where they have room."""
    end = 0.0
    for value, name in sorted(axes.lines.x_marks):
        x, width = axes.x(value), text_width(name, SMALL)
        picture.add(Stroke(((x, axes.top), (x, axes.bottom)), "ink", 1.0, (1, 2), tip=name))
        left = min(max(x - width / 2, 0.0), picture.width - width)
        if name and left >= end:
            picture.add(Label(left, axes.top - 0.1, name, SMALL, tip=name))
            end = left + width + 0.06


# ---- the lines ----


def _draw_bands(picture: Picture, axes: _Axes) -> None:
    for i, series in enumerate(axes.lines.series):
        if series.low and series.high:
            edge, back = axes.at(series.x, series.high), axes.at(series.x, series.low)
            picture.add(Area((*edge, *reversed(back)), _HUES[i % 6], 0.15))


def _draw_curves(picture: Picture, axes: _Axes) -> None:
    for i, series in enumerate(axes.lines.series):
        points = tuple(axes.at(series.x, series.y))
        if len(points) > 1:
            picture.add(Stroke(points, *_style(axes.lines, i)))
        radius = 0.032 if len(points) <= 40 else 0.02
        for j, (x, y) in enumerate(points):
            tip = _tip(axes.lines, series, j)
            picture.add(Dot(x, y, radius, _HUES[i % 6], hollow=j in series.hollow, tip=tip))


def _tip(block: Lines, series: Series, i: int) -> str:
    """What a point says on hover."""
    x = dict(block.ticks).get(series.x[i], number(series.x[i]))
    band = f" [{number(series.low[i])}, {number(series.high[i])}]" if series.low and series.high else ""
    return f"{series.name}: {block.x_title} {x}, {block.y_title} {number(series.y[i])}{band}"
