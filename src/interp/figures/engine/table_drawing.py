"""A table drawn with matplotlib: columns as wide as their texts, bars and shades in cells that have them."""

from __future__ import annotations

from collections.abc import Iterable

from matplotlib.figure import Figure

from interp.figures.engine import drawing
from interp.figures.engine.blocks import Cell, Table
from interp.figures.engine.colours import css, sequential, text_on
from interp.figures.engine.measured_text import line_height, text_width, wrap
from interp.figures.engine.picture import Area, Picture, Stroke, box
from interp.figures.engine.picture_drawing import draw_picture

_SIZE = 8.0
_GAP = 0.18  # inches between columns
_BAR = 0.75  # inches of a bar for 1
_WIDEST, _NARROWEST = 8.6, 0.9  # of a table, and of a column that gives way


class TablePlan:
    """Where everything goes; the widest column is narrowed, and its texts broken, where there is no room.
    Numbers are never broken."""

    def __init__(self, block: Table) -> None:
        self.block = block
        self.texts = [list(block.columns), *block.texts]
        self.bars = block.has_bars
        columns = range(len(block.columns))
        self.widths = [self._needed(i, (row[i] for row in self.texts)) for i in columns]
        least = [self._needed(i, [number]) for i, number in enumerate(block.longest_numbers)]
        least = [
            max(number, min(width, _NARROWEST)) for number, width in zip(least, self.widths, strict=True)
        ]
        while sum(self.widths) > _WIDEST and self.widths != least:
            widest = max(columns, key=lambda i: (self.widths[i] > least[i]) * self.widths[i])
            self.widths[widest] = max(self.widths[widest] * 0.92, least[widest])
        self.lines = [
            [
                wrap(text, _SIZE, (width - _GAP - self._bar_room(i)) * 0.88)  # bold is wider
                for i, (text, width) in enumerate(zip(row, self.widths, strict=True))
            ]
            for row in self.texts
        ]
        self.width = sum(self.widths)

    def _bar_room(self, column: int) -> float:
        return _BAR + 0.1 if self.bars[column] else 0.0

    def _needed(self, column: int, texts: Iterable[str]) -> float:
        """Inches that a column takes where none of these texts is broken."""
        widest = max(text_width(text, _SIZE, bold=True) for text in texts)
        return widest / 0.87 + _GAP + self._bar_room(column)

    def _row_height(self, row: int) -> float:
        return max(map(len, self.lines[row])) * line_height(_SIZE) + 0.05

    def height(self, room: float) -> float:
        rows = sum(self._row_height(i) for i in range(len(self.lines)))
        return drawing.title_height(self.block.title) + rows

    def draw(self, figure: Figure, left: float, top: float, room: float) -> None:
        top += drawing.write_title(figure, self.block.title, left=left, top=top, room=room)
        marks = Picture(self.width, self.height(room))
        y = 0.0
        for row in range(len(self.lines)):
            self._draw_row(figure, marks, row, left=left, top=top, y=y)
            y += self._row_height(row)
            marks.add(Stroke(((0, y), (self.width - _GAP, y)), "rule", 0.6))
        draw_picture(figure, marks, left=left, top=top)

    def _draw_row(
        self, figure: Figure, marks: Picture, row: int, *, left: float, top: float, y: float
    ) -> None:
        x = 0.0
        for column, width in enumerate(self.widths):
            room = width - _GAP - self._bar_room(column)
            cell = None if row == 0 else self.block.rows[row - 1][column]
            colour = drawing.QUIET if row == 0 else drawing.INK
            if isinstance(cell, Cell) and cell.shade is not None:
                colour = self._shade(figure, cell.shade, row, left=left + x, top=top + y, room=room)
            if isinstance(cell, Cell) and cell.bar is not None:
                _draw_bar(marks, cell.bar, left=x + room + 0.1, y=y + line_height(_SIZE) / 2 + 0.01)
            bold = row == 0 or self.block.is_strong(row - 1, column)
            for i, line in enumerate(self.lines[row][column]):
                used = text_width(line, _SIZE, bold=bold)
                at = left + x + (room - used if self.block.right[column] else 0)
                place = top + y + i * line_height(_SIZE) + 0.02
                drawing.write(figure, at, place, line, _SIZE, colour=colour, bold=bold)
            x += width

    def _shade(self, figure: Figure, shade: float, row: int, *, left: float, top: float, room: float) -> str:
        """Colour a cell's background; returns the colour of its text."""
        height = self._row_height(row) - 0.02
        drawing.fill(figure, left - 0.05, top + 0.01, room + 0.1, height, css(sequential(shade)))
        return css(text_on(sequential(shade)))


def _draw_bar(marks: Picture, share: float, *, left: float, y: float) -> None:
    marks.add(Area(box(left, y - 0.045, _BAR, 0.09), "rule", 0.4))
    marks.add(Area(box(left, y - 0.045, _BAR * share, 0.09), "s0"))
