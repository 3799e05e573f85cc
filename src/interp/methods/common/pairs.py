"""A clean and a corrupted prompt: aligned, and far enough apart to measure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float
from torch import Tensor

from interp.errors import DegeneratePairError, NonFiniteError
from interp.metrics import LEAST_SPAN, METRICS
from interp.models.base import Model
from interp.readout import widened
from interp.tokens import Tokens, differing_positions

Direction = Literal["denoising", "noising"]
DIRECTIONS: tuple[str, ...] = ("denoising", "noising")


def differences(model: Model, clean: Tokens, corrupted: Tokens) -> list[int]:
    """The positions at which two prompts differ. `InputError` where they do not align or are the same."""
    a, b = clean.row(0), corrupted.row(0)
    return differing_positions(a, b, names=("|".join(model.labels(a)), "|".join(model.labels(b))))


def metric_spread(
    metric: str,
    logits: Float[Tensor, " d_vocab"],
    *,
    values: Sequence[float] = (),
    at_once: bool = True,
) -> float:
    """How far a metric goes in this model, which a span is compared with. Of the logits where the clean
    prompt ends: their standard deviation over the vocabulary (``logit_diff``, ``log_prob``), the probability
    of the likeliest token (``prob``; of an answer of several tokens, the larger of the `values`), or the
    entropy in nats (``kl``)."""
    last = widened(logits)
    if metric in ("logit_diff", "log_prob"):
        finite = last[last.isfinite()]
        return float(finite.std()) if len(finite) > 1 else 0.0
    if metric == "prob":
        return float(last.softmax(-1).max()) if at_once else max(map(abs, values))
    log_probs = last.log_softmax(-1)
    return float(-(log_probs.exp() * log_probs.clamp(min=-1e4)).sum())


def check_span(
    clean_value: float,
    corrupted_value: float,
    metric: str,
    *,
    spread: float,
    of: str = "",
    either_way: bool = False,
) -> None:
    """Raise `DegeneratePairError` where recovery would divide by nearly nothing (less than `LEAST_SPAN` of
    the metric's `spread`), or where the clean run favours its answer less than the corrupted one does (but
    not where effects are measured `either_way`, in the metric's own unit);
    `NonFiniteError` for NaN or infinity. `of` says which pair it is, where there are several."""
    if not np.isfinite([clean_value, corrupted_value]).all():
        raise NonFiniteError("The model's logits are NaN or infinite on these prompts; check its weights.")
    known, span = METRICS[metric], METRICS[metric].favours * (clean_value - corrupted_value)
    values = f"{known.description} is {clean_value:.4g} and {corrupted_value:.4g}"
    if abs(span) <= LEAST_SPAN * spread:
        raise DegeneratePairError(
            f"The clean and the corrupted run{of} hardly differ: {values}, "
            f"less than {LEAST_SPAN:.0%} of {known.spread} ({spread:.3g}) apart, so recovery would divide "
            "by nearly nothing; choose a corruption that changes the answer, or another metric."
        )
    if span < 0 and not either_way:
        raise DegeneratePairError(
            f"The clean run{of} favours the clean answer less than the corrupted one does: {values}, so "
            "that nothing is to be brought back; exchange the prompts, or answer and foil."
        )
