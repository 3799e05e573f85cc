"""What attention does to the residual stream of one run, with its patterns and the scales of norms frozen: a
linear map, and its transpose.

    attn_out[q] = after[q] * (sum over heads h, keys k of pattern[h, q, k] * value(x[k]) @ W_O[h] + b_O)
    value(x[k]) = scale[k] * (x[k] @ W_V) + c_V

`after` is the frozen factor of a norm behind attention, where there is one. W_V holds the projection to
values with the linear part and the gain of the norm before it, and is found by running the layer on unit
vectors, so that it does not matter how a family keeps its projections. That works because a norm divides a
linear map of its input by a scale and adds a bias, and because unit vectors all have the same scale (of a
LayerNorm and an RMSNorm); which scale a position of this run has follows from the values that it has there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import DecompositionError
from interp.methods.common.senders import frozen_factor
from interp.models.base import Cache, Model
from interp.tokens import Tokens

#: By how much a part of attention may miss what the model computed, as a share of its largest entry.
TOLERANCE = {torch.float64: 1e-5, torch.float32: 1e-3}  # RMSNorms of transformers compute in float32
SITES = ("resid_pre", "v", "pattern", "z", "attn_out")


@dataclass(frozen=True, eq=False, kw_only=True)
class FrozenAttention:
    """Attention of one layer in one run; float64, on the CPU."""

    pattern: Float[Tensor, "head query key"]
    W_V: Float[Tensor, "d_model kv_head d_head"]
    scale: Float[Tensor, " key"]
    W_O: Float[Tensor, "head d_head d_model"]
    after: Float[Tensor, "query d_model"]
    constant: Float[Tensor, "query d_model"]  # what it writes that does not depend on the stream

    def __call__(self, x: Float[Tensor, "row pos d_model"]) -> Float[Tensor, "row pos d_model"]:
        """What it makes of residual streams, without the constant."""
        values = torch.einsum("rkd,dvh,k->rkvh", x, self.W_V, self.scale)
        return self._mixed(values)

    def transposed(self, g: Float[Tensor, "row pos d_model"]) -> Float[Tensor, "row pos d_model"]:
        """What gradients with respect to its output are with respect to the stream that it reads."""
        z = torch.einsum("rqd,qd,hed->rqhe", g, self.after, self.W_O)
        values = torch.einsum("hqk,rqhe->rkhe", self.pattern, z)
        groups = len(self.pattern) // self.W_V.shape[1]
        values = values.unflatten(2, (-1, groups)).sum(3)  # heads that share keys and values
        return torch.einsum("rkve,dve,k->rkd", values, self.W_V, self.scale)

    def _mixed(self, values: Float[Tensor, "row key kv_head d_head"]) -> Float[Tensor, "row pos d_model"]:
        return mixed(self.pattern, values, self.W_O) * self.after

    @classmethod
    def of(cls, model: Model, tokens: Tokens, cache: Cache, layer: int) -> FrozenAttention:
        """Attention of a layer in the run of one prompt that `cache` holds (with `SITES`).

        Raises `DecompositionError` where it is no such map: its values or its norms are of another kind, or
        the model is in half precision.
        """
        x, v, pattern, z, out = (cache[site, layer][0].double().cpu() for site in SITES)
        W_V, c_V = _values(model, tokens, layer)
        reached, wanted = torch.einsum("kd,dvh->kvh", x, W_V), v - c_V
        scale = (reached * wanted).sum((1, 2)) / reached.square().sum((1, 2)).clamp(min=1e-300)
        _check(model, layer, "values", reached * scale[:, None, None] + c_V, v)
        W_O, b_O = model.W_O(layer).double().cpu(), model.b_O(layer).double().cpu()
        factor = frozen_factor(model, "attn_out", layer, z)
        after = torch.ones_like(out) if factor is None else factor
        everywhere = c_V.expand(1, len(x), -1, -1)
        constant = (mixed(pattern, everywhere, W_O)[0] + b_O) * after
        found = cls(pattern=pattern, W_V=W_V, scale=scale, W_O=W_O, after=after, constant=constant)
        _check(model, layer, "output", found(x[None])[0] + constant, out)
        return found


def mixed(
    pattern: Float[Tensor, "head query key"],
    values: Float[Tensor, "row key kv_head d_head"],
    W_O: Float[Tensor, "head d_head d_model"],
) -> Float[Tensor, "row query d_model"]:
    """What the heads write, given patterns and values (of fewer heads)."""
    of_each = values.repeat_interleave(len(pattern) // values.shape[2], dim=2)  # [row, key, head, d_head]
    return torch.einsum("hqk,rkhe,hed->rqd", pattern, of_each, W_O)


def _values(
    model: Model, tokens: Tokens, layer: int
) -> tuple[Float[Tensor, "d_model kv_head d_head"], Float[Tensor, "kv_head d_head"]]:
    """The map from the stream to values for the scale of a unit vector, and the values of no stream."""
    width, n_pos = model.arch.d_model, tokens.lengths[0]
    probes = torch.cat([torch.eye(width), torch.zeros(1, width)])  # each position has one of them
    rows = -(-len(probes) // n_pos)
    filled = torch.zeros(rows * n_pos, width)
    filled[: len(probes)] = probes
    resid = filled.reshape(rows, n_pos, width).to(model.device, model.dtype)
    v = model.run_layer(tokens, layer, resid, ["v"])["v"].double().cpu().flatten(0, 1)
    constant = v[width]
    return v[:width] - constant, constant


def _check(model: Model, layer: int, what: str, found: Tensor, wanted: Tensor) -> None:
    off = float((found - wanted).abs().max() / wanted.abs().max().clamp(min=1e-300))
    if not off <= TOLERANCE.get(model.dtype, 0.0):
        raise DecompositionError(
            f"With norms frozen, the {what} of attention in layer {layer} is no linear map of the residual "
            f"stream (off by {off:.1g} of its largest entry); load the model with dtype='float32' or "
            "'float64' where it is in half precision, otherwise its norms are of a kind that has no graph."
        )
