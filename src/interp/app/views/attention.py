"""The attention of some heads on a prompt: the pages Explore and Circuit map."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from interp.app.views.grid_data import MOST_TOKENS, window
from interp.app.views.questions import LibraryQuestion
from interp.figures.engine.axis import Heading
from interp.figures.engine.notation import brief
from interp.figures.engine.view import Attention, Axis, Grid
from interp.methods.common.names import head_name

if TYPE_CHECKING:
    from interp.methods.heads.results import AttentionPatternsResult
    from interp.models.base import Model


MOST_KEYS = 14  # columns of a long prompt's pattern: as many as are seen at once in half a page


@dataclass(frozen=True)
class AttentionPatterns(LibraryQuestion):
    """The attention of some heads, each as ``"5.1"`` or as (layer, head)."""

    method: ClassVar[str] = "attention_patterns"
    prompt: str
    heads: tuple[str, ...] | tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class HeadsPerLayer:
    """How many heads a layer has."""

    def __call__(self, model: Model) -> int:
        return model.arch.n_heads


def pattern_grids(result: AttentionPatternsResult, most: int) -> list[Grid]:
    """The patterns of the first `most` heads of the result, [query, key] each."""
    return Attention(tokens=result.tokens, patterns=_named_patterns(result)[:most]).grids


def attention_grid(result: AttentionPatternsResult, head: int, position: int) -> Grid:
    """The pattern of one head of the result, [query, key]; framed: where `position` looks the most."""
    name, pattern = _named_patterns(result)[head]
    grid = Attention(
        tokens=result.tokens,
        patterns=((name, pattern),),
        framed=((position, int(pattern[position].argmax())),),
        framed_means=f"where {brief(result.tokens[position])} looks the most",
    ).grids[0]
    return folded(grid, position)


def heads_grid(result: AttentionPatternsResult, position: int) -> Grid:
    """Where each head of the result looks from one position, [head, key]."""
    seen = result.patterns[:, position].astype(float)
    seen[:, position + 1 :] = np.nan
    grid = Grid(
        values=seen,
        rows=Axis.names("head", [name for name, _ in _named_patterns(result)]),
        columns=Axis.tokens(result.tokens, title="key"),
        unit="attention",
        title=f"Where the heads of layer {result.heads[0][0]} look from {brief(result.tokens[position])}",
        centre=None,
        limit=1.0,
        above="looks there",
        down=True,
    )
    return folded(grid, position)


def folded(grid: Grid, around: int) -> Grid:
    """Of a long prompt: the keys around a position, the first one (mostly BOS, at which many heads look), and
    in a column the sum of all others, so few that all of them are seen. A shorter one as it is."""
    n = len(grid.columns)
    if n <= MOST_TOKENS:
        return grid
    near = list(window(n, around, MOST_KEYS - 2))
    first = [] if near[0] == 0 else [0]
    others = sorted({*range(n)} - {*near, *first})
    left_out = grid.values[:, others]
    rest = np.where(np.isnan(left_out).all(1), np.nan, np.nansum(left_out, axis=1))
    shown, at = [*first, *near], 1 if first else len(near)  # `at` is where the sum stands
    headings = [grid.columns.headings[key] for key in shown]
    headings.insert(at, Heading(f"{len(others)} others", name=True))
    positions = [*shown[:at], -1, *shown[at:]]  # the sum stands nowhere in the prompt
    places = dict.fromkeys(others, at) | {key: positions.index(key) for key in shown}
    return replace(
        grid,
        values=np.insert(grid.values[:, shown], at, rest, axis=1),
        columns=Axis(grid.columns.title, tuple(headings), tuple(positions)),
        framed=tuple((row, places[key]) for row, key in grid.framed),
    )


def _named_patterns(result: AttentionPatternsResult) -> tuple[tuple[str, np.ndarray], ...]:
    """The name of each head, and its pattern [query, key]."""
    return tuple(zip(map(head_name, result.heads), result.patterns.astype(float), strict=True))
