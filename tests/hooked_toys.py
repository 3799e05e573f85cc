"""Small HookedTransformers with random weights."""

from __future__ import annotations

from typing import Any

import torch

SIZES: dict[str, Any] = {
    "n_layers": 2, "n_heads": 4, "d_model": 32, "d_head": 8, "d_mlp": 64, "n_ctx": 24, "d_vocab": 23,
    "act_fn": "relu", "device": "cpu", "seed": 0,
}  # fmt: skip


def toy(**changes: Any) -> Any:
    """A HookedTransformer with random weights, biases too; always the same."""
    from transformer_lens import HookedTransformer, HookedTransformerConfig

    model = HookedTransformer(HookedTransformerConfig(**SIZES | changes))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.15 * torch.randn(parameter.shape, generator=generator)
    return model
