"""Bars, lines and scatters as pictures: every text is measured first, so that none runs into another."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from interp.figures.engine.drawing import fit, line_height, text_width
from interp.figures.engine.notation import decimal, round_numbers
from interp.figures.engine.picture import DASHES, Area, Dot, Label, Picture, Stroke, box
from interp.figures.engine.view import Bars, Lines, Scatter, Series, number

WIDTH = 6.8  # inches
_TEXT, _SMALL = 8.0, 7.0
_HUES = ("s0", "s1", "s2", "s3", "s4", "s5")

Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True)
class _Scale:
    """From values to inches along an axis."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def __call__(self, value: float) -> float:
        a, b, v = (math.log10(x) if self.log else x for x in (self.low, self.high, value))
        return self.start + (v - a) / (b - a) * (self.stop - self.start)

    @property
    def ticks(self) -> list[float]:
        if not self.log:
            return [tick for tick in round_numbers(self.low, self.high) if self.low <= tick <= self.high]
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for digits in ((1,), (1, 2, 5), (1, 2, 3, 5, 7)):
            found = [d * 10.0**p for p in powers for d in digits if self.low <= d * 10.0**p <= self.high]
            if len(found) >= 3:
                return found
        return [self.low, self.high]


def bars(block: Bars) -> Picture:
    """A bar a label, its number (and interval) at the right."""
    shown = block.largest
    row = 0.2 if len(shown) <= 30 else 0.16
    size = _TEXT if len(shown) <= 30 else _SMALL
    labels = [fit(block.labels[i], size, 2.4) for i in shown]
    numbers = [_with_interval(block, i) for i in shown]
    left = max(text_width(label, size) for label in labels) + 0.1
    right = WIDTH - max(text_width(text, size) for text in numbers) - 0.15
    ends = [0.0, *(v for values in (block.values, block.low, block.high) for v in values)]
    scale = _Scale(*_range(min(ends), max(ends), pad=0), left, right)
    bottom = row * len(shown) + 0.08
    picture = Picture(WIDTH, bottom + 0.1 + 2 * line_height(_SMALL))
    _x_axis(picture, scale, 0, bottom, block.unit)
    for place, i in enumerate(shown):
        y, value = 0.04 + row * (place + 0.5), block.values[i]
        tip = f"{block.labels[i]}: {numbers[place]}"
        start, stop = sorted((scale(0), scale(value)))
        colour = "warm" if value >= 0 else "cool"
        picture.add(Label(left - 0.08, y, labels[place], size, anchor="end"))
        picture.add(Area(box(start, y - row * 0.36, max(stop - start, 0.004), row * 0.72), colour, tip=tip))
        if block.low and block.high:
            ends_x = scale(block.low[i]), scale(block.high[i])
            picture.add(Stroke(((ends_x[0], y), (ends_x[1], y)), "paper", 2.6))
            picture.add(Stroke(((ends_x[0], y), (ends_x[1], y)), "ink", 1.2, tip=tip))
        picture.add(Label(WIDTH, y, numbers[place], size, anchor="end"))
    picture.add(Stroke(((scale(0), 0), (scale(0), bottom)), "ink", 0.8))
    return picture


