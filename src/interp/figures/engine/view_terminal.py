"""A view for a terminal: words, tables, and grids of coloured cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.style import Style
from rich.table import Table as RichTable
from rich.text import Text

from interp.figures.engine import terminal
from interp.figures.engine.colours import LIMIT, css, diverging, sequential, text_on
from interp.figures.engine.view import Attention, Bars, Block, Cell, Chart, Grid, Table, View, Words

_MOST_ROWS = 24  # of the numbers of a chart
_BAR = 10  # places of a bar in a table
_LEAST_TEXT = 8  # places of a column of texts, at the least
_BETWEEN = 3  # places between two columns


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
        return _titled(block.title, [_FittedTable(block)])
    if isinstance(block, Grid):
        what = "Numbers" if block.texts is None else "Colours"
        key = f"{what}: {block.unit}{block.marks_in_words}. {block.key_with('bold')}".strip()
        return _titled(block.title, [_grid(block), Text(key)])
    if isinstance(block, Attention):
        grids = [part for grid in block.grids for part in (Text(grid.title, style="bold"), _grid(grid))]
        return _titled(block.title, [*grids, Text(f"Numbers: attention. {block.grids[0].key_with('bold')}")])
    assert isinstance(block, Chart), f"a block of kind {type(block).__name__}"
    numbers = block.table
    if isinstance(block, Bars):
        return _titled(numbers.title, [_bars(block), *_note(block.key)])
    shown, total = numbers.rows[:_MOST_ROWS], len(numbers.rows)
    left_out = [] if total == len(shown) else [f"The first {len(shown)} of {total}; the report has them all."]
    table = _FittedTable(Table(numbers.columns, shown))
    return _titled(numbers.title, [table, *(Text(text) for text in left_out), *_note(block.key)])


def _titled(title: str, parts: list[RenderableType]) -> list[RenderableType]:
    return [Text(title, style="bold"), *parts] if title else parts


def _note(text: str) -> list[RenderableType]:
    return [Text(text)] if text else []


@dataclass(frozen=True)
class _FittedTable:
    """A table in a terminal of any width: texts are continued on further lines, numbers never; columns that
    do not fit are continued below, behind the first one."""

    block: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        least = self._least()
        start, n = 1, len(least)
        while start < n or start == 1:
            room, stop = options.max_width - least[0], start
            while stop < n and (stop == start or room >= least[stop]):
                room -= least[stop]
                stop += 1
            yield self._columns((0, *range(start, stop)))
            start = max(stop, 2)

    def _least(self) -> list[int]:
        """The places that each column needs: for its longest number and its bars, or for a little text."""
        block = self.block
        longest = [
            max((cell_len(row[i]) for row in block.texts), default=0) for i in range(len(block.columns))
        ]
        numbers = map(cell_len, block.longest_numbers)
        columns = zip(numbers, longest, block.has_shades, block.has_bars, strict=True)
        return [
            max(number, min(most, _LEAST_TEXT)) + 2 * shade + _BETWEEN + bars * (_BAR + _BETWEEN)
            for number, most, shade, bars in columns
        ]

    def _columns(self, chosen: Sequence[int]) -> RichTable:
        """The texts, on their colours, and a column of bars after each that has some."""
        block, least = self.block, self._least()
        table = RichTable(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
        for j in chosen:
            bars = block.has_bars[j]
            table.add_column(
                Text(block.columns[j]),
                justify="right" if block.right[j] else "left",
                overflow="fold",
                min_width=least[j] - _BETWEEN - bars * (_BAR + _BETWEEN),
            )
            if bars:
                table.add_column("", min_width=_BAR, no_wrap=True)
        for i, row in enumerate(block.texts):
            parts: list[Text] = []
            for j in chosen:
                cell = block.rows[i][j]
                parts.append(_cell(row[j], cell if isinstance(cell, Cell) else Cell(row[j])))
                if block.has_bars[j]:
                    parts.append(_bar(cell) if isinstance(cell, Cell) else Text())
            table.add_row(*parts, style="bold" if i in block.strong else "")
        return table


def _cell(text: str, cell: Cell) -> Text:
    """A text, within its colour where it has one."""
    if cell.shade is None:
        return Text(text, style="bold" if cell.strong else "")
    back = sequential(cell.shade)
    return Text(f" {text} ", style=Style(color=css(text_on(back)), bgcolor=css(back), bold=cell.strong))


def _bar(cell: Cell) -> Text:
    """The bar of a cell; that of a strong one in another colour."""
    return Text(terminal.bar(cell.bar or 0.0, _BAR), style="green" if cell.strong else "yellow")


def _grid(grid: Grid) -> terminal.Grid:
    columns = tuple(
        terminal.Column(heading.shown(12), heading.below(12)) for heading in grid.columns.headings
    )
    texts = grid.cells if grid.texts is None else [[str(text) for text in row] for row in grid.texts.tolist()]
    notes = [[""] * len(row) for row in texts] if grid.notes is None else grid.notes.tolist()
    framed = set(grid.framed)
    rows = [
        terminal.Row(
            grid.rows.headings[i].shown(12),
            tuple(
                terminal.Cell(
                    texts[i][j],
                    colour,
                    note=notes[i][j],
                    shortens=grid.texts is not None,
                    bold=(i, j) in framed,
                )
                for j, colour in enumerate(colours)
            ),
        )
        for i, colours in enumerate(grid.colours)
    ]
    return terminal.Grid(grid.rows.title, columns, tuple(rows if grid.down else reversed(rows)))


def _bars(block: Bars) -> RichTable:
    """The numbers, and bars to the left and to the right of a common zero."""
    numbers, half = block.table, 12
    largest = max(abs(value) for value in block.values) or 1.0
    table = RichTable(box=None, padding=(0, 1), pad_edge=False)
    for name, right, number in zip(numbers.columns, numbers.right, numbers.longest_numbers, strict=True):
        justify: Literal["left", "right"] = "right" if right else "left"
        table.add_column(Text(name), justify=justify, overflow="fold", min_width=cell_len(number) or None)
    table.add_column("", no_wrap=True)
    for i in block.largest:
        length = round(abs(block.values[i]) / largest * half)
        up = block.values[i] >= 0
        colour = css(diverging(LIMIT * 0.6 if block.is_warm(i) else -LIMIT * 0.6))
        bar = (" " * half + "│" + "█" * length) if up else ("█" * length).rjust(half) + "│"
        table.add_row(*map(Text, numbers.texts[i]), Text(bar.ljust(2 * half + 1), style=colour))
    return table
