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

MetricKind = Literal["logit_diff", "prob", "log_prob", "kl"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric in words."""

    description: str
    unit: str
    #: Clean and corrupted values closer than this make a degenerate pair; in the metric's own unit.
    min_span: float


METRICS: dict[str, Metric] = {
    "logit_diff": Metric(description="logit(answer) - logit(foil)", unit="logits", min_span=0.05),
    "prob": Metric(description="probability of the answer", unit="probability", min_span=0.005),
    "log_prob": Metric(description="log-probability of the answer", unit="nats", min_span=0.05),
    "kl": Metric(description="KL divergence (nats) from the clean prediction", unit="nats", min_span=0.005),
}
