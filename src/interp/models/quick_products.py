"""A model's products by oneDNN, on processors for which torch's usual ones are slow (`interp.onednn`).

Where gradients are taken, or a weight is no plain tensor of float32, nothing is changed.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from interp import onednn

#: Multiplications from which on oneDNN is quicker; what it takes to begin, smaller products do not give back.
LEAST = 2**20


class QuickLinear(nn.Linear):
    """`nn.Linear`, by oneDNN where it may be."""

    def forward(self, input: Tensor) -> Tensor:
        if _may_be_quick(input, self.weight):
            return onednn.linear(input, self.weight, self.bias)
        return super().forward(input)


class QuickConv1D(Conv1D):
    """GPT-2's `Conv1D`, by oneDNN where it may be."""

    def forward(self, x: Tensor) -> Tensor:
        if _may_be_quick(x, self.weight):
            return onednn.linear(x, self.weight.t(), self.bias)
        return super().forward(x)


_QUICK: dict[type[nn.Module], type[nn.Module]] = {nn.Linear: QuickLinear, Conv1D: QuickConv1D}


def with_quick_products(model: nn.Module) -> None:
    """Let a model that is nobody else's multiply by oneDNN, on a processor where that is quicker."""
    if not onednn.is_quicker():
        return
    for module in model.modules():
        if type(module) in _QUICK:
            module.__class__ = _QUICK[type(module)]


def _may_be_quick(x: Tensor, weight: Tensor) -> bool:
    return (
        type(x) is Tensor
        and type(weight) in (Tensor, nn.Parameter)
        and x.device.type == weight.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and x.numel() * weight.numel() >= LEAST * x.shape[-1]
        and not (torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad))
    )