def lines(block: Lines) -> Picture:
    """Curves with their bands; the names above, the named heights at the right."""
    xs = [x for series in block.series for x in series.x]
    ys = [y for s in block.series for values in (s.y, s.low, s.high) for y in values]
    ys += [value for value, _ in block.levels]
    top = _legend_height(block.series) + line_height(_TEXT) + 0.08
    bottom = top + 2.9
    heights = _Scale(*_range(min(ys), max(ys)), bottom, top)
    left = max(text_width(f"{tick:g}", _TEXT) for tick in heights.ticks) + 0.12
    names = [fit(name, _SMALL, 1.6) for _, name in block.levels]
    right = WIDTH - max((text_width(name, _SMALL) + 0.12 for name in names), default=0.15)
    pad = 0.0 if block.log_x else 0.03
    places = _Scale(*_range(min(xs), max(xs), pad=pad, log=block.log_x), left, right, log=block.log_x)

    picture = Picture(WIDTH, bottom + 0.12 + 2 * line_height(_SMALL))
    _legend(picture, block.series)
    picture.add(Label(0, top - 0.14, block.y_title, _TEXT, "quiet"))
    for tick in heights.ticks:
        picture.add(Stroke(((left, heights(tick)), (right, heights(tick))), "rule", 0.6))
        picture.add(Label(left - 0.07, heights(tick), f"{tick:g}", _TEXT, "quiet", anchor="end"))
    _x_axis(picture, places, top, bottom, block.x_title, block.ticks)
    spots = _spread([heights(value) for value, _ in block.levels], line_height(_SMALL), bottom)
    for (value, full), name, spot in zip(block.levels, names, spots, strict=True):
        level = ((left, heights(value)), (right, heights(value)))
        picture.add(Stroke(level, "quiet", 1.1, (3, 2), tip=f"{full}: {number(value)}"))
        picture.add(Label(right + 0.06, spot, name, _SMALL, "quiet", tip=full))
    for i, series in enumerate(block.series):
        if series.low and series.high:
            edge = [(places(x), heights(y)) for x, y in zip(series.x, series.high, strict=True)]
            back = [(places(x), heights(y)) for x, y in zip(series.x, series.low, strict=True)]
            picture.add(Area((*edge, *reversed(back)), _HUES[i % 6], 0.15))
    for i, series in enumerate(block.series):
        hue = _HUES[i % 6]
        points = tuple((places(x), heights(y)) for x, y in zip(series.x, series.y, strict=True))
        if len(points) > 1:
            picture.add(Stroke(points, hue, 1.5, DASHES[i // 6 % 6 if len(block.series) > 6 else i]))
        for j, (x, y) in enumerate(points):
            radius = 0.032 if len(points) <= 40 else 0.02
            picture.add(Dot(x, y, radius, hue, tip=_point_tip(block, series, j)))
    return picture


def scatter(block: Scatter) -> Picture:
    """Points, the notable ones labelled where there is room; with the diagonal, on a square."""
    xs, ys = (block.x + block.y,) * 2 if block.diagonal else (block.x, block.y)
    x_range, y_range = _range(min(xs), max(xs), pad=0.06), _range(min(ys), max(ys), pad=0.06)
    top = 0.08 + line_height(_TEXT)
    height = 4.4 if block.diagonal else 3.6
    heights = _Scale(*y_range, top + height, top)
    left = max(text_width(f"{tick:g}", _TEXT) for tick in heights.ticks) + 0.12
    right = left + height if block.diagonal else WIDTH - 0.1
    places = _Scale(*x_range, left, right)
    bottom = top + height

    picture = Picture(WIDTH, bottom + 0.12 + 2 * line_height(_SMALL))
    picture.add(Label(0, 0.08, block.y_title, _TEXT, "quiet"))
    for tick in heights.ticks:
        picture.add(Stroke(((left, heights(tick)), (right, heights(tick))), "rule", 0.6))
        picture.add(Label(left - 0.07, heights(tick), f"{tick:g}", _TEXT, "quiet", anchor="end"))
    _x_axis(picture, places, top, bottom, block.x_title)
    if block.diagonal:
        picture.add(Stroke(((left, bottom), (right, top)), "quiet", 1, (3, 2), tip="y = x"))
    radius = 0.035 if len(block.x) <= 200 else 0.022
    dots = [(places(x), heights(y)) for x, y in zip(block.x, block.y, strict=True)]
    for i, (x, y) in enumerate(dots):
        tip = f"{block.labels[i]}: {block.x_title} {number(block.x[i])}, {block.y_title} {number(block.y[i])}"
        picture.add(Dot(x, y, radius, "s1" if i in block.labelled else "s0", tip=tip))
    unnamed = _label_points(picture, block, dots, radius, (left, top, right, bottom))
    if unnamed:
        text = f"no room for {', '.join(block.labels[i] for i in unnamed)}"
        room = WIDTH - text_width(block.y_title, _TEXT) - 0.4
        picture.add(Label(WIDTH, 0.08, fit(text, _SMALL, room), _SMALL, "quiet", anchor="end", tip=text))
    return picture


# ---- the parts ----


def _x_axis(
    picture: Picture,
    scale: _Scale,
    top: float,
    bottom: float,
    title: str,
    named: Sequence[tuple[float, str]] = (),
) -> None:
    """Faint lines upwards with their values below, as many as fit, and what they are."""
    ticks = list(named) or [(tick, f"{tick:g}") for tick in scale.ticks]
    end = -math.inf
    for value, text in ticks:
        half = text_width(text, _SMALL) / 2
        if scale(value) - half < end + 0.06 or scale(value) + half > picture.width:
            continue
        end = scale(value) + half
        picture.add(Stroke(((scale(value), top), (scale(value), bottom)), "rule", 0.6))
        picture.add(Label(scale(value), bottom + 0.1, text, _SMALL, "quiet", anchor="middle"))
    picture.add(Stroke(((scale.start, bottom), (scale.stop, bottom)), "rule", 1))
    middle, half = (scale.start + scale.stop) / 2, text_width(title, _TEXT) / 2
    middle = min(max(middle, half), picture.width - half)
    picture.add(Label(middle, bottom + 0.1 + line_height(_SMALL), title, _TEXT, "quiet", anchor="middle"))


def _legend_rows(series: Sequence[Series]) -> list[list[tuple[int, str, float]]]:
    """(which, its name, where it begins), in rows that fit."""
    rows: list[list[tuple[int, str, float]]] = [[]]
    x = 0.0
    for i, one in enumerate(series):
        name = fit(one.name, _TEXT, WIDTH - 0.5)
        needs = 0.42 + text_width(name, _TEXT) + 0.2
        if rows[-1] and x + needs > WIDTH:
            rows.append([])
            x = 0.0
        rows[-1].append((i, name, x))
        x += needs
    return rows


def _legend_height(series: Sequence[Series]) -> float:
    return len(_legend_rows(series)) * line_height(_TEXT) + 0.06


def _legend(picture: Picture, series: Sequence[Series]) -> None:
    """Above the axes: a piece of each line and its name."""
    for row, entries in enumerate(_legend_rows(series)):
        y = 0.08 + row * line_height(_TEXT)
        for i, name, x in entries:
            dash = DASHES[i // 6 % 6 if len(series) > 6 else i]
            picture.add(Stroke(((x, y), (x + 0.34, y)), _HUES[i % 6], 1.5, dash))
            picture.add(Label(x + 0.42, y, name, _TEXT, tip=series[i].name))


def _point_tip(block: Lines, series: Series, i: int) -> str:
    x = dict(block.ticks).get(series.x[i], number(series.x[i]))
    band = f" [{number(series.low[i])}, {number(series.high[i])}]" if series.low and series.high else ""
    return f"{series.name}: {block.x_title} {x}, {block.y_title} {number(series.y[i])}{band}"


def _with_interval(block: Bars, i: int) -> str:
    write = _places(block.values)
    band = f" [{write(block.low[i])}, {write(block.high[i])}]" if block.low and block.high else ""
    return write(block.values[i]) + band


def _places(values: Sequence[float]) -> Callable[[float], str]:
    """Three digits of the largest, the same number of decimals for all."""
    largest = max((abs(v) for v in values), default=0)
    places = 2 if not largest else min(max(2 - math.floor(math.log10(largest)), 0), 6)
    return lambda value: decimal(value, places)


def _range(low: float, high: float, *, pad: float = 0.05, log: bool = False) -> tuple[float, float]:
    """A little more than from `low` to `high`, and never nothing."""
    if log:
        return (low, high) if high > low else (low / 2, high * 2)
    if high - low <= 1e-12 * max(abs(low), abs(high), 1e-300):
        spare = abs(low) / 2 or 1.0
        return low - spare, high + spare
    return low - pad * (high - low), high + pad * (high - low)


def _spread(places: Sequence[float], apart: float, bottom: float) -> list[float]:
    """The places moved down, and then up, until each is `apart` from the next."""
    order = sorted(range(len(places)), key=lambda i: places[i])
    found = list(places)
    for a, b in pairwise(order):
        found[b] = max(found[b], found[a] + apart)
    for i, limit in zip(reversed(order), range(len(order)), strict=True):
        found[i] = min(found[i], bottom - limit * apart)
    return found


def _label_points(
    picture: Picture, block: Scatter, dots: Sequence[tuple[float, float]], radius: float, frame: Box
) -> list[int]:
    """Put each label beside its point where it touches nothing, farther away with a line; return the rest."""
    taken: list[Box] = [(x - radius, y - radius, x + radius, y + radius) for x, y in dots]
    if block.diagonal:
        left, top, right, bottom = frame
        steps = [i / 100 for i in range(101)]
        line = [(left + t * (right - left), bottom - t * (bottom - top)) for t in steps]
        taken += [(x - 0.03, y - 0.03, x + 0.03, y + 0.03) for x, y in line]
    unnamed = []
    for i in block.labelled:
        x, y = dots[i]
        text = fit(block.labels[i], _SMALL, 1.8)
        width, height = text_width(text, _SMALL), _SMALL / 72
        for away in (0.05, 0.14, 0.26, 0.42, 0.62):
            spots = [
                (x + dx * (radius + away) + (dx - 1) / 2 * width, y + dy * (radius + away) - height / 2)
                for dx, dy in ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (1, 1), (-1, -1), (-1, 1))
            ]
            free = [spot for spot in spots if _free((*spot, spot[0] + width, spot[1] + height), taken, frame)]
            if free:
                left, top = free[0]
                if away > 0.1:
                    nearest = min(max(x, left), left + width), min(max(y, top), top + height)
                    picture.add(Stroke(((x, y), nearest), "quiet", 0.6))
                picture.add(Label(left, top + height / 2, text, _SMALL, tip=block.labels[i]))
                taken.append((left, top, left + width, top + height))
                break
        else:
            unnamed.append(i)
    return unnamed


def _free(spot: Box, taken: Sequence[Box], frame: Box) -> bool:
    inside = spot[0] >= frame[0] and spot[1] >= frame[1] and spot[2] <= frame[2] and spot[3] <= frame[3]
    return inside and not any(
        spot[0] < other[2] and other[0] < spot[2] and spot[1] < other[3] and other[1] < spot[3]
        for other in taken
    )
