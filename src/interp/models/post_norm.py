"""The norm behind attention or MLP, which rescales what they write before it is added to the residual stream.

    attn_out = gain * x / rms(x),   x = sum over heads of z @ W_O, plus b_O

Its gain is found by calling the norm, so that it does not matter whether a family multiplies by its weight
(OLMo-2) or by 1 + its weight (Gemma).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

_ROUNDING = 1e-3  # by how much a norm's output may miss the formula, as a share of its largest entry


@dataclass(frozen=True, eq=False)
class PostNorm:
    """An RMSNorm: ``gain * x / rms(x)``, ``rms(x) = sqrt(mean of x^2 + eps)``."""

    gain: Float[Tensor, " d_model"]
    eps: float

    @classmethod
    def of(cls, norm: nn.Module, width: int, device: torch.device) -> PostNorm | None:
        """What `norm` does to vectors of this width; None where it does something else than an RMSNorm."""
        eps = getattr(norm, "variance_epsilon", getattr(norm, "eps", None))
        if not isinstance(eps, int | float):
            return None
        dtype = torch.float64 if _dtype(norm) == torch.float64 else torch.float32
        vectors = torch.randn(2, width, dtype=dtype, generator=torch.Generator().manual_seed(0))
        vectors[0] = 1.0
        vectors = vectors.to(device)
        with torch.no_grad():
            normed: Any = norm(vectors)
        found = cls(gain=normed[0] * (1 + eps) ** 0.5, eps=float(eps))
        off = (found(vectors[1]) - normed[1]).abs().max()
        return found if off <= _ROUNDING * normed.abs().max() else None

    def scale(self, x: Float[Tensor, "*any d_model"]) -> Float[Tensor, "*any 1"]:
        """1 / rms(x). With it frozen, the norm is linear: parts of `x` times gain and scale sum to the
        whole."""
        return torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps)

    def __call__(self, x: Float[Tensor, "*any d_model"]) -> Float[Tensor, "*any d_model"]:
        return x * self.gain.to(x) * self.scale(x)


def _dtype(norm: nn.Module) -> torch.dtype | None:
    return next((parameter.dtype for parameter in norm.parameters()), None)
