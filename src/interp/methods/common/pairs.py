"""A clean and a corrupted prompt: aligned, and far enough apart to measure."""

from __future__ import annotations

from typing import Literal

import numpy as np

from interp.errors import DegeneratePairError, NonFiniteError
from interp.metrics import METRICS
from interp.models.base import Model
from interp.tokens import Tokens, differing_positions

Direction = Literal["denoising", "noising"]
DIRECTIONS: tuple[str, ...] = ("denoising", "noising")


def differences(model: Model, clean: Tokens, corrupted: Tokens) -> list[int]:
    """The positions at which two prompts differ. `InputError` where they do not align or are the same."""
    a, b = clean.row(0), corrupted.row(0)
    return differing_positions(a, b, names=("|".join(model.labels(a)), "|".join(model.labels(b))))


def check_span(clean_value: float, corrupted_value: float, metric: str, *, of: str = "") -> None:
    """Raise `DegeneratePairError` where recovery would divide by nearly nothing, and `NonFiniteError` for NaN
    or infinity. `of` says which pair it is, where there are several."""
    if not np.isfinite([clean_value, corrupted_value]).all():
        raise NonFiniteError("The model's logits are NaN or infinite on these prompts; check its weights.")
    if abs(clean_value - corrupted_value) < (least := METRICS[metric].min_span):
        raise DegeneratePairError(
            f"The clean and the corrupted run{of} hardly differ: {METRICS[metric].description} is "
            f"{clean_value:.4g} and {corrupted_value:.4g}, less than {least} apart, so recovery would divide "
            "by nearly nothing; choose a corruption that changes the answer, or another metric."
        )
