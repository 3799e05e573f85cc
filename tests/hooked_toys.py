"""Small HookedTransformers with random weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch

SIZES: dict[str, Any] = {
    "n_layers": 2, "n_heads": 4, "d_model": 32, "d_head": 8, "d_mlp": 64, "n_ctx": 24, "d_vocab": 23,
    "act_fn": "relu", "device": "cpu", "seed": 0,
}  # fmt: skip


def needs_hooked_transformers() -> None:
    """Skip the test, or the module, where TransformerLens is missing or has none: from version 4 on."""
    pytest.importorskip("transformer_lens")
    try:
        from transformer_lens import HookedTransformer  # noqa: F401
    except ImportError:
        pytest.skip("this TransformerLens has no HookedTransformer", allow_module_level=True)


def toy(**changes: Any) -> Any:
    """A HookedTransformer with random weights, biases too; always the same."""
    from transformer_lens import HookedTransformer, HookedTransformerConfig

    model = HookedTransformer(HookedTransformerConfig(**SIZES | changes))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.15 * torch.randn(parameter.shape, generator=generator)
    return model
