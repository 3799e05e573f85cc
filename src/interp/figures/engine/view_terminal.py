"""A view for a terminal: words, tables, and grids of coloured cells."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from interp.figures.engine import terminal
from interp.figures.engine.colours import LIMIT, css, diverging
from interp.figures.engine.notation import show_token
from interp.figures.engine.view import Attention, Bars, Block, Chart, Grid, Table, View, Words

_MOST_ROWS = 24  # of the numbers of a chart


def renderable(view: View, *, notes: Sequence[str] = ()) -> RenderableType:
    """The view for `rich`, with further `notes` at its end."""
    parts: list[RenderableType] = [terminal.heading(view.title), *(Text(line) for line in view.above)]
    for block in view.shown_in("terminal"):
        parts += [Text(), *_block(block)]
    parts += [Text(), *(Text(line) for line in view.below), *(Text(line, style="dim") for line in notes)]
    return Group(*parts)


def _block(block: Block) -> list[RenderableType]:
    if isinstance(block, Words):
        return [Text(block.text, style="bold" if block.strong else "")]
    if isinstance(block, Table):
        return _titled(block.title, [_table(block)])
    if isinstance(block, Grid):
        return _titled(
            block.title,
            [_grid(block), Text(f"Numbers: {block.unit}{block.marks_in_words}. {block.key}".strip())],
        )
    if isinstance(block, Attention):
        grids = [part for grid in block.grids for part in (Text(grid.title, style="bold"), _grid(grid))]
        return _titled(block.title, [*grids, Text(f"Numbers: attention. {block.grids[0].key}")])
    assert isinstance(block, Chart), f"a block of kind {type(block).__name__}"
    numbers = block.table
    if isinstance(block, Bars):
        return _titled(numbers.title, [_bars(block), *_note(block.key)])
    shown, total = numbers.rows[:_MOST_ROWS], len(numbers.rows)
    left_out = [] if total == len(shown) else [f"The first {len(shown)} of {total}; the report has them all."]
    table = _table(Table(numbers.columns, shown))
    return _titled(numbers.title, [table, *(Text(text) for text in left_out), *_note(block.key)])


def _titled(title: str, parts: list[RenderableType]) -> list[RenderableType]:
    return [Text(title, style="bold"), *parts] if title else parts


def _note(text: str) -> list[RenderableType]:
    return [Text(text)] if text else []


def _table(block: Table) -> RichTable:
    table = RichTable(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for name, right in zip(block.columns, block.right, strict=True):
        table.add_column(Text(name), justify="right" if right else "left", overflow="fold")
    for i, row in enumerate(block.texts):
        table.add_row(*(Text(text) for text in row), style="bold" if i in block.strong else "")
    return table


def _grid(grid: Grid) -> terminal.Grid:
    columns = tuple(
        terminal.Column(h.shown(12), "" if h.other is None else show_token(h.other, max_chars=12))
        for h in grid.columns.headings
    )
    rows = [
        terminal.Row(
            grid.rows.headings[i].shown(12),
            tuple(
                terminal.Cell(text, colour, bold=(i, j) in grid.framed)
                for j, (text, colour) in enumerate(zip(texts, colours, strict=True))
            ),
        )
        for i, (texts, colours) in enumerate(zip(grid.cells, grid.colours, strict=True))
    ]
    return terminal.Grid(grid.rows.title, columns, tuple(rows if grid.down else reversed(rows)))


def _bars(block: Bars) -> RichTable:
    """The numbers, and bars to the left and to the right of a common zero."""
    numbers, half = block.table, 12
    largest = max(abs(value) for value in block.values) or 1.0
    table = RichTable(box=None, padding=(0, 1), pad_edge=False)
    for name, right in zip(numbers.columns, numbers.right, strict=True):
        table.add_column(Text(name), justify="right" if right else "left", overflow="fold")
    table.add_column("", no_wrap=True)
    for i in block.largest:
        length = round(abs(block.values[i]) / largest * half)
        up = block.values[i] >= 0
        colour = css(diverging(LIMIT * 0.6 if up else -LIMIT * 0.6))
        drawn = (" " * half + "│" + "█" * length) if up else ("█" * length).rjust(half) + "│"
        drawing = Text(drawn.ljust(2 * half + 1), style=colour)
        table.add_row(*(Text(text) for text in numbers.texts[i]), drawing)
    return table
