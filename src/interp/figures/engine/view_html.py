"""A view as a fragment of HTML for `html.page`: every text escaped, nothing loaded from elsewhere.

A grid is a table with its values on hover and on the arrow keys; a chart is an SVG with its values on hover
and all its numbers in a table below it.
"""

from __future__ import annotations

import math

import numpy as np

from interp.figures.engine import html
from interp.figures.engine.picture import svg
from interp.figures.engine.view import (
    Attention,
    Axis,
    Block,
    Chart,
    Grid,
    Table,
    View,
    Words,
    number,
)
from interp.figures.engine.view_figure import chart


def fragment(view: View) -> str:
    """The view as a section."""
    return html.section(
        view.title,
        *(html.paragraph(line) for line in view.above),
        *(_block(block) for block in view.shown_in("page")),
        *(html.paragraph(line) for line in view.below),
    )


def _block(block: Block) -> str:
    if isinstance(block, Words):
        return html.paragraph(block.text, strong=block.strong)
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Grid):
        return _scale(block) + _grid(block)
    if isinstance(block, Attention):
        grids = block.grids
        title = f"<h2>{html.name(block.title)}</h2>" if block.title else ""
        return title + _scale(grids[0]) + "".join(_grid(grid) for grid in grids)
    assert isinstance(block, Chart), f"a block of kind {type(block).__name__}"
    return _chart(block)


def _table(block: Table) -> str:
    return html.table(block.columns, block.texts, caption=block.title, right=block.right, strong=block.strong)


def _grid(grid: Grid) -> str:
    """The cells, each with as many of its values for the tooltip as a small page can hold."""
    names = [grid.unit, *(name for name, _ in grid.hover)]
    hover = [array.tolist() for _, array in grid.hover]
    values, cells, framed = grid.values.tolist(), grid.cells, set(grid.framed)
    by = f"{grid.unit} by {grid.rows.title or 'row'} and {grid.columns.title or 'column'}"
    caption = f"{grid.title}: {by}" if grid.title else by[:1].upper() + by[1:]

    def cell(i: int, j: int, details: int) -> html.Cell:
        value = values[i][j]
        if math.isnan(value):
            return html.Cell("")
        told = (number(value), *(number(array[i][j]) for array in hover))
        return html.Cell(cells[i][j], html.shade_class(grid, value), told[:details], marked=(i, j) in framed)

    def grid_with(details: int) -> str:
        rows = [
            html.Row(label, tuple(cell(i, j, details) for j in range(len(grid.columns))))
            for i, label in enumerate(grid.rows.short(24))
        ]
        less = "; for its size this page leaves out details that result.json has"
        return html.grid(
            _columns(grid.columns),
            rows if grid.down else rows[::-1],
            corner=grid.rows.title,
            names=names[:details],
            caption=f"{caption} ({np.size(grid.values)} cells)" + (less if details < len(names) else ""),
        )

    return html.smallest_needed(grid_with, range(len(names), -1, -1))


def _columns(axis: Axis) -> list[html.Column]:
    return [
        html.Column(
            html.name(h.shown()) if h.name else html.token(h.token, other=h.other),
            axis.full(i),
        )
        for i, h in enumerate(axis.headings)
    ]


def _scale(grid: Grid) -> str:
    stops = [(html.shade_class(grid, value), text) for value, text in grid.scale_stops]
    return html.scale(stops, label=f"{grid.unit}{grid.marks_in_words}. {grid.key}".strip())


def _chart(block: Chart) -> str:
    numbers = block.table
    title = f"<h2>{html.name(block.title)}</h2>" if block.title else ""
    key = html.paragraph(block.key) if block.key else ""
    drawn = f'<div class="scroll">{svg(chart(block), label=numbers.title)}</div>'
    return title + drawn + key + html.details(f"The numbers: {numbers.title}", _table(numbers))
