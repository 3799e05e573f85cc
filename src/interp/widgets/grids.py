"""The widget of one grid, and what all widgets have: grids, and the place clicked in each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets

from interp.app.views.grid_data import grid_data
from interp.errors import InputError
from interp.figures.by_kind import view_of
from interp.figures.engine.notebook import style
from interp.figures.engine.page_parts import GRID_SCRIPT
from interp.figures.engine.view import Grid
from interp.results import Result

Place = tuple[int, int]
_ALL = 10**9  # tokens: nothing is left out of a widget


class Grids(anywidget.AnyWidget):
    """Grids below one another, as plain values for the browser, and the (row, column) chosen in each."""

    _esm = GRID_SCRIPT + (Path(__file__).parent / "widget.js").read_text(encoding="utf-8")
    _css = style()
    parts = traitlets.List().tag(sync=True)
    places = traitlets.List().tag(sync=True)

    def put(self, number: int, grid: dict[str, Any], place: Place | None = None) -> None:
        """Draw a grid at one of the places, with a cell chosen in it."""
        self.parts = [*self.parts[:number], grid, *self.parts[number + 1 :]]
        self.places = [*self.places[:number], place and list(place), *self.places[number + 1 :]]

    def place(self, number: int) -> Place | None:
        """The cell that is chosen in one of the grids."""
        chosen = self.places[number] if number < len(self.places) else None
        return None if chosen is None else (chosen[0], chosen[1])


class GridWidget(Grids):
    """One grid; `selected` is the clicked cell."""

    selected = traitlets.Any(None)

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self.grid = grid
        self.put(0, data_of(grid))

    @classmethod
    def of(cls, result: Result, block: str) -> GridWidget:
        """Of a result's view: `InputError` where it has no such grid."""
        view = view_of(result)
        grids = [one for one in view.blocks if isinstance(one, Grid)]
        if not grids:
            raise InputError(f"{view.title!r} has no grid to click; result.figure() and .table() show it.")
        return cls(view.block(block, Grid) if block else grids[0])

    @property
    def cell(self) -> dict[str, Any] | None:
        """What the clicked cell says: its row, its column, its value and what is told of it on hover."""
        if self.selected is None:
            return None
        row, column = self.selected
        rows, columns = self.grid.rows, self.grid.columns
        return {
            rows.title or "row": rows.full(row),
            columns.title or "column": columns.full(column),
            **{name: np.asarray(array)[row, column].item() for name, array in self.grid.hover},
            self.grid.unit: float(self.grid.values[row, column]),
        }

    @traitlets.observe("places")
    def _clicked(self, _: Any) -> None:
        self.selected = self.place(0)

    @traitlets.validate("selected")
    def _is_a_cell(self, proposal: Any) -> Place | None:
        return checked(proposal["value"], self.grid)

    @traitlets.observe("selected")
    def _select(self, _: Any) -> None:
        self.places = [self.selected and list(self.selected)]


def checked(place: Any, grid: Grid) -> Place | None:
    """A cell of the grid, or None. `InputError` for what is none."""
    if place is None:
        return None
    rows, columns = grid.values.shape
    try:
        row, column = map(int, place)
    except (TypeError, ValueError):
        raise InputError(f"A cell is (row, column), not {place!r}.") from None
    if not (0 <= row < rows and 0 <= column < columns):
        raise InputError(f"There is no cell {(row, column)}; the grid has {rows} rows and {columns} columns.")
    return row, column


def data_of(grid: Grid, caption: str = "") -> dict[str, Any]:
    """A grid for the browser, whole, with its title above it."""
    return grid_data(grid, most=_ALL) | {"caption": caption or grid.title}
