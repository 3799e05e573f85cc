"""The results about features, without what computes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from interp.errors import check_choice
from interp.methods.features.profile_results import FeatureProfilesResult
from interp.results import Dropped, Interval, Pairs, Result, Stored
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
    prompt: str | None = None  # as running text; None in runs of earlier versions

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


# ---- effects ----


@dataclass(frozen=True, eq=False, kw_only=True)
class FeatureEntries(Stored):
    """The cells of single prompts in which the feature changes; effects are in the metric's unit."""

    kind: ClassVar[str] = "feature_entries"
    prompt: Int[np.ndarray, " entry"]
    place: Int[np.ndarray, " entry"]
    feature: Int[np.ndarray, " entry"]
    activation: Float[np.ndarray, " entry"]  # in the run as it is; the strongest of the place
    exact: Float[np.ndarray, " entry"]
    attribution: Float[np.ndarray, " entry"]
    integrated: Float[np.ndarray, " entry"]


@dataclass(frozen=True, eq=False, kw_only=True)
class FeatureCells(Stored):
    """The cells over all prompts; effects are means in the metric's unit. Of a prompt where the feature does
    not change, they are 0."""

    kind: ClassVar[str] = "feature_cells"
    place: Int[np.ndarray, " cell"]
    feature: Int[np.ndarray, " cell"]
    share: Float[np.ndarray, " cell"]  # of the prompts in which the cell changes
    exact: Interval  # [cell]
    attribution: Float[np.ndarray, " cell"]
    integrated: Float[np.ndarray, " cell"]

    def __len__(self) -> int:
        return len(self.feature)


@dataclass(frozen=True, kw_only=True)
class EstimateAgreement(Stored):
    """The correlations of an estimate with the exact effects, over entries; None where one of the two is the
    same throughout."""

    kind: ClassVar[str] = "estimate_agreement"
    estimate: str  # attribution | integrated
    pearson: float | None
    spearman: float | None


@dataclass(frozen=True, eq=False, kw_only=True)
class FeatureEffectsResult(Result):
    """The effect of each feature at each place, of each prompt and on average. A cell is a place and a
    feature; `interp.methods.features.feature_effects` says what the numbers mean."""

    kind: ClassVar[str] = "feature_effects"
    pairs: Pairs
    change: str  # ablate | noising | denoising
    metric: str
    steps: int
    path: str  # branching | plain
    excluded: str
    sae: SAEIdentity
    places: tuple[str, ...]  # roles; tokens, where there is one prompt
    before: Float[np.ndarray, " prompt"]  # the metric of the run as it is
    entries: FeatureEntries
    cells: FeatureCells
    agreement: tuple[EstimateAgreement, ...]

    @property
    def edited(self) -> tuple[str, ...]:
        """The prompts of the runs that were edited."""
        return self.pairs.corrupted if self.change == "denoising" else self.pairs.prompts

    def strongest(self, n: int, *, place: str | None = None) -> tuple[int, ...]:
        """The `n` cells of the largest mean effects, by their size, the largest first."""
        where = np.arange(len(self.cells))
        if place is not None:
            check_choice("place", place, self.places)
            where = where[[self.places[i] == place for i in self.cells.place]]
        order = np.argsort(-np.abs(self.cells.exact.value[where]), kind="stable")
        return tuple(where[order[:n]].tolist())

    def name(self, cell: int) -> str:
        """A cell as it is written: ``1234@END``."""
        return f"{self.cells.feature[cell]}@{self.places[self.cells.place[cell]]}"


# ---- ablation ----


@dataclass(frozen=True, eq=False, kw_only=True)
class TaskAblation(Stored):
    """A task with more and more features knocked out."""

    kind: ClassVar[str] = "task_ablation"
    task: str
    n_prompts: int
    logit_diff: Interval  # [set, size]; logits
    accuracy: Float[np.ndarray, "set size"]  # the share with the answer above the foil


@dataclass(frozen=True, eq=False, kw_only=True)
class TextAblation(Stored):
    """Running text with more and more features knocked out."""

    kind: ClassVar[str] = "text_ablation"
    MAY_BE_NAN: ClassVar[frozenset[str]] = frozenset({"change_low", "change_high"})  # of one sequence
    n_sequences: int
    loss: Float[np.ndarray, "set size"]  # of next tokens, nats
    change_low: Float[np.ndarray, "set size"]  # the interval of the change of the loss
    change_high: Float[np.ndarray, "set size"]

    @property
    def change(self) -> Interval:
        """The loss less that with nothing knocked out, [set, size]."""
        change = self.loss - self.loss[:, :1]
        return Interval(value=change, low=self.change_low, high=self.change_high)


@dataclass(frozen=True, eq=False, kw_only=True)
class FeatureAblationResult(Result):
    """What is left of tasks and of text with more and more features knocked out: those that were chosen, and
    others as active (`SETS`). Intervals are over prompts or sequences."""

    kind: ClassVar[str] = "feature_ablation"
    excluded: str
    sae: SAEIdentity
    n_chosen_on: int  # prompts of the first task, none of which is measured
    n_random: int  # sets of others as active
    chosen: tuple[int, ...]  # features, the one that the task loses most without first
    effects: Float[np.ndarray, " chosen"]  # of each alone, on the prompts it was chosen on; logits
    sizes: tuple[int, ...]  # of the sets; 0 first
    tasks: tuple[TaskAblation, ...]  # the one that features were chosen on, then the others
    text: TextAblation


#: The sets of features that are knocked out, in the order of the axis `set`.
SETS = ("chosen", "as active")
