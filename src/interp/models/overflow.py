"""Why a run gives NaN: in half precision, mostly because an activation went beyond what it can hold."""

from __future__ import annotations

import torch

from interp.models.base import Model
from interp.models.precise import HALF
from interp.tokens import Tokens


def why_not_finite(model: Model, *prompts: Tokens) -> str:
    """A sentence on NaN or infinity in the logits of prompts: the layer at which the residual stream of a
    half-precision model overflows or comes near it, else what to check."""
    if model.dtype in HALF:
        most = torch.finfo(model.dtype).max
        for tokens in prompts:
            cache = model.run_with_cache(tokens, ["resid_post"], logits=False)
            sizes = [float(cache["resid_post", i].float().abs().max()) for i in range(model.arch.n_layers)]
            for layer, size in enumerate(sizes):
                if not size <= most / 2:
                    held = "is not finite any more" if not size <= most else f"reaches {size:,.0f}"
                    before = f" (before it: {sizes[layer - 1]:,.0f})" if layer else ""
                    return (
                        f"In {model.identity.dtype} the residual stream {held} after layer {layer}{before}, "
                        f"where {most:,.0f} is the most there is; load the model with dtype='bfloat16' or "
                        "'float32'."
                    )
    return "The model's logits are NaN or infinite on these prompts; check its weights."
