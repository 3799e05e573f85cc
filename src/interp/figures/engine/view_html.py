"""A view as a fragment of HTML for `html.page`: every text escaped, nothing loaded from elsewhere.

A grid is a table with its values on hover and on the arrow keys; a chart is an SVG with its values on hover
and all its numbers in a table below it.
"""

from __future__ import annotations

import math

import numpy as np

from interp.figures.engine import html
from interp.figures.engine.picture_svg import svg
from interp.figures.engine.view import (
    Attention,
    Axis,
    Block,
    Cell,
    Chart,
    Grid,
    Table,
    View,
    Words,
    number,
)
from interp.figures.engine.view_figure import chart

_HEADING_CHARS = 12  # of a token above a column
_TEXT_CHARS, _FEWEST_CHARS = 12, 3  # of a text in a cell; the second where a page would be too large


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
        title = f"<h2>{html.escaped(block.title)}</h2>" if block.title else ""
        return title + _scale(grids[0]) + "".join(_grid(grid) for grid in grids)
    assert isinstance(block, Chart), f"a block of kind {type(block).__name__}"
    return _chart(block)


def _table(block: Table) -> str:
    rows = [
        [_table_cell(text, cell) for text, cell in zip(texts, cells, strict=True)]
        for texts, cells in zip(block.texts, block.rows, strict=True)
    ]
    return html.table(block.columns, rows, caption=block.title, right=block.right, strong=block.strong)


def _table_cell(text: str, cell: str | float | Cell) -> str | html.Cell:
    if not isinstance(cell, Cell):
        return text
    shade = "" if cell.shade is None else html.sequential_class(cell.shade)
    return html.Cell(text, shade=shade, bar=cell.bar, marked=cell.strong)


def _grid(grid: Grid) -> str:
    """The cells, each with as many of its values for the tooltip as a small page can hold."""
    return html.smallest_needed(lambda details: _grid_with(grid, details), range(len(grid.hover) + 1, -2, -1))


def _grid_with(grid: Grid, details: int) -> str:
    """The cells with so many values each; with -1, also their texts are cut."""
    names = [grid.unit, *(name for name, _ in grid.hover)]
    max_chars = _TEXT_CHARS if details >= 0 else _FEWEST_CHARS
    columns = range(len(grid.columns))
    texts, hover = grid.cells_within(max_chars), [array.tolist() for _, array in grid.hover]
    values, framed = grid.values.tolist(), set(grid.framed)

    def cell(i: int, j: int) -> html.Cell:
        value = values[i][j]
        if math.isnan(value):
            return html.Cell("")
        values_of_cell = (number(value), *(number(array[i][j]) for array in hover))[: max(details, 0)]
        return html.Cell(
            texts[i][j], shade=html.shade_class(grid, value), details=values_of_cell, marked=(i, j) in framed
        )

    rows = [
        html.Row(label, tuple(cell(i, j) for j in columns)) for i, label in enumerate(grid.rows.short(24))
    ]
    return html.grid(
        _columns(grid.columns),
        rows if grid.down else rows[::-1],
        corner=grid.rows.title,
        names=names[: max(details, 0)],
        caption=_caption(grid, complete=details > len(grid.hover)),
    )


def _caption(grid: Grid, *, complete: bool) -> str:
    by = f"{grid.unit} by {grid.rows.title or 'row'} and {grid.columns.title or 'column'}"
    caption = f"{grid.title}: {by}" if grid.title else by[:1].upper() + by[1:]
    less = "" if complete else "; for its size this page leaves out details that result.json has"
    return f"{caption} ({np.size(grid.values)} cells){less}"


def _columns(axis: Axis) -> list[html.Column]:
    return [
        html.Column(
            html.heading(
                heading.shown(None if heading.name else _HEADING_CHARS), below=heading.below(_HEADING_CHARS)
            ),
            axis.full(i),
        )
        for i, heading in enumerate(axis.headings)
    ]


def _scale(grid: Grid) -> str:
    stops = [(html.shade_class(grid, value), text) for value, text in grid.scale_stops]
    return html.scale(stops, label=f"{grid.unit}{grid.marks_in_words}. {grid.key}".strip())


def _chart(block: Chart) -> str:
    numbers = block.table
    title = f"<h2>{html.escaped(block.title)}</h2>" if block.title else ""
    key = html.paragraph(block.key) if block.key else ""
    picture = f'<div class="scroll">{svg(chart(block), label=numbers.title)}</div>'
    return title + picture + key + html.details(f"The numbers: {numbers.title}", _table(numbers))
