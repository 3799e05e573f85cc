"""Which heads bring the answer to the end of the prompt, and from where: for these a graph says why they
attend there.

What a head moves from a key to the last position, along the residual stream to the logit and through no other
layer, is exact: attention times value, through its output matrix, times what the logit reads. That is direct
logit attribution by head and key.

When it misleads: a head that matters through later layers moves nothing directly, and is not named here.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from interp.methods.graphs.local_model import LocalModel
from interp.models.base import Model

#: A layer, a head, and the position that it attends to from the last one.
Move = tuple[int, int, int]


def moving_heads(model: Model, local: LocalModel, direction: Float[Tensor, " d_model"], n: int) -> list[Move]:
    """The `n` heads that move most along `direction` to the last position, each with the key from which it
    moves most; the strongest first. A head that looks at the first position counts by what it moves from
    others, as there attention rests that has nothing to do."""
    cache = model.run_with_cache(
        local.tokens, [("v", layer) for layer in range(local.n_layers)], logits=False
    )
    found: list[tuple[float, Move]] = []
    for layer, attention in enumerate(local.attention):
        v = cache["v", layer][0].double().cpu()  # [key, kv_head, d_head]
        v = v.repeat_interleave(len(attention.pattern) // v.shape[1], dim=1)
        read = torch.einsum("hed,d->he", attention.W_O, direction * attention.after[-1])
        moved = attention.pattern[:, -1] * torch.einsum("khe,he->hk", v, read)  # [head, key]
        best = moved[:, 1:].abs().max(-1)
        found += [
            (float(size), (layer, head, int(key) + 1))
            for head, (size, key) in enumerate(zip(best.values, best.indices, strict=True))
        ]
    found.sort(key=lambda one: -one[0])
    return [move for _, move in found[:n]]
