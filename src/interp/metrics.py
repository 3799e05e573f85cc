"""One number for how much a model's prediction is the clean answer: which there are, and how they are called.

`interp.readout.metric_readout` measures one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MetricKind = Literal["logit_diff", "prob", "kl"]


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
    "kl": Metric(description="KL divergence (nats) from the clean prediction", unit="nats", min_span=0.005),
}
