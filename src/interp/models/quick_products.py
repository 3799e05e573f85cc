"""A model's products on processors for which torch's usual ones are slow.

torch multiplies matrices of float32 by MKL, which has no code of its own for processors that Intel did not
make. oneDNN, which comes with torch as well, is about twice as quick there, and five times where a few rows
meet a large vocabulary. Where gradients are taken, or a weight is no plain tensor, nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

#: Multiplications from which on oneDNN is quicker; what it takes to begin, smaller products do not give back.
LEAST = 2**20


class QuickLinear(nn.Linear):
    """`nn.Linear`, by oneDNN where it may be."""

    def forward(self, input: Tensor) -> Tensor:
        if _may_be_quick(input, self.weight):
            return _product()(input, self.weight, self.bias, "none", [], "")
        return super().forward(input)


class QuickConv1D(Conv1D):
    """GPT-2's `Conv1D`, by oneDNN where it may be."""

    def forward(self, x: Tensor) -> Tensor:
        if _may_be_quick(x, self.weight):
            return _product()(x, self.weight.t(), self.bias, "none", [], "")
        return super().forward(x)


_QUICK: dict[type[nn.Module], type[nn.Module]] = {nn.Linear: QuickLinear, Conv1D: QuickConv1D}


def with_quick_products(model: nn.Module) -> None:
    """Let a model that is nobody else's multiply by oneDNN, on a processor where that is quicker."""
    if not is_quicker():
        return
    for module in model.modules():
        if type(module) in _QUICK:
            module.__class__ = _QUICK[type(module)]


@cache
def is_quicker() -> bool:
    """Whether this processor is one for which MKL has no code of its own, and torch has oneDNN's product."""
    if not (torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()):
        return False
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    processor = str(capabilities.get("cpu_name", "Intel"))  # where torch does not say: nothing is changed
    return "Intel" not in processor and hasattr(torch.ops.mkldnn, "_linear_pointwise")


@cache
def _product() -> Callable[..., Tensor]:
    product: Callable[..., Tensor] = torch.ops.mkldnn._linear_pointwise.default
    return product


def _may_be_quick(x: Tensor, weight: Tensor) -> bool:
    return (
        type(x) is Tensor
        and type(weight) in (Tensor, nn.Parameter)
        and x.device.type == weight.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and x.numel() * weight.numel() >= LEAST * x.shape[-1]
        and not (torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad))
    )
