"""Gated dictionaries, as the JumpReLU ones that they are.

    features = relu(exp(r_mag) * u + b_mag)  where u + b_gate > 0, else 0,  with u = x @ W_enc

Rajamanoharan et al. 2024, https://arxiv.org/abs/2404.16014. With z = exp(r_mag) * u + b_mag, the gate
u + b_gate > 0 is z > b_mag - exp(r_mag) * b_gate: a threshold for each feature (their appendix E). So one is
read, kept and used as a JumpReLU, whose features are the same to the rounding of the sums.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class GatedEncoder:
    """The encoder of a gated dictionary."""

    W_enc: Float[Tensor, "d_in feature"]
    r_mag: Float[Tensor, " feature"]  # the logarithm of the scale of magnitudes beside gates
    b_gate: Float[Tensor, " feature"]
    b_mag: Float[Tensor, " feature"]

    def as_jumprelu(self) -> dict[str, Tensor]:
        """W_enc, b_enc and threshold of the JumpReLU with the same features."""
        scale = self.r_mag.exp()
        return {
            "W_enc": self.W_enc * scale,
            "b_enc": self.b_mag,
            "threshold": self.b_mag - scale * self.b_gate,
        }


def without_gates(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights of a gated dictionary, named as in SAELens, as those of a JumpReLU. `KeyError` where one is
    missing."""
    encoder = GatedEncoder(*(weights[name] for name in ("W_enc", "r_mag", "b_gate", "b_mag")))
    kept = {name: weights[name] for name in ("W_dec", "b_dec")}
    return {**kept, **encoder.as_jumprelu()}
