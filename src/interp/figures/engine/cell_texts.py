"""What stands in the cells of a drawn grid: numbers where they can be read, or texts."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes

from interp.figures.engine import drawing
from interp.figures.engine.colours import RGB, css, text_on
from interp.figures.engine.grid import Grid
from interp.figures.engine.measured_text import fit, text_width

_SIZE, _NOTE_SIZE = 7.5, 6.5  # of a text that is shortened; of the number behind a text
_WIDEST_TEXT = 1.0  # inches
_ROOM_FOR_TEXTS = 13.0  # inches for all columns
_GAP = 0.05  # inches from a text to the edge of its cell, where a number stands behind it


@dataclass(frozen=True, kw_only=True)
class CellTexts:
    """Texts and the numbers behind them, [row from the bottom][column], and the size that fits them all."""

    texts: list[list[str]]
    notes: list[list[str]]  # empty where there are none
    size: float  # 0 where nothing that could be read has room
    cell_w: float

    @classmethod
    def plan(cls, grid: Grid, *, cell_w: float, cell_h: float) -> CellTexts:
        """As large as all fit their cells; of texts, the longest are shortened."""
        texts, notes = _texts(grid), _notes(grid)
        room = cell_w - _notes_width(notes)
        size = drawing.number_size(texts, room, cell_h)
        if grid.texts is not None and (not size or notes):
            size = min(_SIZE, cell_h * 72 / 1.25) if cell_w >= 0.3 and cell_h * 72 / 1.25 >= 5 else 0.0
            texts = [[fit(text, size, room * 0.93) for text in row] for row in texts] if size else texts
        return cls(texts=texts, notes=notes, size=size, cell_w=cell_w)

    def draw(self, ax: Axes, colours: list[list[RGB]]) -> None:
        """Write them, black or white by the colour behind; where there are numbers behind the texts, these at
        the left of their cells and those at the right."""
        if not self.size:
            return
        if not self.notes:
            drawing.write_cells(ax, self.texts, colours, self.size)
            return
        for row, line in enumerate(self.texts):
            for column, text in enumerate(line):
                ink = css(text_on(colours[row][column]))
                drawing.write_at(
                    ax,
                    column - 0.5,
                    row,
                    text,
                    self.size,
                    dx=_GAP,
                    ha="left",
                    va="center_baseline",
                    colour=ink,
                )
                drawing.write_at(
                    ax, column + 0.5, row, self.notes[row][column], _NOTE_SIZE, dx=-_GAP, ha="right",
                    va="center_baseline", colour=ink,
                )  # fmt: skip


def cell_width(grid: Grid, room: float) -> float:
    """Inches of a column: of numbers, as `room` for all allows; of texts, as they need."""
    n_columns = len(grid.columns)
    if grid.texts is None:
        least = 0.05 if grid.columns.of_numbers else 0.115
        return min(max(room / n_columns, least), 0.66)
    widest = max(text_width(text, 8) for text in {text for row in _texts(grid) for text in row})
    text = min(widest / 0.88, _WIDEST_TEXT)
    needed = max(text, 0.3) + _notes_width(_notes(grid))
    return min(needed, max(_ROOM_FOR_TEXTS / n_columns, 0.115))


def _texts(grid: Grid) -> list[list[str]]:
    """Row 0 at the bottom."""
    texts = grid.cells if grid.texts is None else [[str(text) for text in row] for row in grid.texts.tolist()]
    return texts[::-1] if grid.down else texts


def _notes(grid: Grid) -> list[list[str]]:
    if grid.notes is None:
        return []
    notes = [[str(note) for note in row] for row in grid.notes.tolist()]
    return notes[::-1] if grid.down else notes


def _notes_width(notes: list[list[str]]) -> float:
    if not notes:
        return 0.0
    return max(text_width(note, _NOTE_SIZE) for row in notes for note in row) + 2 * _GAP
