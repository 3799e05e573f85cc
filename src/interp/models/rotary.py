"""Rotary positions whose scale depends on how long a prompt is.

LongRoPE (Phi-3) has one set of frequencies for prompts up to the length of its pretraining and another
beyond; dynamic NTK stretches them with each token more. In transformers both go by the longest row of a
batch, and dynamic NTK by the longest of earlier passes too. So that a batch equals its prompts one by one,
rows of one scale run together, and each pass begins with frequencies as they are in a new model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from interp.models.editing import Key, Taps
from interp.sites import SITES


def scales(model: nn.Module) -> Callable[[int], int]:
    """Which prompt lengths share a scale of rotary positions: those that this maps to the same number."""
    config: Any = model.config.get_text_config() if isinstance(model, PreTrainedModel) else None
    limits = []  # (up to which length all prompts share one, whether those beyond do)
    for rope in _parameters(config):
        if rope.get("rope_type") == "longrope":
            limits.append((rope["original_max_position_embeddings"], True))
        elif rope.get("rope_type") == "dynamic":
            limits.append((config.max_position_embeddings, False))

    def scale(length: int) -> int:
        beyond = (limit + 1 if together else length for limit, together in limits if length > limit)
        return max(beyond, default=0)

    return scale


def longest(config: Any) -> int | None:
    """The longest prompt that a model of this configuration reads; None: no limit known."""
    n_ctx = getattr(config, "max_position_embeddings", None)
    for rope in _parameters(config):
        if n_ctx is not None and rope.get("rope_type") == "dynamic":
            return int(n_ctx * rope["factor"])
    return n_ctx


def _parameters(config: Any) -> list[dict[str, Any]]:
    """What a configuration says of rotary positions; of each kind of layer where they differ."""
    given = getattr(config, "rope_parameters", None)
    if not isinstance(given, dict):
        return []
    by_layer = [one for one in given.values() if isinstance(one, dict) and "rope_type" in one]
    return by_layer or [given]


def run_by_scale(
    run: Callable[[Tensor, Taps], Tensor | None], ids: Tensor, taps: Taps, scale: Callable[[int], int]
) -> Tensor | None:
    """The logits [batch, pos, d_vocab] of `run` on `ids`, in which rows of other scales run apart; what is
    past a row's length is zero where they do. None where it gives none."""
    rows_of: dict[int, list[int]] = {}
    for row, length in enumerate(taps.lengths):
        rows_of.setdefault(scale(length), []).append(row)
    if len(rows_of) == 1:
        return run(ids, taps)
    whole = None
    for rows in rows_of.values():
        n_pos = max(taps.lengths[row] for row in rows)
        logits = run(ids[rows, :n_pos], SomeRows(taps, rows, n_rows=len(ids), n_pos=ids.shape[1]))
        if logits is None:
            continue
        if whole is None:
            whole = logits.new_zeros(*ids.shape, logits.shape[-1])
        whole[rows, :n_pos] = logits
    return whole


class SomeRows(Taps):
    """The taps of a batch, for a pass of some of its rows: edits see the batch with zeros in place of the
    others."""

    def __init__(self, whole: Taps, rows: Sequence[int], *, n_rows: int, n_pos: int) -> None:
        super().__init__((), (), tuple(whole.lengths[row] for row in rows))
        self.whole, self.rows, self.n_rows, self.n_pos = whole, list(rows), n_rows, n_pos
        self.reads, self.edits = whole.reads, whole.edits

    def visit(self, site: str, layer: int | None, value: Tensor) -> Tensor:
        key: Key = (site, layer)
        before = self.whole.values.get(key)
        in_batch, where = self._in_batch(site, value)
        edited = self.whole.visit(site, layer, in_batch)[where]
        if before is not None:  # what the rows that ran before these left
            before[where] = self.whole.values[key][where]
            self.whole.values[key] = before
        return edited if key in self.edits else value

    def _in_batch(self, site: str, value: Tensor) -> tuple[Tensor, tuple[Any, ...]]:
        """An activation [row, ...] of these rows among zeros, [batch, ...] with all positions; and where it
        is."""
        along_pos = [axis in ("pos", "query", "key") for axis in SITES[site].axes[1:]]
        where = (self.rows, *(slice(max(self.lengths)) if pos else slice(None) for pos in along_pos))
        sizes = [self.n_pos if pos else n for pos, n in zip(along_pos, value.shape[1:], strict=True)]
        whole = value.new_zeros(self.n_rows, *sizes)
        whole[where] = value
        return whole, where


@contextmanager
def from_the_start(parts: Iterable[nn.Module]) -> Iterator[None]:
    """For as long as the context lasts, what dynamic rotary positions have seen before is forgotten."""
    kept = [(part, dict(part._buffers), _lengths_seen(part)) for part in parts if _is_dynamic(part)]
    for part, buffers, seen in kept:
        for name in buffers:
            if name.endswith("original_inv_freq"):
                part._buffers[name.replace("original_", "")] = buffers[name]
        part.__dict__.update(dict.fromkeys(seen, part.original_max_seq_len))
    try:
        yield
    finally:
        for part, buffers, seen in kept:
            part._buffers.update(buffers)
            part.__dict__.update(seen)


def _is_dynamic(part: nn.Module) -> bool:
    kind = getattr(part, "rope_type", None)
    return "dynamic" in (kind.values() if isinstance(kind, dict) else (kind,))


def _lengths_seen(part: nn.Module) -> dict[str, Any]:
    return {name: value for name, value in part.__dict__.items() if name.endswith("max_seq_len_cached")}
