"""A small picture of the model, in which what the page is looking at is lit up."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from interp.figures.engine.notation import count

if TYPE_CHECKING:
    from interp.models.base import Model

_WIDE, _HIGH = 190, 210  # pixels of the picture; of many layers, each is as high as there is room for
_STREAM = 62  # where the residual stream runs
_ATTENTION, _MLP = (78, 56), (140, 34)  # where the boxes of a layer begin, and how wide they are
_HIGHEST, _LOWEST = 20.0, 0.5  # pixels of a layer
_MOST_HEADS = 28  # that are drawn one by one
_LINE = 13.0  # pixels from one number of a layer to the next


@dataclass(frozen=True)
class ModelShape:
    """What a picture of the model shows of it."""

    n_layers: int
    n_heads: int


@dataclass(frozen=True)
class ShapeOfModel:
    """How many layers and heads a model has."""

    def __call__(self, model: Model) -> ModelShape:
        return ModelShape(model.arch.n_layers, model.arch.n_heads)


def in_words(shape: ModelShape, row: int, head: tuple[int, int] | None) -> str:
    """What is lit: the stream at a row of the lens, and a head (layer, head)."""
    where = "the embedding" if row == 0 else f"the stream after layer {row - 1}"
    heads = "" if head is None else f" and head {head[0]}.{head[1]}"
    return f"Looked at: {where}{heads}, of {count(shape.n_layers, 'layer')}."


def picture(shape: ModelShape, row: int, head: tuple[int, int] | None = None) -> str:
    """The model as SVG: the residual stream from the embedding up, and beside it each layer's attention, its
    heads side by side, and MLP. Lit are the point of the stream at a row of the lens, and a head."""
    high = min(_HIGHEST, max(_LOWEST, (_HIGH - 40) / shape.n_layers))
    foot = 18 + high * shape.n_layers
    parts = [f'<path class="rule" d="M{_STREAM} {foot + 8}V10" fill="none" stroke="currentColor"/>']
    parts += [_text(_STREAM - 8, foot + 10, "embed"), _text(_STREAM - 8, 14, "says")]
    for layer in range(shape.n_layers):
        y = foot - high * (layer + 1)
        lit = None if head is None or head[0] != layer else head[1]
        parts += _layer(shape, y, high, lit)
        every = ceil(_LINE / high)
        if layer % every == 0:
            parts.append(_text(_STREAM - 8, y + high / 2 + 4, str(layer)))
    at = foot + 4 if row == 0 else foot - high * row + 1
    parts.append(f'<circle class="lit" cx="{_STREAM}" cy="{at:.1f}" r="5"/>')
    size = f'width="{_WIDE}" height="{foot + 20:.0f}" viewBox="0 0 {_WIDE} {foot + 20:.0f}"'
    label = in_words(shape, row, head)
    return f'<svg class="model-picture" role="img" aria-label="{label}" {size}>{"".join(parts)}</svg>'


def _layer(shape: ModelShape, y: float, high: float, lit: int | None) -> list[str]:
    """A layer's boxes: its heads (or all of its attention), and its MLP."""
    tall = max(high - 3, 0.6 * high)
    (x, wide), parts = _ATTENTION, []
    n = shape.n_heads if shape.n_heads <= _MOST_HEADS else 1
    for one in range(n):
        which = "lit" if lit is not None and (lit == one or n == 1) else "part"
        parts.append(_box(x + wide * one / n, y + 1, wide / n - 1, tall, which))
    parts.append(_box(_MLP[0], y + 1, _MLP[1], tall, "part"))
    return parts


def _box(x: float, y: float, wide: float, high: float, which: str) -> str:
    return f'<rect class="{which}" x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}" rx="1"/>'


def _text(x: float, y: float, text: str) -> str:
    return f'<text class="quiet" x="{x}" y="{y:.1f}" text-anchor="end">{text}</text>'
