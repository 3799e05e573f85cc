"""What is found out of a dataset. Light: numpy alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from interp.metrics import METRICS
from interp.results import Pairs, Result


@dataclass(frozen=True, eq=False, kw_only=True)
class Inspection(Result):
    """What a model says to each pair of a dataset, and what the dataset holds.

    Logit differences are logit(answer) - logit(foil), on the clean and on the corrupted prompt; the answer is
    the clean prompt's in both. What the corrupted side should be depends on the corruption: below 0 where it
    makes the foil right, about 0 where it makes both equally wrong.
    """

    kind: ClassVar[str] = "inspection"
    pairs: Pairs
    made: Mapping[str, Any]  # the dataset's options
    templates: tuple[str, ...]  # of each pair
    lengths: tuple[int, ...]  # of each pair, in tokens
    clean_logit_diff: Float[np.ndarray, " pair"]  # logits
    corrupted_logit_diff: Float[np.ndarray, " pair"]  # logits
    clean_prob: Float[np.ndarray, " pair"]  # of the answer
    corrupted_prob: Float[np.ndarray, " pair"]

    @property
    def clean_accuracy(self) -> float:
        """The share of pairs whose clean prompt puts the answer above the foil."""
        return float((self.clean_logit_diff > 0).mean())

    @property
    def corrupted_accuracy(self) -> float:
        """The share of pairs whose corrupted prompt still puts the answer above the foil."""
        return float((self.corrupted_logit_diff > 0).mean())

    def failures(self, *, min_span: float = METRICS["logit_diff"].min_span) -> dict[int, str]:
        """The pairs that a method can say nothing about, by index, each with the reason: those whose clean
        prompt does not put the answer above the foil, and those whose two logit differences are less than
        `min_span` apart, so that recovery would divide by nearly nothing."""
        found = {}
        for i, (clean, corrupted) in enumerate(
            zip(self.clean_logit_diff, self.corrupted_logit_diff, strict=True)
        ):
            if clean <= 0:
                found[i] = f"the clean prompt's logit difference is {clean:.3g}, not above 0"
            elif abs(clean - corrupted) < min_span:
                found[i] = (
                    f"clean and corrupted logit differences ({clean:.3g}, {corrupted:.3g}) hardly differ"
                )
        return found
