"""What makes the features of a sparse autoencoder sparse: the function behind its encoder.

One class for each paper. Each maps pre-activations [..., feature] to features of the same shape, of which
most are 0 and none is negative.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError


@dataclass(frozen=True)
class Standard:
    """ReLU; an L1 penalty in training makes it sparse.

    Bricken et al. 2023, https://transformer-circuits.pub/2023/monosemantic-features

    When it misleads: the penalty also makes the features smaller than they should be (shrinkage).
    """

    kind: ClassVar[str] = "standard"

    def __call__(self, pre: Float[Tensor, "*any feature"]) -> Float[Tensor, "*any feature"]:
        return pre.relu()


@dataclass(frozen=True)
class TopK:
    """The `k` largest of each token, those of them that are above 0.

    Gao et al. 2024, https://arxiv.org/abs/2406.04093
    """

    kind: ClassVar[str] = "topk"
    k: int

    def __post_init__(self) -> None:
        _check_k(self.k)

    def __call__(self, pre: Float[Tensor, "*any feature"]) -> Float[Tensor, "*any feature"]:
        values, where = pre.topk(min(self.k, pre.shape[-1]), dim=-1)
        return torch.zeros_like(pre).scatter(-1, where, values.relu())


@dataclass(frozen=True)
class BatchTopK:
    """In training the `k` x tokens largest of a batch; in use, all above one `threshold`, so that a token's
    features do not depend on its neighbours. Tokens have different numbers of features, `k` on average.

    Bussmann et al. 2024, https://arxiv.org/abs/2412.06410
    """

    kind: ClassVar[str] = "batchtopk"
    k: int
    threshold: float

    def __post_init__(self) -> None:
        _check_k(self.k)

    def __call__(self, pre: Float[Tensor, "*any feature"]) -> Float[Tensor, "*any feature"]:
        return pre.relu() * (pre > self.threshold)


@dataclass(frozen=True, eq=False)
class JumpReLU:
    """Each feature above a `threshold` of its own, which is learned.

    Rajamanoharan et al. 2024, https://arxiv.org/abs/2407.14435
    """

    kind: ClassVar[str] = "jumprelu"
    threshold: Float[Tensor, " feature"]

    def __call__(self, pre: Float[Tensor, "*any feature"]) -> Float[Tensor, "*any feature"]:
        return pre.relu() * (pre > self.threshold.to(pre))


Activation = Standard | TopK | BatchTopK | JumpReLU
KINDS: tuple[str, ...] = tuple(one.kind for one in (Standard, TopK, BatchTopK, JumpReLU))


def rounded(activation: Activation, dtype: torch.dtype) -> Activation:
    """The same with its thresholds, where it has some, rounded to `dtype`."""
    match activation:
        case JumpReLU(threshold):
            return JumpReLU(threshold.to(dtype))
        case BatchTopK(k, threshold):
            return BatchTopK(k, torch.tensor(threshold, dtype=dtype).item())
        case _:
            return activation


def _check_k(k: int) -> None:
    if k < 1:
        raise InputError(f"k is the number of features of a token, at least 1; got {k}.")
