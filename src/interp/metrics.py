"""One number for how much a model's prediction is the clean answer."""

from __future__ import annotations

from typing import Literal

from jaxtyping import Float
from torch import Tensor

from interp.readout import Readout

MetricKind = Literal["logit_diff", "prob", "kl"]

#: Clean and corrupted values closer than this make a degenerate pair; in the metric's own unit.
MIN_SPAN: dict[str, float] = {"logit_diff": 0.05, "prob": 0.005, "kl": 0.005}

DESCRIPTION: dict[str, str] = {
    "logit_diff": "logit(answer) - logit(foil)",
    "prob": "probability of the answer",
    "kl": "KL divergence (nats) from the clean prediction",
}


def metric_readout(
    kind: MetricKind,
    *,
    answer: int,
    foil: int | None,
    clean_logits: Float[Tensor, "row pos d_vocab"],
) -> Readout:
    """The readout [row] of a metric at the last position: ``logit_diff`` is logit(answer) - logit(foil),
    ``prob`` the answer's probability, ``kl`` the divergence KL(clean || run) in nats from the prediction of
    the clean run, of which these are the logits."""
    if kind == "logit_diff":
        assert foil is not None
        return Readout.logit_diff(answer, foil)
    if kind == "prob":
        return Readout.prob(answer)
    return Readout.kl(clean_logits[0, -1:])
