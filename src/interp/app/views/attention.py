"""The attention of some heads on a prompt: the pages Explore and Circuit map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from interp.app.views.questions import LibraryQuestion
from interp.figures.engine.notation import brief
from interp.figures.engine.view import Attention, Axis, Grid
from interp.methods.common.names import head_name

if TYPE_CHECKING:
    from interp.methods.heads.results import AttentionPatternsResult
    from interp.models.base import Model


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
    return Attention(
        tokens=result.tokens,
        patterns=((name, pattern),),
        framed=((position, int(pattern[position].argmax())),),
        framed_means=f"where {brief(result.tokens[position])} looks the most",
    ).grids[0]


def heads_grid(result: AttentionPatternsResult, position: int) -> Grid:
    """Where each head of the result looks from one position, [head, key]."""
    seen = result.patterns[:, position].astype(float)
    seen[:, position + 1 :] = np.nan
    return Grid(
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


def _named_patterns(result: AttentionPatternsResult) -> tuple[tuple[str, np.ndarray], ...]:
    """The name of each head, and its pattern [query, key]."""
    return tuple(zip(map(head_name, result.heads), result.patterns.astype(float), strict=True))
