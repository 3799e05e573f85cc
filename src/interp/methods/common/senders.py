"""What the senders of the graph (`interp.methods.common.graph`) write to the residual stream in a run."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from interp.models.base import Cache, Model


def sender_sites(n_layers: int) -> list[tuple[str, int]]:
    """The sites that a cache must hold for `sender_outputs`."""
    return [("resid_pre", 0), *((site, layer) for layer in range(n_layers) for site in ("z", "mlp_out"))]


def sender_outputs(model: Model, cache: Cache, *, row: int = 0) -> Float[Tensor, "sender pos d_model"]:
    """What each sender wrote in one run, in the order of `Graph.senders`.

    With the attention biases they sum to the last residual stream.
    """
    outputs = [cache["resid_pre", 0][row][None]]  # [1, pos, d_model]
    for layer in range(model.arch.n_layers):
        outputs.append(head_outputs(cache["z", layer][row], model.W_O(layer)))
        outputs.append(cache["mlp_out", layer][row][None])
    return torch.cat(outputs)


def head_outputs(
    z: Float[Tensor, "*row pos head d_head"], W_O: Float[Tensor, "head d_head d_model"]
) -> Float[Tensor, "*row head pos d_model"]:
    """What each head adds to the residual stream, without the bias."""
    return torch.einsum("...phd,hdm->...hpm", z, W_O.to(z))
