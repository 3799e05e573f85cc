"""The presentation of numbers over the checkpoints of a training: a panel for each, on one axis of steps."""

from __future__ import annotations

import math

import numpy as np

from interp.figures.engine.notation import count, decimal, measured, show_text
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Block, Lines, Panels, Series, Table, View, Words
from interp.methods.comparison.results import OverCheckpointsResult

_WIDE = 50.0  # times the first step after 0: from there on the axis may be logarithmic,
_WIDER = 1000.0  # from there on it is


def view(result: OverCheckpointsResult) -> View:
    """What comes when, a panel for each measure, the way of each, and all numbers."""
    return View(
        title="What comes when in training?",
        above=(_asked(result),),
        blocks=(
            Words(verdict(result), strong=True, name="verdict"),
            *_panels(result),
            _ways(result),
            _table(result),
        ),
        below=(
            "Half-way: the first checkpoint at which a number has come half of the way from its first value "
            "to the one farthest from that; what happens between two checkpoints is not seen. Bands: 95 %, "
            "where the result had an interval. The maximum of many scores is above 0 before training, too.",
        ),
    )


figure, table, report = presentation(view)


def _asked(result: OverCheckpointsResult) -> str:
    first, last = (show_text(result.checkpoints[i]) for i in (0, -1))
    beside = f"; dashed: {show_text(result.final)}" if result.final else ""
    return f"{count(len(result.checkpoints), 'checkpoint')}, {first} to {last}{beside}."


def verdict(result: OverCheckpointsResult) -> str:
    """Which numbers have come half of their way by which checkpoint, and which never move."""
    by: dict[int, list[str]] = {}
    still = []
    for i, name in enumerate(result.measures):
        if _moves(result, i):
            by.setdefault(halfway(result.values[:, i]), []).append(name)
        else:
            still.append(name)
    said = "; ".join(f"by {_at(result, half)} {_named(names)}" for half, names in sorted(by.items()))
    sentences = [f"Half of the way: {said}."] if said else []
    return " ".join([*sentences, *([f"Never told from its first value: {_named(still)}."] if still else [])])


def _moves(result: OverCheckpointsResult, i: int) -> bool:
    """Whether a number is ever another than at first: where both have intervals, whether these are apart."""
    far = farthest(result.values[:, i])
    low, high = result.low[:, i], result.high[:, i]
    return bool(far) and not (low[far] <= high[0] and low[0] <= high[far])  # NaN: no interval


def _named(names: list[str]) -> str:
    """Measures in a sentence, the lines of a panel together: ``CKA (layer 0, layer 2), loss``."""
    lines: dict[str, list[str]] = {}
    for name in names:
        panel, _, line = name.partition(": ")
        lines.setdefault(panel, []).extend([show_text(line)] if line else [])
    return ", ".join(
        f"{show_text(panel)} ({', '.join(own)})" if own else show_text(panel) for panel, own in lines.items()
    )


def _at(result: OverCheckpointsResult, i: int) -> str:
    return f"step {result.steps[i]:.0f}" if result.in_steps else show_text(result.checkpoints[i])


def _ways(result: OverCheckpointsResult) -> Table:
    """From where each number goes how far, and when it is half-way."""
    rows = []
    for i, name in enumerate(result.measures):
        values = result.values[:, i]
        far = farthest(values)
        ends = [measured(float(values[j])) for j in (0, far, -1)]
        when = [_at(result, j) for j in (far, halfway(values))] if _moves(result, i) else ["", ""]
        rows.append((show_text(name), ends[0], when[1], ends[1], when[0], ends[2]))
    columns = ("", "at first", "half-way by", "farthest from that", "at", "at last")
    return Table(columns, tuple(rows), name="ways")


def farthest(values: np.ndarray) -> int:
    """The first place of the value farthest from the first one; 0 where all are the same."""
    return int(np.abs(values - values[0]).argmax())


