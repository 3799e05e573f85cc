"""How a sparse autoencoder is trained: which kind, how large, and by what schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from interp.errors import InputError
from interp.saes.activations import KINDS as ACTIVATIONS

#: Those that are an activation, and two that are trained in a way of their own: see `interp.saes.training`.
KINDS = (*ACTIVATIONS, "matryoshka", "gated")
#: Those whose sparsity is `k`, not a penalty.
WITH_K = ("topk", "batchtopk", "matryoshka")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a dictionary is trained. Raises `InputError` for what is out of range."""

    kind: Literal["standard", "topk", "batchtopk", "jumprelu", "matryoshka", "gated"] = "topk"
    n_features: int
    k: int = 32  # TopK, BatchTopK, Matryoshka
    levels: int = 4  # Matryoshka: nested dictionaries, each of half as many features as the next
    penalty: float = (
        1e-3  # standard, JumpReLU, gated: its weight against the error as a share of the variance
    )
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
        if self.kind == "matryoshka" and (self.levels < 2 or self.n_features < 2 ** (self.levels - 1)):
            raise InputError(
                f"levels={self.levels} of {self.n_features} features is not possible: there are at least 2, "
                "and the smallest has a feature at least."
            )
        if min(self.penalty, self.auxiliary, self.warm_up, self.decay) < 0 or self.warm_up + self.decay > 1:
            raise InputError(
                "penalty, auxiliary, warm_up and decay must not be negative, and warm_up + decay, shares of "
                "the steps, at most 1."
            )

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many features the nested dictionaries have, the smallest first; the last has all."""
        levels = self.levels if self.kind == "matryoshka" else 1
        return tuple(self.n_features // 2**smaller for smaller in reversed(range(levels)))
