"""A view as a matplotlib figure: the blocks one below the other, on a sheet as wide as they need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from matplotlib.figure import Figure

from interp.figures.engine import charts, drawing, picture
from interp.figures.engine.graph_chart import graph
from interp.figures.engine.grid_drawing import GridPlan
from interp.figures.engine.picture import Picture
from interp.figures.engine.view import (
    Attention,
    Bars,
    Block,
    Chart,
    Graph,
    Grid,
    Lines,
    Scatter,
    Table,
    View,
    Words,
)

_LEAST = 5.8  # inches of room for text
_GAP = 0.2
_WIDEST_TABLE, _WIDEST_PANELS = 8.6, 13.0
_WORDS, _CELLS, _KEY = 8.5, 8.0, 7.5


class Plan(Protocol):
    """A block laid out: it needs so much width, and has its height once it knows what it gets."""

    width: float

    def height(self, room: float) -> float: ...

    def draw(self, figure: Figure, left: float, top: float, room: float) -> None: ...


def figure_of(view: View, *, notes: Sequence[str] = ()) -> Figure:
    """The view as a figure, with further `notes` at its end. The same view gives the same bytes."""
    plans = _side_by_side([_plan(block) for block in view.shown_in("figure")])
    room = max([_LEAST, *(plan.width for plan in plans)])
    heights = [plan.height(room) for plan in plans]
    figure, top = drawing.sheet(
        width=room + 2 * drawing.MARGIN,
        body=sum(heights) + _GAP * len(plans),
        title=view.title,
        above=view.above,
        below=[*view.below, *notes],
    )
    for plan, height in zip(plans, heights, strict=True):
        plan.draw(figure, drawing.MARGIN, top, room)
        top += height + _GAP
    return figure


def chart(block: Chart) -> Picture:
    """The picture of a chart, for a figure and for a page."""
    if isinstance(block, Bars):
        return charts.bars(block)
    if isinstance(block, Lines):
        return charts.lines(block)
    if isinstance(block, Scatter):
        return charts.scatter(block)
    assert isinstance(block, Graph), f"a chart of kind {type(block).__name__}"
    return graph(block)


def _plan(block: Block) -> Plan:
    if isinstance(block, Words):
        return _Words(block)
    if isinstance(block, Table):
        return _Table(block)
    if isinstance(block, Grid):
        return GridPlan(block)
    if isinstance(block, Attention):
        return _Panels(block)
    assert isinstance(block, Chart), f"a block of kind {type(block).__name__}"
    return _Chart(block)


def _side_by_side(plans: Sequence[Plan]) -> list[Plan]:
    """Grids that follow each other and are of one shape, as many in a row as fit."""
    found: list[Plan] = []
    for plan in plans:
        last = found[-1] if found else None
        if isinstance(plan, GridPlan) and isinstance(last, _Row) and last.takes(plan):
            found[-1] = _Row([*last.plans, plan])
        else:
            found.append(_Row([plan]) if isinstance(plan, GridPlan) else plan)
    return found


class _Row:
    def __init__(self, plans: list[GridPlan]) -> None:
        self.plans = plans
        self.width = sum(plan.width + 0.4 for plan in plans) - 0.4

    def takes(self, plan: GridPlan) -> bool:
        """Whether another grid has room beside these and belongs there."""
        same = plan.grid.values.shape == self.plans[0].grid.values.shape
        return same and self.width + 0.4 + plan.width <= _WIDEST_PANELS

    def _rooms(self, room: float) -> list[float]:
        return [room] if len(self.plans) == 1 else [plan.width for plan in self.plans]

    def height(self, room: float) -> float:
        return max(plan.height(own) for plan, own in zip(self.plans, self._rooms(room), strict=True))

    def draw(self, figure: Figure, left: float, top: float, room: float) -> None:
        for plan, own in zip(self.plans, self._rooms(room), strict=True):
            plan.draw(figure, left, top, own)
            left += plan.width + 0.4


class _Words:
    width = 0.0

    def __init__(self, block: Words) -> None:
        self.block = block

    def _lines(self, room: float) -> list[str]:
        return drawing.wrap(self.block.text, _WORDS, room * (0.88 if self.block.strong else 1))

    def height(self, room: float) -> float:
        return len(self._lines(room)) * drawing.line_height(_WORDS)

    def draw(self, figure: Figure, left: float, top: float, room: float) -> None:
        for i, line in enumerate(self._lines(room)):
            y = top + i * drawing.line_height(_WORDS)
            drawing.write(figure, left, y, line, _WORDS, bold=self.block.strong)


class _Chart:
    def __init__(self, block: Chart) -> None:
        self.block = block
        self.picture = chart(block)
        self.width = self.picture.width

    def _key(self, room: float) -> list[str]:
        return drawing.wrap(self.block.key, _KEY, room) if self.block.key else []

    def height(self, room: float) -> float:
        return (
            (0.26 if self.block.title else 0)
            + self.picture.height
            + (0.06 + len(self._key(room)) * drawing.line_height(_KEY))
        )

    def draw(self, figure: Figure, left: float, top: float, room: float) -> None:
        if self.block.title:
            title = drawing.fit(self.block.title, 8.5, room * 0.93)
            drawing.write(figure, left, top, title, 8.5, bold=True)
            top += 0.26
        picture.draw(figure, self.picture, left=left, top=top)
        drawing.write_lines(figure, left, top + self.picture.height + 0.06, self._key(room), _KEY)


class _Panels:
    """Grids side by side, as many in a row as fit; they share a colour scale."""

    def __init__(self, block: Attention) -> None:
        self.block = block
        n = len(block.patterns)
        self.plans = [
            GridPlan(grid, room=4.6 if n == 1 else 2.7, scale=i == n - 1, key=False)
            for i, grid in enumerate(block.grids)
        ]
        self.rows: list[list[GridPlan]] = [[]]
        for plan in self.plans:
            if self.rows[-1] and sum(p.width + 0.3 for p in self.rows[-1]) + plan.width > _WIDEST_PANELS:
                self.rows.append([])
            self.rows[-1].append(plan)
        self.width = max(sum(plan.width + 0.3 for plan in row) - 0.3 for row in self.rows)

    def _key(self, room: float) -> list[str]:
        return drawing.wrap(self.plans[0].grid.key, _KEY, room)

    def height(self, room: float) -> float:
        rows = sum(max(plan.height(room) for plan in row) for row in self.rows) + 0.1 * (len(self.rows) - 1)
        return (0.26 if self.block.title else 0) + rows + len(self._key(room)) * drawing.line_height(_KEY)

    def draw(self, figure: Figure, left: float, top: float, room: float) -> None:
        if self.block.title:
            title = drawing.fit(self.block.title, 8.5, room * 0.93)
            drawing.write(figure, left, top, title, 8.5, bold=True)
            top += 0.26
        for row in self.rows:
            x = left
            for plan in row:
                plan.draw(figure, x, top, room)
                x += plan.width + 0.3
            top += max(plan.height(room) for plan in row) + 0.1
        drawing.write_lines(figure, left, top - 0.1, self._key(room), _KEY)


class _Table:
    """Columns as wide as their texts, the widest narrowed and their texts broken where there is no room."""

    def __init__(self, block: Table) -> None:
        self.block = block
        self.texts = [list(block.columns), *block.texts]
        gap = 0.18
        self.widths = [
            max(drawing.text_width(row[i], _CELLS, bold=True) for row in self.texts) / 0.87 + gap
            for i in range(len(block.columns))
        ]
        while sum(self.widths) > _WIDEST_TABLE and max(self.widths) > 0.9:
            widest = self.widths.index(max(self.widths))
            self.widths[widest] = max(self.widths[widest] * 0.92, 0.9)
        self.lines = [
            [drawing.wrap(text, _CELLS, (w - gap) * 0.88) for text, w in zip(row, self.widths, strict=True)]
            for row in self.texts  # bold is wider than `wrap` knows
        ]
        self.width = sum(self.widths)

    def _row_height(self, row: int) -> float:
        return max(map(len, self.lines[row])) * drawing.line_height(_CELLS) + 0.05

    def height(self, room: float) -> float:
        return (0.26 if self.block.title else 0) + sum(self._row_height(i) for i in range(len(self.lines)))

    def draw(self, figure: Figure, left: float, top: float, room: float) -> None:
        if self.block.title:
            title = drawing.fit(self.block.title, 8.5, room * 0.93)
            drawing.write(figure, left, top, title, 8.5, bold=True)
            top += 0.26
        rules = Picture(self.width, self.height(room))
        y = 0.0
        for row, cells in enumerate(self.lines):
            x = left
            for column, (lines, width) in enumerate(zip(cells, self.widths, strict=True)):
                for i, line in enumerate(lines):
                    bold = row == 0 or row - 1 in self.block.strong
                    used = drawing.text_width(line, _CELLS, bold=bold)
                    at = x + (width - 0.18 - used if self.block.right[column] else 0)
                    colour = drawing.QUIET if row == 0 else drawing.INK
                    place = top + y + i * drawing.line_height(_CELLS) + 0.02
                    drawing.write(figure, at, place, line, _CELLS, colour=colour, bold=bold)
                x += width
            y += self._row_height(row)
            rules.add(picture.Stroke(((0, y), (self.width - 0.18, y)), "rule", 0.6))
        picture.draw(figure, rules, left=left, top=top)
