"""One number for how much a model's prediction is the clean answer: which there are, and how they are called.

`interp.readout.metric_readout` measures one, of any answer (`interp.answers`). Of one with several forms the
probability is their sum, of a sequence of tokens the product; where answer or foil is a sequence, the logits
of ``logit_diff`` are log-probabilities, so that it is in every case log(p(answer) / p(foil)), in nats. Of
sequences of different lengths its level misleads, as the longer one has more chances to miss: look at how it
changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

MetricKind = Literal["logit_diff", "prob", "log_prob", "kl"]
LEAST_SPAN = 0.02  # of a metric's spread: clean and corrupted values that are closer make a degenerate pair


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric in words."""

    description: str
    unit: str
    spread: str  # what a span is compared with, see `interp.methods.common.pairs.metric_spread`
    favours: int = 1  # the sign of a change towards the clean answer


METRICS: dict[str, Metric] = {
    "logit_diff": Metric(
        description="logit(answer) - logit(foil)",
        unit="logits",
        spread="the standard deviation of the clean run's logits over the vocabulary",
    ),
    "prob": Metric(
        description="probability of the answer",
        unit="probability",
        spread="the probability of the clean run's likeliest token",
    ),
    "log_prob": Metric(
        description="log-probability of the answer",
        unit="nats",
        spread="the standard deviation of the clean run's logits over the vocabulary",
    ),
    "kl": Metric(
        description="KL divergence (nats) from the clean prediction",
        unit="nats",
        spread="the entropy of the clean prediction",
        favours=-1,
    ),
}


def weak_pairs(
    metric: str, clean: Float[np.ndarray, " pair"], corrupted: Float[np.ndarray, " pair"]
) -> tuple[int, ...]:
    """The pairs, by index, whose clean run does not favour the clean answer more than the corrupted run does:
    what is measured between the two of them has no meaning, and over several pairs they count against the
    others."""
    weak = METRICS[metric].favours * (clean - corrupted) <= 0
    return tuple(map(int, np.flatnonzero(weak)))
