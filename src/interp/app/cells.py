"""A grid as plain values for the browser: texts, colours for light and dark pages, what the hover tells.

The browser sets all of it as text, never as HTML, so that no token can be anything else.
"""

from __future__ import annotations

import math
from typing import Any

from interp.figures.colours import css, diverging, sequential, text_on
from interp.figures.notation import show_token
from interp.figures.view import Axis, Grid, number

#: As many rows and columns of tokens are drawn at once; of longer prompts, those around a position.
WINDOW = 48


def window(n: int, around: int, size: int = WINDOW) -> range:
    """The `size` positions of `n` around one; all where there are no more."""
    start = min(max(around - size // 2, 0), max(n - size, 0))
    return range(start, min(start + size, n))


def payload(
    grid: Grid, *, selected: tuple[int, int] | None = None, around: int | None = None
) -> dict[str, Any]:
    """What the grid component draws. `selected` is a (row, column) of the grid's arrays; of axes of tokens,
    the window around position `around` is drawn (by default, the last)."""
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

    def drawn(axis: Axis) -> range:
        n = len(axis)
        return window(n, n - 1 if around is None else around) if axis.of_tokens else range(n)

    rows, columns = drawn(grid.rows), drawn(grid.columns)
    return {
        "label": grid.title,
        "corner": grid.rows.title,
        "key": f"{grid.unit}{grid.marks_in_words}. {grid.key}".strip(),
        "columns": [
            {
                "index": j,
                "text": grid.columns.headings[j].shown(12),
                "other": None if (other := grid.columns.headings[j].other) is None else show_token(other),
                "full": grid.columns.full(j),
                "strong": grid.columns.headings[j].strong,
            }
            for j in columns
        ],
        "rows": [
            {
                "index": i,
                "text": grid.rows.headings[i].shown(16),
                "full": grid.rows.full(i),
                "cells": [cell(i, j) for j in columns],
            }
            for i in (rows if grid.down else reversed(rows))
        ],
        "framed": [list(place) for place in grid.framed],
        "selected": None if selected is None else list(selected),
    }


def _colours(grid: Grid, value: float, *, dark: bool = False) -> list[str]:
    """Background and text."""
    back = (sequential if grid.centre is None else diverging)(grid.shade(value), dark=dark)
    return [css(back), css(text_on(back))]
