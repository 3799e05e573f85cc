"""The results about features, without what computes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from interp.methods.features.profile_results import FeatureProfilesResult
from interp.results import Dropped, Result
from interp.saes.results import SAEIdentity

# ---- the features of a prompt ----


@dataclass(frozen=True, eq=False, kw_only=True)
class SAEFeaturesResult(Result):
    """The strongest features of each token of a prompt.

    At the positions of `excluded` (the first of the prompt, a BOS or not) the SAE was not trained: what it
    says there means nothing, no feature is listed, and the numbers are 0.
    """

    kind: ClassVar[str] = "sae_features"
    tokens: tuple[str, ...]  # BOS included
    excluded: tuple[int, ...]
    sae: SAEIdentity
    n_active: Int[np.ndarray, " pos"]  # features above 0
    features: Int[np.ndarray, "pos rank"]  # the strongest first; -1 where there are fewer
    values: Float[np.ndarray, "pos rank"]  # 0 where there are fewer
    explained: Float[np.ndarray, " pos"]  # 1 - |x - y|^2 / |x - y0|^2; y0: no feature active
    cosine: Float[np.ndarray, " pos"]  # of activation x and reconstruction y

    @property
    def counted(self) -> list[int]:
        """The positions that are not excluded."""
        return [i for i in range(len(self.tokens)) if i not in self.excluded]

    @property
    def l0(self) -> float:
        """The mean number of active features, of the positions that are not excluded."""
        return float(self.n_active[self.counted].mean())

    def strongest(self, n: int) -> tuple[int, ...]:
        """The `n` features that are strongest at any token, among those listed."""
        highest: dict[int, float] = {}
        for feature, value in zip(self.features.ravel().tolist(), self.values.ravel().tolist(), strict=True):
            if feature >= 0:
                highest[feature] = max(value, highest.get(feature, 0.0))
        return tuple(sorted(highest, key=lambda feature: (-highest[feature], feature))[:n])


# ---- which features say a label ----


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelFeaturesResult(Result):
    """The best features of each label, the best first; scores are those on held-out text.

    A measure is precision, recall or F1; `scores` are those above 0, `best_scores` those at `thresholds`.
    """

    kind: ClassVar[str] = "label_features"
    text: str
    excluded: str
    n_tokens: int  # counted, of both halves
    sae: SAEIdentity
    labels: tuple[str, ...]
    n_with_label: Int[np.ndarray, " label"]  # tokens of the held-out half
    features: Int[np.ndarray, "label rank"]
    thresholds: Float[np.ndarray, "label rank"]
    scores: Float[np.ndarray, "label rank measure"]
    best_scores: Float[np.ndarray, "label rank measure"]
    label_of: Int[np.ndarray, " feature"]  # what every feature says best: its place in `labels`
    f1_of: Float[np.ndarray, " feature"]  # and how well, at its threshold for that label
    left_out: tuple[Dropped, ...]  # labels that are on too few tokens

    def label_said_by(self, feature: int, *, least: float) -> str | None:
        """The label that a feature says best, if it says it with an F1 of `least` or more."""
        return self.labels[self.label_of[feature]] if self.f1_of[feature] >= least else None


# ---- all three ----


@dataclass(frozen=True, eq=False, kw_only=True)
class PromptFeaturesResult(Result):
    """The features of a prompt, and what they are about."""

    kind: ClassVar[str] = "prompt_features"
    prompt: SAEFeaturesResult
    profiles: FeatureProfilesResult
    labels: LabelFeaturesResult | None  # None: the text has no labels