def halfway(values: np.ndarray) -> int:
    """The first place at which half of the way to the value farthest from the first is behind."""
    gone = np.abs(values - values[0])
    towards = np.sign(values - values[0]) == np.sign((values - values[0])[gone.argmax()])
    return int(np.argmax((gone >= gone.max() / 2) & towards))


def _panels(result: OverCheckpointsResult) -> list[Block]:
    """The lines of each panel, whose name stands before the colon."""
    x, ticks, x_title = _axis(result)
    by_panel: dict[str, list[int]] = {}
    for i, name in enumerate(result.measures):
        by_panel.setdefault(name.split(": ")[0], []).append(i)
    panels = []
    for title, rows in by_panel.items():
        series = tuple(_series(result, i, x) for i in rows)
        levels: tuple[tuple[float, str], ...] = ()
        if result.final:
            levels = tuple((float(result.final_values[i]), _level(result, i, rows)) for i in rows)
        panels.append(Lines(series, x_title, show_text(title), ticks=ticks, levels=levels))
    if len(panels) == 1:
        one = panels[0]
        return [Lines(one.series, x_title, one.y_title, ticks=ticks, levels=one.levels, name="measures")]
    return [Panels(tuple(panels), name="measures", media=("figure", "page"))]


def _level(result: OverCheckpointsResult, i: int, rows: list[int]) -> str:
    if len(rows) == 1:
        return show_text(result.final, max_chars=16)
    line = show_text(result.measures[i].split(": ")[-1], max_chars=20)
    return f"{line} {decimal(float(result.final_values[i]))}"


def _series(result: OverCheckpointsResult, i: int, x: tuple[float, ...]) -> Series:
    name = show_text(result.measures[i].split(": ")[-1])
    low, high = (ends[:, i] for ends in (result.low, result.high))
    whole = np.isfinite(low).all() and np.isfinite(high).all()
    values = tuple(map(float, result.values[:, i]))
    if not whole:
        return Series(name, x, values)
    return Series(name, x, values, low=tuple(map(float, low)), high=tuple(map(float, high)))


def _axis(result: OverCheckpointsResult) -> tuple[tuple[float, ...], tuple[tuple[float, str], ...], str]:
    """Where the checkpoints stand, what they are called there, and what the axis is: of steps that go far
    (`_goes_far`), the logarithm of one more than each, so that step 0 has a place."""
    steps = result.steps
    if not result.in_steps:
        x = tuple(map(float, steps))
        return x, tuple(zip(x, map(show_text, result.checkpoints), strict=True)), "checkpoint, in order"
    names = tuple(f"{step:.0f}" for step in steps)
    if _goes_far(steps):
        x = tuple(math.log10(1 + step) for step in steps)
        return x, tuple(zip(x, names, strict=True)), "training step (logarithm of step + 1)"
    x = tuple(map(float, steps))
    return x, tuple(zip(x, names, strict=True)), "training step"


def _goes_far(steps: np.ndarray) -> bool:
    """Whether a linear axis would have most checkpoints in one place: over a great factor, or over a lesser
    one with more than half of the axis between two of them."""
    after = steps[steps > 0]
    if not len(after) or steps.min() < 0 or len(steps) < 2:
        return False
    factor = after.max() / after.min()
    return bool(factor >= _WIDER or (factor >= _WIDE and np.diff(steps).max() > np.ptp(steps) / 2))


def _table(result: OverCheckpointsResult) -> Table:
    rows: list[tuple[str | float, ...]] = [
        (show_text(name), *map(float, values))
        for name, values in zip(result.checkpoints, result.values, strict=True)
    ]
    if result.final:
        rows.append((show_text(result.final), *map(float, result.final_values)))
    title = "; ".join(
        f"{show_text(m)} is {show_text(how)}" for m, how in zip(result.measures, result.made_by, strict=True)
    )
    columns = ("checkpoint", *map(show_text, result.measures))
    return Table(columns, tuple(rows), title=title, name="numbers", media=("terminal", "page"))
