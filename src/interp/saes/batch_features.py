"""Features of a batch in training, kept dense or sparse; and the gradients of JumpReLU.

The straight-through estimators are equations 11 and 12 of Rajamanoharan et al. 2024,
https://arxiv.org/abs/2407.14435.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

BANDWIDTH = 0.05  # of the estimators' kernel, where activations have a mean square of 1


@dataclass(frozen=True, eq=False)
class DenseFeatures:
    """Features of a batch as they are."""

    values: Float[Tensor, "batch feature"]

    @property
    def fired(self) -> Bool[Tensor, " feature"]:
        """Which are active at any token."""
        return self.values.detach().amax(0) > 0

    @property
    def number(self) -> Tensor:
        """How many are active, at all tokens together."""
        return self.values.detach().count_nonzero()

    def decoded(self, W_dec: Float[Tensor, "feature d_in"]) -> Float[Tensor, "batch d_in"]:
        return self.values @ W_dec


@dataclass(frozen=True, eq=False)
class SparseFeatures:
    """The `k` features of each token that may be active, out of `n`: the same sums and gradients as
    `DenseFeatures` in a fraction of the time."""

    values: Float[Tensor, "batch k"]
    where: Int[Tensor, "batch k"]
    n: int

    @property
    def fired(self) -> Bool[Tensor, " feature"]:
        return torch.bincount(self.where[self.values > 0], minlength=self.n) > 0

    @property
    def number(self) -> Tensor:
        return self.values.detach().count_nonzero()

    def decoded(self, W_dec: Float[Tensor, "feature d_in"]) -> Float[Tensor, "batch d_in"]:
        return torch.nn.functional.embedding_bag(
            self.where, W_dec, per_sample_weights=self.values, mode="sum"
        )


BatchFeatures = DenseFeatures | SparseFeatures


class ThresholdStep(torch.autograd.Function):
    """1 above the threshold, 0 below; its gradient to the threshold by a rectangle kernel (equation 12)."""

    @staticmethod
    def forward(ctx: Any, pre: Tensor, threshold: Tensor) -> Tensor:
        ctx.save_for_backward(pre, threshold)
        return (pre > threshold).to(pre)

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[None, Tensor]:
        pre, threshold = ctx.saved_tensors
        near = ((pre - threshold).abs() < BANDWIDTH / 2).to(pre)
        return None, -(near / BANDWIDTH * grad[0]).sum(0)


class JumpReLUStep(torch.autograd.Function):
    """The value above the threshold, 0 below; its gradient to the threshold likewise (equation 11)."""

    @staticmethod
    def forward(ctx: Any, pre: Tensor, threshold: Tensor) -> Tensor:
        ctx.save_for_backward(pre, threshold)
        return pre * (pre > threshold)

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor, Tensor]:
        pre, threshold = ctx.saved_tensors
        near = ((pre - threshold).abs() < BANDWIDTH / 2).to(pre)
        return (pre > threshold) * grad[0], -(threshold / BANDWIDTH * near * grad[0]).sum(0)
