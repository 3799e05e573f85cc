"""Charts as blocks of a view: bars, lines and points, each with all its numbers as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Literal

import numpy as np

from interp.figures.engine.blocks import Chart, Table, check_finite, check_shown, in_sentences, number
from interp.figures.engine.notation import count, decimal


def _leave_out_missing(block: Bars | Series) -> None:
    """No ends are drawn where all intervals of a block are missing, as of one prompt."""
    if block.low and np.isnan([*block.low, *block.high]).all():
        for name in ("low", "high"):
            object.__setattr__(block, name, ())


@dataclass(frozen=True)
class Bars(Chart):
    """Labelled values from 0, to the right or to the left, perhaps with an interval each."""

    labels: tuple[str, ...]
    values: tuple[float, ...]
    unit: str
    _: KW_ONLY
    low: tuple[float, ...] = ()  # NaN, all of them: there is no interval
    high: tuple[float, ...] = ()
    note: str = ""  # what the sign and the intervals mean
    worse: Literal["", "above", "below"] = ""  # on which side of 0 a value is worse: that side is warm
    symlog: bool = False  # linear up to 1 and -1, logarithmic beyond
    most: int = 60  # of more, the largest are drawn, and it is said

    def __post_init__(self) -> None:
        super().__post_init__()
        _leave_out_missing(self)
        for values in (self.values, self.low or self.values, self.high or self.values):
            check_shown(len(values) == len(self.labels), f"{len(values)} values for {len(self.labels)} bars")
            check_finite(values)

    @property
    def is_empty(self) -> bool:
        return not self.labels

    def has_ends(self, i: int) -> bool:
        """Whether a bar has an interval: not where it is of a single measurement."""
        return bool(self.low and self.high and self.low[i] < self.high[i])

    def is_warm(self, i: int) -> bool:
        """Whether a bar is drawn in the warm colour: above 0, or where it is worse if one side is."""
        return bool(self.values[i] < 0) == (self.worse == "below")

    @property
    def largest(self) -> list[int]:
        """Which are drawn: all, or the `most` largest, in their given order."""
        return largest_of(self.values, self.most)

    @property
    def key(self) -> str:
        """What the signs mean, and whether all are drawn."""
        worse = "Warm: worse; blue: better." if self.worse else ""
        return in_sentences(worse, self.note, left_out_note(len(self.largest), len(self.values), "value"))

    @property
    def table(self) -> Table:
        """All numbers."""
        columns = [self.labels, self.values, *(c for c in (self.low, self.high) if c)]
        names = ("", self.unit, *(n for n, c in (("low", self.low), ("high", self.high)) if c))
        return Table(names, tuple(zip(*columns, strict=True)), title=self.title or self.unit)


@dataclass(frozen=True)
class Series:
    """A line of `Lines`: its points from left to right, perhaps with a band."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    _: KW_ONLY
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    hollow: tuple[int, ...] = ()  # which points are drawn as rings; what that means, the chart's note says

    def __post_init__(self) -> None:
        _leave_out_missing(self)
        for values in (self.y, self.low or self.x, self.high or self.x):
            check_shown(len(values) == len(self.x), f"{len(values)} values at {len(self.x)} places")
            check_finite((*values, *self.x))


@dataclass(frozen=True)
class Lines(Chart):
    """Series over a common x axis."""

    series: tuple[Series, ...]
    x_title: str
    y_title: str
    _: KW_ONLY
    log_x: bool = False
    log_y: bool = False
    symlog_y: bool = False  # linear up to 1, logarithmic beyond: for values of all sizes, 0 among them
    y_range: tuple[float, float] | None = None  # of the y axis; None: as far as the values go
    downwards: bool = False  # the smallest y at the top, as of ranks
    ticks: tuple[tuple[float, str], ...] = ()  # labels of the x axis, such as layers; none: round numbers
    levels: tuple[tuple[float, str], ...] = ()  # named heights: (1, "the full model")
    x_marks: tuple[tuple[float, str], ...] = ()  # named places of the x axis: (3, "crossover: layer 3")
    note: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        xs = [x for series in self.series for x in series.x]
        check_shown(not self.log_x or all(x > 0 for x in xs), "x at or below 0 on a logarithmic axis")
        ys = [y for one in self.series for values in (one.y, one.low, one.high) for y in values]
        check_shown(not self.log_y or all(y > 0 for y in ys), "y at or below 0 on a logarithmic axis")

    @property
    def is_empty(self) -> bool:
        return not any(series.x for series in self.series)

    @property
    def key(self) -> str:
        """What the lines and bands mean."""
        return self.note

    @property
    def table(self) -> Table:
        """All numbers: a row for each x, a column for each series."""
        return _by_x(self.series, self, title=self.title or f"{self.y_title} by {self.x_title}")


