"""A grid drawn with matplotlib: cells, numbers, labels of both axes, the colour scale."""

from __future__ import annotations

from matplotlib.figure import Figure

from interp.figures.engine import drawing
from interp.figures.engine.cell_texts import CellTexts, cell_width
from interp.figures.engine.grid import Grid
from interp.figures.engine.measured_text import fit, line_height, text_width, wrap
from interp.figures.engine.token_axis import LONGEST, TokenAxis

_SIZE = 8.0
_SCALE, _WORDS = 0.95, 1.15  # inches: the colour scale with its numbers; words beside them


class GridPlan:
    """Where everything goes, in inches, known before the figure has its size."""

    def __init__(self, grid: Grid, *, room: float = 9.0, scale: bool = True, key: bool = True) -> None:
        self.grid = grid
        n_rows, n_columns = grid.values.shape
        self.colours = grid.colours[::-1] if grid.down else grid.colours  # row 0 at the bottom, as drawn
        self.cell_w = cell_width(grid, room)
        self.cell_h = min(max(5.6 / n_rows, 0.135), 0.36)
        if grid.rows.of_tokens and grid.columns.of_tokens:
            self.cell_h = max(self.cell_w, 0.125)
        self.texts = CellTexts.plan(grid, cell_w=self.cell_w, cell_h=self.cell_h)
        self.width_of_cells, self.height_of_cells = self.cell_w * n_columns, self.cell_h * n_rows
        self.tokens = None if grid.columns.of_numbers else TokenAxis.plan(grid.columns.headings, self.cell_w)
        self.row_size = min(_SIZE, self.cell_h * 72 * 0.85) if not grid.rows.of_numbers else _SIZE
        self.row_labels = grid.rows.short(LONGEST)
        widest = max(text_width(label, self.row_size, bold=True) for label in self.row_labels)
        overhang = self.tokens.overhang if self.tokens else 0.0
        self.left = max(widest + 0.12 + (0.22 if grid.rows.title else 0), overhang)
        self.scale, self.key = scale, key
        legend = _SCALE + _WORDS if grid.marks else max(_SCALE, min(_width(grid.unit), 1.6))
        self.unit = wrap(grid.unit, _SIZE, legend * 0.88)  # bold is wider
        self.width = self.left + self.width_of_cells + (0.25 + legend if scale else 0.05)

    @property
    def _head(self) -> float:
        """Inches above the cells: the title, and the name of the colour scale beside it."""
        return (0.26 if self.grid.title else 0) + (0.16 * len(self.unit) if self.scale or not self.key else 0)

    @property
    def _below(self) -> float:
        titled = bool(self.grid.columns.title) and self.grid.columns.title != "position"
        line = line_height(_SIZE)
        labels = self.tokens.below if self.tokens else 0.07 + line
        return labels + (line if titled else 0)

    def height(self, room: float) -> float:
        body = max(self.height_of_cells + self._below, self._legend_height if self.scale else 0)
        return self._head + body + len(self._key(room)) * line_height(7.5) + 0.06

    @property
    def _legend_height(self) -> float:
        return min(max(self.height_of_cells, 1.5), 3.2)

    def _key(self, room: float) -> list[str]:
        if not self.key:
            return []
        parts = [self.grid.key, "" if self.texts.size else self.grid.farthest()]
        return [line for text in parts if text for line in wrap(text, 7.5, room)]

    def draw(self, figure: Figure, left: float, top: float, room: float) -> None:
        grid, n_rows = self.grid, len(self.grid.rows)
        if grid.title:
            title = fit(grid.title, 8.5, max(room, self.width) * 0.93)
            drawing.write(figure, left, top, title, 8.5, bold=True)
        ax_left, ax_top = left + self.left, top + self._head
        ax = drawing.axes(
            figure, left=ax_left, top=ax_top, width=self.width_of_cells, height=self.height_of_cells
        )
        drawing.cells(ax, self.colours)
        self.texts.draw(ax, self.colours)
        for row, column in grid.framed:
            at = n_rows - 1 - row if grid.down else row
            drawing.outline(ax, at, column, width=1.4 if min(self.cell_w, self.cell_h) > 0.15 else 0.8)
        self._label_rows(ax)
        self._label_columns(ax)
        if self.scale:
            self._draw_scale(figure, ax_left + self.width_of_cells + 0.25, ax_top)
        key = self._key(room)
        below = top + self.height(room) - len(key) * line_height(7.5)
        drawing.write_lines(figure, left, below, key, 7.5)

    def _label_rows(self, ax: drawing.Axes) -> None:
        n = len(self.grid.rows)
        numbered = self.grid.rows.of_numbers
        shown = drawing.every(n, room=self.height_of_cells, need=0.13) if numbered else range(n)
        for i in shown:
            y, strong = (n - 1 - i if self.grid.down else i), self.grid.rows.headings[i].strong
            drawing.write_at(
                ax, 0, y, self.row_labels[i], self.row_size, at="y", dx=-0.05, ha="right",
                va="center_baseline", bold=strong, colour=drawing.INK if strong else drawing.QUIET,
            )  # fmt: skip
        if self.grid.rows.title:
            widest = max(text_width(label, self.row_size, bold=True) for label in self.row_labels)
            title = fit(self.grid.rows.title, _SIZE, max(self.height_of_cells, 0.4))
            drawing.write_at(ax, 0, 0.5, title, _SIZE, at="axes", dx=-0.1 - widest, rotation=90, va="bottom")

    def _label_columns(self, ax: drawing.Axes) -> None:
        columns = self.grid.columns
        if self.tokens:
            self.tokens.draw(ax)
        else:
            labels = columns.short()
            need = max(text_width(label, _SIZE) for label in labels) + 0.06
            shown = drawing.every(len(columns), room=self.width_of_cells, need=need)
            drawing.label_x(ax, shown, [labels[i] for i in shown], _SIZE)
        if columns.title and columns.title != "position":
            drop = self._below - line_height(_SIZE)
            drawing.write_at(ax, 0.5, 0, columns.title, _SIZE, at="axes", dy=-drop, va="top")

    def _draw_scale(self, figure: Figure, left: float, top: float) -> None:
        grid, centre, reach = self.grid, self.grid.centre or 0.0, self.grid.reach
        low = centre - reach if grid.centre is not None else 0.0
        ax = drawing.axes(figure, left=left, top=top + 0.06, width=0.16, height=self._legend_height - 0.1)
        drawing.scale_bar(ax, grid.colour, low, centre + reach, upright=True)
        for i, line in enumerate(reversed(self.unit)):
            drawing.write_at(
                ax, 0, 1, line, _SIZE, at="axes", dy=0.06 + 0.16 * i, ha="left", va="bottom", bold=True
            )
        for value, text in grid.scale_stops:
            drawing.write_at(ax, 1, value, text, 7, at="y", dx=0.05, ha="left", va="center_baseline")
        for value, words in grid.marks:
            if abs(value - centre) > reach:
                continue
            lines = wrap(words, 6.5, _WORDS)
            for i, line in enumerate(lines):
                dy = 0.055 * (len(lines) - 1) - 0.11 * i
                drawing.write_at(
                    ax, 1, value, line, 6.5, at="y", dx=0.42, dy=dy, ha="left", va="center_baseline",
                    colour=drawing.QUIET,
                )  # fmt: skip


def _width(unit: str) -> float:
    return text_width(unit, _SIZE, bold=True) / 0.85
