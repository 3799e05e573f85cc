"""What charts have in common: scales, axes with their numbers, and labels that keep apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from interp.figures.engine.measured_text import line_height, text_width
from interp.figures.engine.notation import round_numbers
from interp.figures.engine.picture import Label, Picture, Stroke

WIDTH = 6.8  # inches
TEXT, SMALL = 8.0, 7.0  # sizes of type, in points
X_AXIS_HEIGHT = 0.12 + 2 * line_height(SMALL)  # inches below the axes: their numbers and title


@dataclass(frozen=True, kw_only=True)
class Scale:
    """From values to inches along an axis."""

    low: float
    high: float
    start: float  # where `low` stands
    stop: float
    log: bool = False
    symlog: bool = False  # logarithmic beyond 1 and -1, and linear between them

    def __call__(self, value: float) -> float:
        a, b, v = map(self._along, (self.low, self.high, value))
        return self.start + (v - a) / (b - a) * (self.stop - self.start)

    def _along(self, value: float) -> float:
        if self.symlog:
            return value if abs(value) <= 1 else math.copysign(1 + math.log10(abs(value)), value)
        return math.log10(value) if self.log else value

    @property
    def ticks(self) -> list[float]:
        """Round values along it."""
        if self.symlog:
            beyond = math.floor(self._along(max(-self.low, self.high, 1.0)))
            sizes = [10.0**power for power in range(beyond)]
            every = [*(-size for size in reversed(sizes)), 0.0, *sizes]
            return [tick for tick in every if self.low <= tick <= self.high]
        if not self.log:
            return [tick for tick in round_numbers(self.low, self.high) if self.low <= tick <= self.high]
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for digits in ((1,), (1, 2, 5), (1, 2, 3, 5, 7)):
            found = [d * 10.0**p for p in powers for d in digits if self.low <= d * 10.0**p <= self.high]
            if len(found) >= 3:
                return found
        return [self.low, self.high]


def padded_range(low: float, high: float, *, pad: float = 0.05, log: bool = False) -> tuple[float, float]:
    """A little more than from `low` to `high`, and never nothing."""
    if log:
        return (low, high) if high > low else (low / 2, high * 2)
    if high - low <= 1e-12 * max(abs(low), abs(high), 1e-300):
        spare = abs(low) / 2 or 1.0
        return low - spare, high + spare
    return low - pad * (high - low), high + pad * (high - low)


def room_for_numbers(scale: Scale) -> float:
    """Inches that the numbers of a y axis take at its left."""
    return max(text_width(f"{tick:g}", TEXT) for tick in scale.ticks) + 0.12


def draw_y_axis(picture: Picture, scale: Scale, *, left: float, right: float) -> None:
    """Faint lines across, with their values at the left."""
    for tick in scale.ticks:
        picture.add(Stroke(((left, scale(tick)), (right, scale(tick))), "rule", 0.6))
        picture.add(Label(left - 0.07, scale(tick), f"{tick:g}", TEXT, "quiet", anchor="end"))


def draw_x_axis(
    picture: Picture,
    scale: Scale,
    *,
    top: float,
    bottom: float,
    title: str = "",
    named: Sequence[tuple[float, str]] = (),
    numbered: bool = True,
) -> None:
    """Faint lines upwards; where `numbered`, with their values below, as many as fit, and what they are."""
    ticks = list(named) or [(tick, f"{tick:g}") for tick in scale.ticks]
    end = -math.inf
    for value, text in ticks:
        half = text_width(text, SMALL) / 2
        if scale(value) - half < end + 0.06 or scale(value) + half > picture.width:
            continue
        end = scale(value) + half
        picture.add(Stroke(((scale(value), top), (scale(value), bottom)), "rule", 0.6))
        if numbered:
            picture.add(Label(scale(value), bottom + 0.1, text, SMALL, "quiet", anchor="middle"))
    picture.add(Stroke(((scale.start, bottom), (scale.stop, bottom)), "rule", 1))
    if numbered and title:
        middle, half = (scale.start + scale.stop) / 2, text_width(title, TEXT) / 2
        middle = min(max(middle, half), picture.width - half)
        picture.add(Label(middle, bottom + 0.1 + line_height(SMALL), title, TEXT, "quiet", anchor="middle"))


def spread(places: Sequence[float], apart: float, bottom: float) -> list[float]:
    """The places moved down, and then up, until each is `apart` from the next."""
    order = sorted(range(len(places)), key=lambda i: places[i])
    found = list(places)
    for a, b in pairwise(order):
        found[b] = max(found[b], found[a] + apart)
    for i, limit in zip(reversed(order), range(len(order)), strict=True):
        found[i] = min(found[i], bottom - limit * apart)
    return found