@dataclass(frozen=True)
class Panels(Chart):
    """Small `Lines` with the same x axis, one above the other."""

    panels: tuple[Lines, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        axes = {(lines.x_title, lines.ticks, lines.log_x) for lines in self.panels}
        check_shown(len(axes) <= 1, "panels with different x axes")

    @property
    def is_empty(self) -> bool:
        return all(lines.is_empty for lines in self.panels)

    @property
    def key(self) -> str:
        """What the lines and marks of all panels mean."""
        return in_sentences(*dict.fromkeys(lines.key for lines in self.panels))

    @property
    def table(self) -> Table:
        """All numbers: a row for each x, a column for each series."""
        series = [one for lines in self.panels for one in lines.series]
        titles = ", ".join(lines.y_title for lines in self.panels)
        return _by_x(series, self.panels[0], title=self.title or f"{titles} by {self.panels[0].x_title}")


@dataclass(frozen=True, kw_only=True)
class Scatter(Chart):
    """Points, the notable ones labelled."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    labels: tuple[str, ...]
    x_title: str
    y_title: str
    labelled: tuple[int, ...] = ()  # which points bear their label in the picture
    diagonal: bool = False  # the line y = x, and one scale for both axes
    pearson: float | None = None
    spearman: float | None = None
    note: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_shown(len(self.x) == len(self.y) == len(self.labels), "x, y and labels of different lengths")
        check_finite((*self.x, *self.y))

    @property
    def is_empty(self) -> bool:
        return not self.x

    @property
    def correlations(self) -> str:
        """Pearson's and Spearman's, where given."""
        given = (("Pearson", self.pearson), ("Spearman", self.spearman))
        return ", ".join(f"{name} {decimal(value)}" for name, value in given if value is not None)

    @property
    def key(self) -> str:
        """The correlations, and what the picture says."""
        found = f"Correlation: {self.correlations}." if self.correlations else ""
        return in_sentences(found, "Dashed: y = x." if self.diagonal else "", self.note)

    @property
    def table(self) -> Table:
        """All points, the labelled ones first."""
        first = [*self.labelled, *(i for i in range(len(self.x)) if i not in set(self.labelled))]
        rows = tuple((self.labels[i], self.x[i], self.y[i]) for i in first)
        return Table(("", self.x_title, self.y_title), rows, title=self.title or f"{len(self.x)} points")


def _by_x(series: Sequence[Series], axis: Lines, *, title: str) -> Table:
    """The numbers of the series, a row for each x, named as the axis names it."""
    xs = sorted({x for one in series for x in one.x})
    named = dict(axis.ticks)
    columns: list[tuple[str, dict[float, str | float]]] = []
    for one in series:
        bands = (("", one.y), (" low", one.low), (" high", one.high))
        columns += [(one.name + of, dict(zip(one.x, ys, strict=True))) for of, ys in bands if ys]
    rows = tuple((named.get(x, number(x)), *(values.get(x, "") for _, values in columns)) for x in xs)
    return Table((axis.x_title, *(name for name, _ in columns)), rows, title=title)


def left_out_note(n: int, of: int, what: str) -> str:
    """A sentence that some are not drawn; nothing where all are."""
    return "" if n == of else f"The {n} largest of {count(of, what)} are drawn."


def largest_of(values: Sequence[float], most: int) -> list[int]:
    """Which values are the `most` farthest from 0, in the order in which they are given."""
    order = sorted(range(len(values)), key=lambda i: (-abs(values[i]), i))
    return sorted(order[:most])
