"""The widget of attention patterns: a map of all heads, and the pattern of the clicked one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import traitlets
from jaxtyping import Float

from interp.app.views.attention import attention_grid
from interp.figures.engine.view import Axis, Grid
from interp.methods.common.names import head_name
from interp.methods.heads.attention_patterns import attention_patterns
from interp.methods.heads.results import AttentionPatternsResult
from interp.models.base import Model
from interp.tokens import Prompt
from interp.widgets.grids import Grids, Place, checked, data_of


class AttentionWidget(Grids):
    """A map of heads; `head` is the clicked one, `selected` the clicked (query, key) of its pattern."""

    head = traitlets.Any(None)
    selected = traitlets.Any(None)

    def __init__(self, result: AttentionPatternsResult, shape: tuple[int, int]) -> None:
        super().__init__()
        self.result = result
        self.map = map_of_heads(result, shape)
        self.put(0, data_of(self.map))
        layer, head = np.unravel_index(np.nanargmax(self.map.values), shape)
        self.head = (int(layer), int(head))

    @classmethod
    def of(cls, model: Model, prompt: Prompt, heads: Sequence[str | Sequence[int]] | None) -> AttentionWidget:
        """Of a prompt, run once."""
        result = attention_patterns(model, prompt, heads=heads)
        return cls(result, (model.arch.n_layers, model.arch.n_heads))

    @property
    def pattern(self) -> Float[np.ndarray, "query key"]:
        """The attention of the chosen head."""
        return self.result.patterns[self._number]

    @property
    def _number(self) -> int:
        return self.result.heads.index(self.head)

    @traitlets.validate("head")
    def _is_a_head(self, proposal: Any) -> Place:
        head = checked(proposal["value"], self.map)
        return self.head if head is None or head not in self.result.heads else head

    @traitlets.observe("head")
    def _draw_pattern(self, _: Any) -> None:
        last = len(self.result.tokens) - 1
        pattern = attention_grid(self.result, self._number, last)
        self.put(0, self.parts[0], self.head)
        self.put(1, data_of(pattern, f"Head {head_name(self.head)}"), self.selected)

    @traitlets.observe("places")
    def _clicked(self, _: Any) -> None:
        self.head = self.place(0) or self.head
        if self.place(0) != self.head:  # a head that was not asked for
            self.put(0, self.parts[0], self.head)
        self.selected = self.place(1)


def map_of_heads(result: AttentionPatternsResult, shape: tuple[int, int]) -> Grid:
    """How much attention each head gives to other tokens than the first [layer, head], on average over the
    tokens behind the first; NaN for heads that were not asked for."""
    values = np.full(shape, np.nan)
    for head, pattern in zip(result.heads, result.patterns, strict=True):
        values[head] = pattern[1:, 1:].sum(-1).mean() if len(pattern) > 1 else 0.0
    return Grid(
        values=values,
        rows=Axis.names("layer", list(map(str, range(shape[0])))),
        columns=Axis.names("head", list(map(str, range(shape[1])))),
        unit="attention beyond the first token",
        title="Which heads look at something? Click one",
        centre=None,
        limit=1.0,
        above="looks at other tokens than the first",
    )
