"""Products of matrices with their gradients, by oneDNN where that is quicker (`interp.onednn`)."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from interp import onednn


def product(a: Float[Tensor, "row inner"], b: Float[Tensor, "inner column"]) -> Float[Tensor, "row column"]:
    """``a @ b``, with its gradients."""
    if not onednn.is_quicker() or not a.device.type == b.device.type == "cpu":
        return a @ b
    found: Tensor = _Product.apply(a, b)
    return found


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        return onednn.linear(a, b.T, None)

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        (a, b), (g,) = ctx.saved_tensors, grad
        g = g.contiguous()
        wanted_a, wanted_b = ctx.needs_input_grad
        return (
            onednn.linear(g, b, None) if wanted_a else None,
            onednn.linear(a.T, g.T, None) if wanted_b else None,
        )
