"""Products of float32 matrices by oneDNN, on processors for which torch's usual ones are slow.

torch multiplies float32 by MKL, which uses half the width of AVX-512 on processors that Intel did not make,
and one core where a few rows meet a tall matrix. oneDNN, by which torch multiplies half precision, uses all:
the same products but for the last digits, twice as fast, and up to five times as fast for a few rows.
"""

from __future__ import annotations

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor


@cache
def is_quicker() -> bool:
    """Whether this processor is such a one, and torch has oneDNN's product."""
    if not (torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()):
        return False
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    processor = str(capabilities.get("cpu_name", "Intel"))  # where torch does not say: nothing is changed
    wide = torch.backends.cpu.get_cpu_capability() == "AVX512"
    return wide and "Intel" not in processor and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def linear(
    x: Float[Tensor, "*rows n_in"], weight: Float[Tensor, "n_out n_in"], bias: Float[Tensor, " n_out"] | None
) -> Float[Tensor, "*rows n_out"]:
    """``x @ weight.T + bias``, without gradients."""
    found: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return found
