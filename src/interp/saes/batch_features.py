"""Features of a batch in training, kept dense or sparse; and JumpReLU and gates with their gradients.

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

_AT_ONCE = 64  # tokens
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
        return _counts(self.values.detach() > 0).sum()

    def decoded(self, W_dec: Float[Tensor, "feature d_in"]) -> Float[Tensor, "batch d_in"]:
        return product(self.values, W_dec)


@dataclass(frozen=True, eq=False)
class ChosenFeatures:
    """Those features of a batch that may be active, out of `n`: the same sums and gradients as
    `DenseFeatures` in a fraction of the time."""

    values: Float[Tensor, "*chosen"]
    where: Int[Tensor, "*chosen"]  # which feature
    n: int

    @property
    def fired(self) -> Bool[Tensor, " feature"]:
        return torch.bincount(self.where[self.values > 0], minlength=self.n) > 0

    @property
    def number(self) -> Tensor:
        return self.values.detach().count_nonzero()


@dataclass(frozen=True, eq=False)
class SparseFeatures(ChosenFeatures):
    """As many of each token: [batch, k]."""

    def decoded(self, W_dec: Float[Tensor, "feature d_in"]) -> Float[Tensor, "batch d_in"]:
        return torch.nn.functional.embedding_bag(
            self.where, W_dec, per_sample_weights=self.values, mode="sum"
        )


@dataclass(frozen=True, eq=False)
class ListedFeatures(ChosenFeatures):
    """Any number of a token, listed by token: [entry]."""

    tokens: Int[Tensor, " entry"]  # of which token, in order
    batch: int

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


class JumpReLUStep(torch.autograd.Function):
    """Of pre-activations the values above the thresholds, which are above 0, and how many there are at each
    token. Both have gradients to the thresholds by a rectangle kernel (equations 11 and 12).

    Some tokens at a time, so that what is made of them stays in the processor's cache.
    """

    @staticmethod
    def forward(ctx: Any, pre: Tensor, threshold: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(pre, threshold)
        values, numbers = torch.empty_like(pre), []
        for some, out in zip(pre.split(_AT_ONCE), values.split(_AT_ONCE), strict=True):
            above = some > threshold
            torch.mul(some, above, out=out)  # `where` takes three times as long
            numbers.append(_counts(above))
        return values, torch.cat(numbers).to(pre)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        pre, threshold = ctx.saved_tensors
        to_pre, to_threshold = torch.empty_like(pre), torch.zeros_like(threshold)
        parts = (x.split(_AT_ONCE) for x in (pre, *grads, to_pre))
        for some, of_values, of_numbers, out in zip(*parts, strict=True):
            torch.mul(of_values, some > threshold, out=out)
            to_threshold -= (_near(some.relu(), threshold) * of_values).sum(0) * threshold
            to_threshold -= of_numbers @ _near(some, threshold)
        return to_pre, to_threshold / BANDWIDTH


class GatedStep(torch.autograd.Function):
    """Magnitudes of features whose gates are open, ``relu((pre - b_enc) * scale + shift)`` where ``pre`` is
    above 0; the gates get no gradient here. Some tokens at a time, too.

    Rajamanoharan et al. 2024, https://arxiv.org/abs/2404.16014
    """

    @staticmethod
    def forward(ctx: Any, pre: Tensor, b_enc: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        ctx.save_for_backward(pre, b_enc, scale, shift)
        values = torch.empty_like(pre)
        for some, out in zip(pre.split(_AT_ONCE), values.split(_AT_ONCE), strict=True):
            magnitudes = (some - b_enc).mul_(scale).add_(shift).relu_()
            torch.mul(magnitudes, some > 0, out=out)
        return values

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        pre, b_enc, scale, shift = ctx.saved_tensors
        to_pre, to_scale, to_shift = torch.empty_like(pre), torch.zeros_like(scale), torch.zeros_like(shift)
        parts = (x.split(_AT_ONCE) for x in (pre, *grads, to_pre))
        for some, of_values, out in zip(*parts, strict=True):
            above = some - b_enc
            on = (above * scale).add_(shift).gt_(0).mul_(some > 0).mul_(of_values)
            torch.mul(on, scale, out=out)
            to_scale += above.mul_(on).sum(0)
            to_shift += on.sum(0)
        return to_pre, -scale * to_shift, to_scale, to_shift


def _near(
    pre: Float[Tensor, "row feature"], threshold: Float[Tensor, " feature"]
) -> Float[Tensor, "row feature"]:
    """1 where a pre-activation lies within the kernel around its threshold, 0 elsewhere."""
    return ((pre - threshold).abs_() < BANDWIDTH / 2).to(pre)


def _counts(true: Bool[Tensor, "row column"]) -> Int[Tensor, " row"]:
    """How many are true in each row, by sums of bytes, which torch has quick code for."""
    return true.view(torch.uint8).sum(-1, dtype=torch.int32)
