"""The presentation of numbers over the checkpoints of a training: a panel for each, on one axis of steps."""

from __future__ import annotations

import math

import numpy as np

from interp.figures.engine.notation import count, decimal, measured, show_text
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Block, Lines, Panels, Series, Table, View, Words
from interp.methods.comparison.results import OverCheckpointsResult

_WIDE = 50.0  # times the first step after 0: from there on the axis is logarithmic


def view(result: OverCheckpointsResult) -> View:
    """A sentence for each measure, a panel for each, and all numbers."""
    return View(
        title="What comes when in training?",
        above=(_asked(result),),
        blocks=(
            Words(" ".join(verdicts(result)), strong=True, name="verdict"),
            *_panels(result),
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


def verdicts(result: OverCheckpointsResult) -> list[str]:
    """When each number has come half of its way."""
    return [
        f"{show_text(name)}: {_way(result.values[:, i], result)}." for i, name in enumerate(result.measures)
    ]


def _way(values: np.ndarray, result: OverCheckpointsResult) -> str:
    far = int(np.abs(values - values[0]).argmax())
    if not far:
        return f"{measured(float(values[0]))} throughout"
    half = halfway(values)
    at = f"step {result.steps[half]:.0f}" if result.in_steps else show_text(result.checkpoints[half])
    from_to = " to ".join(measured(float(values[i])) for i in (0, far))
    return f"{from_to}, half-way by {at}"


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
    return decimal(float(result.final_values[i])) if len(rows) > 1 else show_text(result.final, max_chars=16)


def _series(result: OverCheckpointsResult, i: int, x: tuple[float, ...]) -> Series:
    name = show_text(result.measures[i].split(": ")[-1])
    low, high = (ends[:, i] for ends in (result.low, result.high))
    whole = np.isfinite(low).all() and np.isfinite(high).all()
    values = tuple(map(float, result.values[:, i]))
    if not whole:
        return Series(name, x, values)
    return Series(name, x, values, low=tuple(map(float, low)), high=tuple(map(float, high)))


def _axis(result: OverCheckpointsResult) -> tuple[tuple[float, ...], tuple[tuple[float, str], ...], str]:
    """Where the checkpoints stand, what they are called there, and what the axis is: of steps that go over
    more than a factor, the logarithm of one more than each, so that step 0 has a place."""
    steps = result.steps
    if not result.in_steps:
        x = tuple(map(float, steps))
        return x, tuple(zip(x, map(show_text, result.checkpoints), strict=True)), "checkpoint, in order"
    names = tuple(f"{step:.0f}" for step in steps)
    after = steps[steps > 0]
    if len(after) and after.max() / after.min() >= _WIDE and steps.min() >= 0:
        x = tuple(math.log10(1 + step) for step in steps)
        return x, tuple(zip(x, names, strict=True)), "training step (logarithm of step + 1)"
    x = tuple(map(float, steps))
    return x, tuple(zip(x, names, strict=True)), "training step"


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
