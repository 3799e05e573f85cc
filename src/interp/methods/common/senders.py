"""What the senders of the graph (`interp.methods.common.graph`) write to the residual stream in a run.

A head writes ``z @ W_O``. Where a norm stands behind attention (`Architecture.post_norms`: Gemma 2 and 3,
OLMo-2), that sum over heads, with its bias, is divided by its rms before it is added. A head then writes

    gain * (z @ W_O + its share of the bias) / rms

with the rms *frozen* at that of the run which its z comes from, as it is for the final norm in direct logit
attribution. So the heads sum to attn_out, and what one of them writes does not change with what the others do
in another run. The bias is shared evenly: with a norm behind it, what it adds changes from run to run.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import DecompositionError
from interp.models.base import Cache, Model
from interp.models.self_check import ROUNDING

#: How many roundings the sum of what heads write may miss attn_out by.
_TOLERANCE = 10


def sender_sites(n_layers: int) -> list[tuple[str, int]]:
    """The sites that a cache must hold for `sender_outputs`."""
    return [("resid_pre", 0), *((site, layer) for layer in range(n_layers) for site in ("z", "mlp_out"))]


def head_outputs(
    model: Model, layer: int, z: Float[Tensor, "*row pos head d_head"]
) -> Float[Tensor, "*row head pos d_model"]:
    """What each head adds to the residual stream in the run that `z` comes from; without a norm behind
    attention, without the bias."""
    return outputs_of_scaled(model, layer, scaled(model, layer, z))


def sender_outputs(
    model: Model,
    cache: Cache,
    *,
    row: int = 0,
    heads: Callable[[Model, int, Tensor], Tensor] = head_outputs,
) -> Float[Tensor, "sender pos d_model"]:
    """What each sender wrote in one run, in the order of `Graph.senders`; with `heads` `outputs_of_scaled`, a
    cache holds z as `scaled` has it.

    With the attention biases, or where norms stand behind attention without, they sum to the last residual
    stream.
    """
    outputs = [cache["resid_pre", 0][row][None]]  # [1, pos, d_model]
    for layer in range(model.arch.n_layers):
        outputs.append(heads(model, layer, cache["z", layer][row]))
        outputs.append(cache["mlp_out", layer][row][None])
    return torch.cat(outputs)


def check_heads(
    model: Model,
    layer: int,
    outputs: Float[Tensor, "*row head pos d_model"],
    attn_out: Float[Tensor, "*row pos d_model"],
) -> None:
    """Raise `DecompositionError` where what heads write behind a norm does not sum to what attention adds."""
    if not model.arch.post_norms:
        return
    off = float((outputs.sum(-3) - attn_out).abs().max())
    if not off <= _TOLERANCE * ROUNDING[model.dtype] * float(attn_out.abs().max()):
        raise DecompositionError(
            f"With the scale of the norm behind attention frozen, what the heads of layer {layer} write does "
            f"not sum to what attention adds, off by up to {off:.2g}; load the model with dtype='float64'."
        )


# ---- with a norm behind attention ----


def scaled(
    model: Model, layer: int, z: Float[Tensor, "*row pos head d_head"]
) -> Float[Tensor, "*row pos head d_scaled"]:
    """z divided by the rms of the norm behind attention; with a last entry, 1 divided by it, for the bias.
    Where there is no norm, z itself. Means over runs are means of this: what heads write is linear in it."""
    norm = model.post_norm("attn_out", layer)
    if norm is None:
        return z
    scale = norm.scale(projected(model, "attn_out", layer, z))[..., None]  # [*row, pos, 1, 1]
    return torch.cat([z, torch.ones_like(z[..., :1])], -1) * scale


def outputs_of_scaled(
    model: Model, layer: int, z: Float[Tensor, "*row pos head d_scaled"]
) -> Float[Tensor, "*row head pos d_model"]:
    """What each head adds to the residual stream, given what `scaled` makes of z."""
    W_O, norm = model.W_O(layer).to(z), model.post_norm("attn_out", layer)
    if norm is not None:
        share = (model.b_O(layer).to(z) / len(W_O)).expand(len(W_O), 1, -1)
        W_O = torch.cat([W_O, share], 1) * norm.gain.to(z)
    return torch.einsum("...phd,hdm->...hpm", z, W_O)


def projected(
    model: Model, site: str, layer: int, activation: Float[Tensor, "*of_site"]
) -> Float[Tensor, "*row d_model"]:
    """What the norm behind attention (`site` "attn_out"; the activation is z) or the MLP ("mlp_out"; mlp_act)
    reads: what the output projection makes of it."""
    if site == "attn_out":
        W_O, b_O = model.W_O(layer).to(activation), model.b_O(layer).to(activation)
        return activation.flatten(-2) @ W_O.flatten(0, 1) + b_O  # at one position einsum is slow
    return activation @ model.W_out(layer).to(activation) + model.b_out(layer).to(activation)


def frozen_factor(
    model: Model, site: str, layer: int, activation: Float[Tensor, "*of_site"]
) -> Float[Tensor, "*row d_model"] | None:
    """What each entry that a head (`site` "attn_out"; the activation is z) or a neuron ("mlp_out"; mlp_act)
    writes is multiplied by in this run, gain / rms of the norm behind it; None where there is none."""
    norm = model.post_norm(site, layer)
    if norm is None:
        return None
    return norm.gain.to(activation) * norm.scale(projected(model, site, layer, activation))
