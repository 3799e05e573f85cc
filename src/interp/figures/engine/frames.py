"""The numbers of a view's block as a `pandas.DataFrame`, where pandas is installed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from interp.errors import InputError
from interp.figures.engine.axis import Axis
from interp.figures.engine.view import Attention, Block, Cell, Chart, Grid, Table, View


def frame_of(view: View, name: str = "") -> Any:
    """The block of that name, by default the first grid, else the first chart or table. A grid has a row for
    each cell, with its place and its value; a table has its own rows.

    `InputError` for a block that is not there or holds no numbers, and where pandas is not installed.
    """
    block = view.block(name, Block) if name else _first(view)
    try:
        pandas = import_module("pandas")
    except ImportError:
        raise InputError("to_frame needs pandas, which is not installed; pip install pandas.") from None
    if isinstance(block, Grid):
        return pandas.DataFrame(_cells(block))
    if isinstance(block, Attention):
        grids = zip(block.patterns, block.grids, strict=True)
        parts = [pandas.DataFrame({"head": head, **_cells(grid)}) for (head, _), grid in grids]
        return pandas.concat(parts, ignore_index=True)
    table = block.table if isinstance(block, Chart) else block
    if not isinstance(table, Table):
        raise InputError(f"The block {block.name!r} of {view.title!r} holds words and no numbers.")
    rows = [[cell.text if isinstance(cell, Cell) else cell for cell in row] for row in table.rows]
    return pandas.DataFrame(rows, columns=list(table.columns))


def _first(view: View) -> Block:
    for kinds in ((Grid, Attention), (Chart, Table)):
        found = [block for block in view.blocks if isinstance(block, kinds)]
        if found:
            return found[0]
    raise InputError(f"{view.title!r} has words and no numbers.")


def _cells(grid: Grid) -> dict[str, Any]:
    """The columns of a grid's cells, row after row: place, value, and what is told of a cell on hover."""
    rows, columns = np.indices(grid.values.shape)
    title = grid.columns.title or "column"
    cells = {
        **_places(grid.rows, rows.ravel(), title=grid.rows.title or "row"),
        **_places(
            grid.columns, columns.ravel(), title=f"other {title}" if title == grid.rows.title else title
        ),
    }
    for name, array in (*grid.hover, (grid.unit, grid.values)):  # a unit that is also a name on hover wins
        cells[name] = np.asarray(array).ravel()
    return cells


def _places(axis: Axis, indices: np.ndarray, *, title: str) -> dict[str, Any]:
    """Where the cells stand on an axis: numbers of layers and heads, names, or positions and their tokens."""
    labels = [axis.headings[i].token for i in indices]
    if axis.of_tokens:
        positions = [axis.positions[i] if axis.positions else int(i) for i in indices]
        return {title: positions, f"{title} token": labels}
    return {title: [int(label) for label in labels] if axis.of_numbers else labels}
