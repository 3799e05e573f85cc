"""What is found out of a dataset. Light: numpy alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from interp.metrics import LEAST_SPAN
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
    #: The standard deviation of the clean run's last logits; empty in runs that were stored without.
    clean_logit_spread: Float[np.ndarray, " pair_or_none"] = field(default_factory=lambda: np.zeros(0))

    @property
    def clean_accuracy(self) -> float:
        """The share of pairs whose clean prompt puts the answer above the foil."""
        return float((self.clean_logit_diff > 0).mean())

    @property
    def corrupted_accuracy(self) -> float:
        """The share of pairs whose corrupted prompt still puts the answer above the foil."""
        return float((self.corrupted_logit_diff > 0).mean())

    def failures(self, *, min_span: float | None = None) -> dict[int, str]:
        """The pairs that a method can say nothing about, by index, each with the reason: those whose clean
        prompt does not put the answer above the foil, those whose two logit differences are less than
        `min_span` apart, so that recovery would divide by nearly nothing (by default `LEAST_SPAN` of the
        standard deviation of the logits), and those whose corrupted prompt favours the answer more."""
        found = {}
        spreads = self.clean_logit_spread if len(self.clean_logit_spread) else np.zeros(len(self.pairs))
        for i, (clean, corrupted, spread) in enumerate(
            zip(self.clean_logit_diff, self.corrupted_logit_diff, spreads, strict=True)
        ):
            least = LEAST_SPAN * spread if min_span is None else min_span
            if clean <= 0:
                found[i] = f"the clean prompt's logit difference is {clean:.3g}, not above 0"
            elif abs(clean - corrupted) <= least:
                found[i] = (
                    f"clean and corrupted logit differences ({clean:.3g}, {corrupted:.3g}) hardly differ"
                )
            elif clean < corrupted:
                found[i] = f"the clean logit difference {clean:.3g} is below the corrupted {corrupted:.3g}"
        return found
