"""Features of a batch in training, kept dense or sparse; and the gradients of JumpReLU.

The straight-through estimators are equations 11 and 12 of Rajamanoharan et al. 2024,
https://arxiv.org/abs/2407.14435.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.saes.products import product

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
        return product(self.values, W_dec)


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


@dataclass(frozen=True, eq=False)
class ListedFeatures:
    """Those features of a batch that may be active, of any number at a token, listed by token: the same sums
    and gradients as `DenseFeatures`, too."""

    values: Float[Tensor, " entry"]
    where: Int[Tensor, " entry"]  # which feature
    tokens: Int[Tensor, " entry"]  # of which token, in order
    batch: int
    n: int

    @property
    def fired(self) -> Bool[Tensor, " feature"]:
        return torch.bincount(self.where[self.values > 0], minlength=self.n) > 0

    @property
    def number(self) -> Tensor:
        return self.values.detach().count_nonzero()

    def decoded(self, W_dec: Float[Tensor, "feature d_in"]) -> Float[Tensor, "batch d_in"]:
        return _summed(self.values, self.where, self.tokens, self.batch, W_dec)

    def decoded_by_size(
        self, W_dec: Float[Tensor, "feature d_in"], sizes: Sequence[int]
    ) -> Float[Tensor, "size batch d_in"]:
        """What the first so many features decode alone, for each of several sizes, the smallest first."""
        kept = self.where < sizes[-1]
        values, where = self.values[kept], self.where[kept]
        level = torch.bucketize(where, torch.tensor(sizes), right=True)  # the first size that has it
        place, order = (level * self.batch + self.tokens[kept]).sort()
        parts = _summed(values[order], where[order], place, len(sizes) * self.batch, W_dec)
        return parts.unflatten(0, (len(sizes), self.batch)).cumsum(0)


def _summed(
    values: Float[Tensor, " entry"],
    where: Int[Tensor, " entry"],
    places: Int[Tensor, " entry"],
    n_places: int,
    W_dec: Float[Tensor, "feature d_in"],
) -> Float[Tensor, "place d_in"]:
    """Of each place the sum of its features' directions; entries are in the order of their places."""
    ends = torch.bincount(places, minlength=n_places).cumsum(0)
    starts = torch.nn.functional.pad(ends[:-1], (1, 0))
    return torch.nn.functional.embedding_bag(where, W_dec, starts, per_sample_weights=values, mode="sum")


BatchFeatures = DenseFeatures | SparseFeatures | ListedFeatures


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
