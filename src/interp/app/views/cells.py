"""A grid as plain values for the browser: texts, colours by class, what the hover tells.

The browser sets all of it as text, never as HTML, so that no token can be anything else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from interp.figures.engine import html
from interp.figures.engine.notation import probability, show_token
from interp.figures.engine.view import Axis, Grid, number

#: As many rows and columns of tokens are drawn at once; of longer prompts, those around a position.
WINDOW = 48


def window(n: int, around: int, size: int = WINDOW) -> range:
    """The `size` positions of `n` around one; all where there are no more."""
    start = min(max(around - size // 2, 0), max(n - size, 0))
    return range(start, min(start + size, n))


def payload(
    grid: Grid, *, selected: tuple[int, int] | None = None, around: int | None = None
) -> dict[str, Any]:
    """What the grid component draws (`figures/engine/grid.js`). `selected` is a (row, column) of the grid's
    arrays; of axes of tokens, the window around position `around` is drawn (by default, the last)."""
    values, hover = grid.values.tolist(), [array.tolist() for _, array in grid.hover]
    texts, bare = grid.cells, grid.texts is not None and bool(hover)

    def cell(i: int, j: int) -> dict[str, Any]:
        value = values[i][j]
        if math.isnan(value):
            return {"text": ""}
        told = [] if bare else [number(value)]
        return {
            "text": texts[i][j],
            "shade": html.shade_class(grid, value),
            "told": told + [number(array[i][j]) for array in hover],
        }

    def drawn(axis: Axis) -> range:
        n = len(axis)
        return window(n, n - 1 if around is None else around) if axis.of_tokens else range(n)

    rows, columns = drawn(grid.rows), drawn(grid.columns)
    return {
        "label": grid.title or grid.unit,
        "corner": grid.rows.title,
        "key": f"{grid.unit}{grid.marks_in_words}. {grid.key}".strip(),
        "legend": [[html.shade_class(grid, value), text] for value, text in grid.scale_stops],
        "names": [*([] if bare else [grid.unit]), *(name for name, _ in grid.hover)],
        "columns": [
            {
                "index": j,
                "text": grid.columns.headings[j].shown(9),
                "other": None if (other := grid.columns.headings[j].other) is None else show_token(other),
                "full": grid.columns.full(j),
                "strong": grid.columns.headings[j].strong,
            }
            for j in columns
        ],
        "rows": [
            {
                "index": i,
                "text": (name := grid.rows.headings[i]).shown(30 if name.name else 12),
                "full": grid.rows.full(i),
                "cells": [cell(i, j) for j in columns],
            }
            for i in (rows if grid.down else reversed(rows))
        ],
        "framed": [list(place) for place in grid.framed],
        "selected": None if selected is None else list(selected),
    }


def strip(tokens: Sequence[str], *, selected: int) -> dict[str, Any]:
    """A row of all tokens, BOS and white space visible."""
    axis = Axis.tokens(tokens)
    return _of_text("strip", "Tokens", [axis.full(j) for j in range(len(axis))], [("", axis.short(24))]) | {
        "selected": [0, selected]
    }


def ranking(told: Sequence[tuple[int, str, float]], *, label: str, framed: int) -> dict[str, Any]:
    """Tokens by rank: (rank, token, probability), each with a bar; framed is the one of rank `framed`."""
    rows = [(str(rank), (show_token(token, max_chars=20), probability(p))) for rank, token, p in told]
    drawn = _of_text("list", label, ["token", "probability"], rows)
    for row, (_, _, p) in zip(drawn["rows"], told, strict=True):
        row["cells"][1]["bar"] = p
    return drawn | {"framed": [[i, 0] for i, (rank, _, _) in enumerate(told) if rank == framed]}


def _of_text(
    look: str, label: str, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]
) -> dict[str, Any]:
    """A grid of texts without colours: the columns in full, the rows by name."""
    return {
        "look": look,
        "label": label,
        "corner": "",
        "names": [],
        "columns": [{"index": j, "text": name, "full": name} for j, name in enumerate(columns)],
        "rows": [
            {"index": i, "text": name, "full": name, "cells": [{"text": text} for text in texts]}
            for i, (name, texts) in enumerate(rows)
        ],
        "framed": [],
        "selected": None,
    }
