"""How a sparse autoencoder is trained: which kind, how large, and by what schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from interp.errors import InputError
from interp.saes.activations import KINDS


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a dictionary is trained. Raises `InputError` for what is out of range."""

    kind: Literal["standard", "topk", "batchtopk", "jumprelu"] = "topk"
    n_features: int
    k: int = 32  # TopK, BatchTopK
    penalty: float = 1e-3  # standard, JumpReLU: its weight against the error as a share of the variance
    steps: int = 2000
    learning_rate: float = 1e-3
    warm_up: float = 0.05  # the share of steps over which the learning rate (and the penalty) rise
    decay: float = 0.2  # the share of steps over which the learning rate falls to 0 at the end
    auxiliary: float = 1 / 32  # the weight of the auxiliary loss
    silent_after: int = 100  # steps without being active, after which a feature counts as silent
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"{self.kind!r} is no kind of SAE; choose one of {', '.join(KINDS)}.")
        if min(self.n_features, self.k, self.steps, self.silent_after) < 1 or not self.learning_rate > 0:
            raise InputError(
                "n_features, k, steps and silent_after must be at least 1, and the learning rate above 0."
            )
        if self.k > self.n_features:
            raise InputError(
                f"k={self.k} of {self.n_features} features is not possible; lower k, or give more features."
            )
        if min(self.penalty, self.auxiliary, self.warm_up, self.decay) < 0 or self.warm_up + self.decay > 1:
            raise InputError(
                "penalty, auxiliary, warm_up and decay must not be negative, and warm_up + decay, shares of "
                "the steps, at most 1."
            )
