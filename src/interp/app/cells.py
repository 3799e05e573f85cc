"""A grid as plain values for the browser: texts, colours for light and dark pages, what the hover tells.

The browser sets all of it as text, never as HTML, so that no token can be anything else.
"""

from __future__ import annotations

import math
from typing import Any

from interp.figures.colours import css, diverging, sequential, text_on
from interp.figures.view import Grid, number


def payload(grid: Grid, *, selected: tuple[int, int] | None = None, label: str = "") -> dict[str, Any]:
    """What the grid component draws. `selected` is a (row, column) of the grid's arrays."""
    values, hover = grid.values.tolist(), [(name, array.tolist()) for name, array in grid.hover]
    texts = grid.cells

    def cell(i: int, j: int) -> dict[str, Any]:
        value = values[i][j]
        if math.isnan(value):
            return {"text": ""}
        told = [] if grid.texts is not None and hover else [f"{grid.unit}: {number(value)}"]
        told += [f"{name}: {number(array[i][j])}" for name, array in hover]
        return {
            "text": texts[i][j],
            "light": _colours(grid, value),
            "dark": _colours(grid, value, dark=True),
        } | {"told": told}

    order = range(len(grid.rows)) if grid.down else reversed(range(len(grid.rows)))
    return {
        "label": label or grid.title,
        "corner": grid.rows.title,
        "key": f"{grid.unit}{grid.marks_in_words}. {grid.key}".strip(),
        "columns": [
            {"text": short, "full": grid.columns.full(j), "strong": grid.columns.headings[j].strong}
            for j, short in enumerate(grid.columns.short(12))
        ],
        "rows": [
            {
                "index": i,
                "text": grid.rows.headings[i].shown(16),
                "full": grid.rows.full(i),
                "cells": [cell(i, j) for j in range(len(grid.columns))],
            }
            for i in order
        ],
        "framed": [list(place) for place in grid.framed],
        "selected": None if selected is None else list(selected),
    }


def _colours(grid: Grid, value: float, *, dark: bool = False) -> list[str]:
    """Background and text."""
    back = (sequential if grid.centre is None else diverging)(grid.shade(value), dark=dark)
    return [css(back), css(text_on(back))]
