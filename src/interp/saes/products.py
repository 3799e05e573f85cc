"""Products of matrices in float32 on the CPU, in half the time where torch's own use half of the processor.

torch multiplies float32 by MKL, which on AMD's processors leaves half the width of AVX-512 unused. oneDNN, by
which torch multiplies half precision, uses all of it: the same products, but for the last digits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


def product(a: Float[Tensor, "row inner"], b: Float[Tensor, "inner column"]) -> Float[Tensor, "row column"]:
    """``a @ b``, with its gradients."""
    found: Tensor = _Product.apply(a, b) if USES_ONEDNN else a @ b
    return found


def _has_half_of_the_width() -> bool:
    """Whether MKL does not use the whole of this processor, and oneDNN is there."""
    try:
        vendor = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False  # no Linux
    wide = torch.backends.cpu.get_cpu_capability() == "AVX512" and torch.backends.mkldnn.is_available()
    return wide and "AuthenticAMD" in vendor and hasattr(torch.ops.mkldnn, "_linear_pointwise")


USES_ONEDNN = _has_half_of_the_width()


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        return _multiplied(a, b)

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        (a, b), (g,) = ctx.saved_tensors, grad
        g = g.contiguous()
        wanted_a, wanted_b = ctx.needs_input_grad
        return _multiplied(g, b.T) if wanted_a else None, _multiplied(a.T, g) if wanted_b else None


def _multiplied(a: Tensor, b: Tensor) -> Tensor:
    found: Tensor = torch.ops.mkldnn._linear_pointwise(a, b.T, None, "none", [], "")
    return found
