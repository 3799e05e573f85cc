"""Grids as plain values for the grid component in the browser (`figures/engine/grid.js`): the texts of cells
and hovers, and colours by CSS class.

The component sets all of it as text, never as HTML, so that no token can be anything else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from interp.figures.engine import html
from interp.figures.engine.notation import probability, show_token
from interp.figures.engine.view import Axis, Grid, number

#: Of longer prompts, so many tokens around a position are drawn.
MOST_TOKENS = 48


def window(n: int, around: int, size: int = MOST_TOKENS) -> range:
    """The `size` positions, of `n`, around one of them; all where there are no more. It moves by half of its
    size, so that most clicks leave it where it is."""
    step = max(size // 2, 1)
    start = min(max((around - step // 2) // step * step, 0), max(n - size, 0))
    return range(start, min(start + size, n))


def turned(grid: Grid) -> Grid:
    """A grid with its columns as rows, the first at the top."""
    assert grid.notes is None
    return replace(
        grid,
        values=grid.values.T,
        rows=grid.columns,
        columns=grid.rows,
        texts=None if grid.texts is None else grid.texts.T,
        hover=tuple((name, np.asarray(array).T) for name, array in grid.hover),
        framed=tuple((column, row) for row, column in grid.framed),
        down=True,
    )


def grid_data(
    grid: Grid,
    *,
    selected: tuple[int, int] | None = None,
    around: int | None = None,
    most: int = MOST_TOKENS,
) -> dict[str, Any]:
    """A grid for the component. `selected` is a (row, column) of the grid's arrays; of an axis of tokens, the
    window of at `most` so many around position `around` is drawn (by default, the last)."""
    values, hover = grid.values.tolist(), [array.tolist() for _, array in grid.hover]
    texts, bare = grid.cells, grid.texts is not None and bool(hover)

    def cell(i: int, j: int) -> dict[str, Any]:
        value = values[i][j]
        if math.isnan(value):
            return {"text": ""}
        details = [] if bare else [number(value)]
        return {
            "text": texts[i][j],
            "shade": html.shade_class(grid, value),
            "details": details + [number(array[i][j]) for array in hover],
        }

    def shown(axis: Axis) -> range:
        n = len(axis)
        return window(n, n - 1 if around is None else around, most) if axis.of_tokens else range(n)

    rows, columns = shown(grid.rows), shown(grid.columns)
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


def token_strip(tokens: Sequence[str], *, selected: int) -> dict[str, Any]:
    """A row of all tokens, BOS and white space visible."""
    axis = Axis.tokens(tokens)
    rows = [("", axis.short(24))]
    data = _text_grid("strip", "Tokens", [axis.full(j) for j in range(len(axis))], rows)
    return data | {"selected": [0, selected]}


def said_strip(tokens: Sequence[str], probabilities: Sequence[float]) -> dict[str, Any]:
    """A row of tokens that were said; the hover tells the probability of each."""
    rows = [("", tuple(show_token(token, max_chars=24) for token in tokens))]
    names = [f"said: token {n + 1}" for n in range(len(tokens))]
    data = _text_grid("strip", "What the model goes on to say", names, rows)
    for cell, p in zip(data["rows"][0]["cells"], probabilities, strict=True):
        cell["details"] = [f"{cell['text']}, probability {probability(p)}"]
    return data


def token_ranking(
    ranked: Sequence[tuple[int, str, float]], *, label: str, framed_rank: int
) -> dict[str, Any]:
    """Tokens by rank, (rank, token, probability) each, with a bar for its probability."""
    rows = [(str(rank), (show_token(token, max_chars=20), probability(p))) for rank, token, p in ranked]
    data = _text_grid("list", label, ["token", "probability"], rows)
    for row, (_, _, p) in zip(data["rows"], ranked, strict=True):
        row["cells"][1]["bar"] = p
    return data | {"framed": [[i, 0] for i, (rank, _, _) in enumerate(ranked) if rank == framed_rank]}


def _text_grid(
    look: str, label: str, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]
) -> dict[str, Any]:
    """A grid of texts without colours: the columns' headings, and each row's name and cells."""
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
