"""A view as a matplotlib figure: the blocks one below the other, on a sheet as wide as they need.

Grids of one shape that follow each other, and a block that is to stand beside the one before it, share a row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from matplotlib.figure import Figure

from interp.figures.engine import drawing
from interp.figures.engine.bar_chart import bars
from interp.figures.engine.graph_chart import graph
from interp.figures.engine.grid_drawing import GridPlan
from interp.figures.engine.line_chart import lines, panels
from interp.figures.engine.measured_text import line_height, wrap
from interp.figures.engine.picture import Picture
from interp.figures.engine.picture_drawing import draw_picture
from interp.figures.engine.scatter_chart import scatter
from interp.figures.engine.table_drawing import TablePlan
from interp.figures.engine.view import (
    Attention,
    Bars,
    Block,
    Chart,
    Graph,
    Grid,
    Lines,
    Panels,
    Scatter,
    Table,
    View,
    Words,
)

_LEAST = 5.8  # inches of room for text
_GAP = 0.2  # between blocks, downwards
_WIDEST_ROW = 13.0
_WORDS, _KEY = 8.5, 7.5  # sizes of type


@runtime_checkable
class Plan(Protocol):
    """A block laid out: it needs so much width, and has its height once it knows what it gets."""

    width: float

    def height(self, room: float) -> float:
        """Inches that it takes, of `room` inches of width."""

    def draw(self, figure: Figure, left: float, top: float, room: float) -> None:
        """Put it on the figure, its top left corner at that place in inches."""


def figure_of(view: View, *, notes: Sequence[str] = ()) -> Figure:
    """The view as a figure, with further `notes` at its end. The same view gives the same bytes."""
    plans = _in_rows(view.shown_in("figure"))
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


def chart(block: Chart, *, width: float | None = None) -> Picture:
    """The picture of a chart, for a figure and for a page. Curves, bars and points can be drawn for a column
    of so many inches, with type of the same size."""
    if width is not None and isinstance(block, Lines):
        return lines(block, width=width)
    if width is not None and isinstance(block, Bars):
        return bars(block, width=width)
    if width is not None and isinstance(block, Scatter):
        return scatter(block, width=width)
    draw: dict[type[Chart], Callable[[Any], Picture]] = {
        Bars: bars, Lines: lines, Panels: panels, Scatter: scatter, Graph: graph,
    }  # fmt: skip
    return draw[type(block)](block)


def _plan(block: Block) -> Plan:
    plans: dict[type[Block], Callable[[Any], Plan]] = {
        Words: _WordsPlan, Table: TablePlan, Grid: GridPlan, Attention: _AttentionPlan,
    }  # fmt: skip
    return plans.get(type(block), _ChartPlan)(block)


def _in_rows(blocks: Sequence[Block]) -> list[_Row]:
    """Each block by itself, but for those that share a row with the one before them."""
    rows: list[_Row] = []
    for block in blocks:
        plan = _plan(block)
        if rows and rows[-1].takes(block, plan):
            rows[-1].add(block, plan)
        else:
            rows.append(_Row(block, plan))
    return rows


class _Row:
    """One block, or several side by side."""

    gap = 0.4

    def __init__(self, block: Block, plan: Plan) -> None:
        self.blocks, self.plans = [block], [plan]

    def add(self, block: Block, plan: Plan) -> None:
        self.blocks.append(block)
        self.plans.append(plan)

    def takes(self, block: Block, plan: Plan) -> bool:
        """Whether another block has room beside these and belongs there."""
        first = self.blocks[0]
        alike = (
            isinstance(block, Grid) and isinstance(first, Grid) and block.values.shape == first.values.shape
        )
        return (alike or block.beside) and self.width + self.gap + plan.width <= _WIDEST_ROW

    @property
    def width(self) -> float:
        return sum(plan.width + self.gap for plan in self.plans) - self.gap

    def _rooms(self, room: float) -> list[float]:
        return [room] if len(self.plans) == 1 else [plan.width for plan in self.plans]

    def height(self, room: float) -> float:
        return max(plan.height(own) for plan, own in zip(self.plans, self._rooms(room), strict=True))

    def draw(self, figure: Figure, left: float, top: float, room: float) -> None:
        for plan, own in zip(self.plans, self._rooms(room), strict=True):
            plan.draw(figure, left, top, own)
            left += plan.width + self.gap


class _WordsPlan:
    width = 0.0

    def __init__(self, block: Words) -> None:
        self.block = block

    def _lines(self, room: float) -> list[str]:
        return wrap(self.block.text, _WORDS, room * (0.88 if self.block.strong else 1))

    def height(self, room: float) -> float:
        return len(self._lines(room)) * line_height(_WORDS)

    def draw(self, figure: Figure, left: float, top: float, room: float) -> None:
        for i, line in enumerate(self._lines(room)):
            y = top + i * line_height(_WORDS)
            drawing.write(figure, left, y, line, _WORDS, bold=self.block.strong)


class _ChartPlan:
    def __init__(self, block: Chart) -> None:
        self.block = block
        self.picture = chart(block)
        self.width = self.picture.width

    def _key(self, room: float) -> list[str]:
        return wrap(self.block.key, _KEY, room) if self.block.key else []

    def height(self, room: float) -> float:
        key = 0.06 + len(self._key(room)) * line_height(_KEY)
        return drawing.title_height(self.block.title) + self.picture.height + key

    def draw(self, figure: Figure, left: float, top: float, room: float) -> None:
        top += drawing.write_title(figure, self.block.title, left=left, top=top, room=room)
        draw_picture(figure, self.picture, left=left, top=top)
        drawing.write_lines(figure, left, top + self.picture.height + 0.06, self._key(room), _KEY)


class _AttentionPlan:
    """Grids side by side, as many in a row as fit; they share a colour scale."""

    gap, gap_below = 0.3, 0.1

    def __init__(self, block: Attention) -> None:
        self.block = block
        n = len(block.patterns)
        self.plans = [
            GridPlan(grid, room=4.6 if n == 1 else 2.7, scale=i == n - 1, key=False)
            for i, grid in enumerate(block.grids)
        ]
        self.rows: list[list[GridPlan]] = [[]]
        for plan in self.plans:
            if self.rows[-1] and self._width([*self.rows[-1], plan]) > _WIDEST_ROW:
                self.rows.append([])
            self.rows[-1].append(plan)
        self.width = max(map(self._width, self.rows))

    def _width(self, row: Sequence[GridPlan]) -> float:
        return sum(plan.width + self.gap for plan in row) - self.gap

    def _key(self, room: float) -> list[str]:
        return wrap(self.plans[0].grid.key, _KEY, room)

    def height(self, room: float) -> float:
        rows = sum(max(plan.height(room) for plan in row) + self.gap_below for row in self.rows)
        key = len(self._key(room)) * line_height(_KEY)
        return drawing.title_height(self.block.title) + rows - self.gap_below + key

    def draw(self, figure: Figure, left: float, top: float, room: float) -> None:
        top += drawing.write_title(figure, self.block.title, left=left, top=top, room=room)
        for row in self.rows:
            x = left
            for plan in row:
                plan.draw(figure, x, top, room)
                x += plan.width + self.gap
            top += max(plan.height(room) for plan in row) + self.gap_below
        drawing.write_lines(figure, left, top - self.gap_below, self._key(room), _KEY)
