"""What changed in the results of ablation since the first format."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from interp.format_1 import Fields, estimate, pairs
from interp.methods.ablation.results import TextSizes


def _ablation(values: Fields) -> Fields:
    """What was kept of each prompt, [kind, set, prompt], was the metric after; now it is the change."""
    before, after = (
        np.asarray(values[name], dtype=float) for name in ("before_by_prompt", "after_by_prompt")
    )
    values["change_by_prompt"] = after - before
    del values["after"], values["after_by_prompt"]
    values["before"] = estimate(values, "before", "before_low", "before_high", "before_by_prompt")
    values["change"] = estimate(values, "change", "change_low", "change_high", "change_by_prompt", prompts=-1)
    return values | {"pairs": pairs(values)}


def _head_ablation(values: Fields) -> Fields:
    names = ("n_reference", "n_donors", "n_texts", "text_length", "copy_length")
    return values | {"text_sizes": TextSizes(**{name: values.pop(name) for name in names}).to_dict()}


CHANGES: dict[str, Callable[[Fields], Fields]] = {"ablation": _ablation, "head_ablation": _head_ablation}
