"""One number for how much a model's prediction is the clean answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

MetricKind = Literal["logit_diff", "prob", "kl"]

#: Clean and corrupted values closer than this make a degenerate pair; in the metric's own unit.
MIN_SPAN: dict[str, float] = {"logit_diff": 0.05, "prob": 0.005, "kl": 0.005}

DESCRIPTION: dict[str, str] = {
    "logit_diff": "logit(answer) - logit(foil)",
    "prob": "probability of the answer",
    "kl": "KL divergence (nats) from the clean prediction",
}


@dataclass(frozen=True, eq=False)
class Metric:
    """A metric of next-token logits.

    ``logit_diff`` is logit(answer) - logit(foil); ``prob`` the answer's probability; ``kl`` the
    divergence KL(clean || run) in nats from the clean run's prediction, 0 where they agree.
    """

    kind: MetricKind
    answer: int
    foil: int | None = None
    clean_logits: Float[Tensor, d_vocab] | None = None

    def __call__(self, logits: Float[Tensor, "batch d_vocab"]) -> Float[Tensor, batch]:
        """The metric of each row, in float64 on the CPU."""
        return self.differentiable(logits.detach())

    @property
    def columns(self) -> tuple[int, int] | None:
        """The only logits that it looks at, where these are two; see `of_columns`."""
        if self.kind != "logit_diff" or self.foil is None:
            return None
        return self.answer, self.foil

    def of_columns(self, logits: Float[Tensor, "batch two"]) -> Float[Tensor, batch]:
        """The metric of the logits at `columns`, in float64 on the CPU."""
        logits = logits.cpu().double()
        return logits[:, 0] - logits[:, 1]

    def differentiable(self, logits: Float[Tensor, "batch d_vocab"]) -> Float[Tensor, batch]:
        """The same, as part of a computation in which gradients are taken."""
        logits = logits.cpu().double()  # in this order: Apple's MPS has no float64
        if self.kind == "logit_diff":
            assert self.foil is not None
            return logits[:, self.answer] - logits[:, self.foil]
        if self.kind == "prob":
            return logits.softmax(-1)[:, self.answer]
        assert self.clean_logits is not None
        return kl_divergence(self.clean_logits.cpu().double(), logits)


def kl_divergence(
    p_logits: Float[Tensor, "*p d_vocab"], q_logits: Float[Tensor, "*q d_vocab"]
) -> Float[Tensor, "*out"]:
    """KL(p || q) in nats of two predictions given as logits; never below 0 by rounding."""
    p, q = p_logits.log_softmax(-1), q_logits.log_softmax(-1)
    return torch.sum(p.exp() * (p - q), -1).clamp(min=0)
