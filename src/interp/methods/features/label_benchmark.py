"""How well a dictionary's features stand for labels that are known: the measures of `interp.sae_benchmark`.

The demo corpus says of every token what it is, so that nothing is judged by a language model. Over the labels
that are on enough tokens; whatever is chosen is chosen on the first half of the text's sequences and measured
on the second. A feature *says* a label where it is above the threshold that is best for that label.

- **best feature**: precision, recall and F1 of the one feature that says the label best.
- **k features**: F1 of a linear probe on the `k` features whose means differ most between tokens with and
  without the label (in units of their spread); weights are the differences over the variances, and the
  threshold is the best. After sparse probing, Gurnee et al. 2023, https://arxiv.org/abs/2305.01610.
- **absorption**: the share of a label's tokens at which its best feature is silent, but another that is
  specific to the label (with a precision of `SPECIFIC` or more) says it: the exceptions have been taken over.
  After Chanin et al. 2024, https://arxiv.org/abs/2409.14507, who know the truth of first letters alone.
- **splitting**: how many features specific to a label it takes; 1 is one for one, 0 is none.
- **dead**: the share of features never above 0 on the text. **duplicates**: the share of the others whose
  direction has a cosine of `ALIKE` or more with another's.

When it misleads: a label is one way to cut up the text, and a dictionary may cut it up better in another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from interp.methods.features.feature_labels import ScoresOfFeatures, halves, label_scores
from interp.saes.reading import FeatureRecord

SPECIFIC = 0.8  # the precision from which on a feature counts as specific to a label
ALIKE = 0.9  # the cosine from which on two directions count as the same
_LEAST = 5  # tokens at which a specific feature must say the label on the first half


@dataclass(frozen=True)
class LabelMeasures:
    """Of one label."""

    precision: float
    recall: float
    f1: float
    of_k: float  # F1 of k features
    absorption: float
    splitting: int


def measure_label(record: FeatureRecord, has: Bool[np.ndarray, " token"], *, k: int) -> LabelMeasures:
    """How well a dictionary stands for the label that is where `has` is true."""
    scores = label_scores(record, has)
    best = int(np.argmax(scores.chosen))
    precision, recall, f1 = scores.best_scores[best].tolist()
    specific = _specific(record, has, scores)
    return LabelMeasures(
        precision=precision,
        recall=recall,
        f1=f1,
        of_k=_probed(record, has, k),
        absorption=_absorption(record, has, scores, best, specific),
        splitting=len(specific),
    )


def dead_share(record: FeatureRecord) -> float:
    """The share of features that are never above 0."""
    return float((record.n_active == 0).mean())


def duplicate_share(record: FeatureRecord) -> float:
    """The share of features that are not dead whose direction is nearly that of another of these."""
    alive = torch.from_numpy(record.n_active > 0)
    directions = torch.nn.functional.normalize(record.sae.W_dec.double().cpu()[alive], dim=-1)
    if len(directions) < 2:
        return 0.0
    cosines = (directions @ directions.T).fill_diagonal_(-1.0)
    return float((cosines.amax(1) >= ALIKE).double().mean())


def _specific(
    record: FeatureRecord, has: Bool[np.ndarray, " token"], scores: ScoresOfFeatures
) -> Int[np.ndarray, " feature"]:
    """The features specific to a label, on the first half."""
    choose, _ = halves(record)
    above = (record.values >= scores.thresholds[record.features]) & choose[record.tokens]
    says = np.bincount(record.features[above], minlength=record.n_features)
    right = np.bincount(record.features[above & has[record.tokens]], minlength=record.n_features)
    return np.flatnonzero((right >= _LEAST) & (right >= SPECIFIC * says))


def _absorption(
    record: FeatureRecord,
    has: Bool[np.ndarray, " token"],
    scores: ScoresOfFeatures,
    best: int,
    specific: Int[np.ndarray, " feature"],
) -> float:
    """The share of the label's tokens, on the second half, that others have taken over."""
    _, held_out = halves(record)
    wanted = has & held_out
    above = record.values >= scores.thresholds[record.features]
    by_best, by_others = np.zeros_like(has), np.zeros_like(has)
    by_best[record.tokens[above & (record.features == best)]] = True
    others = np.isin(record.features, specific[specific != best])
    by_others[record.tokens[above & others]] = True
    return float((by_others & ~by_best)[wanted].mean())


def _probed(record: FeatureRecord, has: Bool[np.ndarray, " token"], k: int) -> float:
    """F1, on the second half, of a linear probe on k features."""
    choose, held_out = halves(record)
    means, spreads = _means(record, has, choose)
    gap = (means[0] - means[1]) / spreads
    chosen = np.argsort(-np.abs(gap), kind="stable")[:k]
    weights = np.zeros(record.n_features)
    weights[chosen] = gap[chosen] / spreads[chosen]
    score = np.bincount(
        record.tokens, weights=weights[record.features] * record.values, minlength=record.text.n_tokens
    )
    threshold = _best_threshold(score[choose], has[choose])
    return _f1(score[held_out] >= threshold, has[held_out])


def _means(
    record: FeatureRecord, has: Bool[np.ndarray, " token"], where: Bool[np.ndarray, " token"]
) -> tuple[Float[np.ndarray, "two feature"], Float[np.ndarray, " feature"]]:
    """The means of features with and without the label, and their spread; 1 of those that never change."""
    n = record.n_features
    sums, squares, counts = [], np.zeros(n), []
    for group in (has & where, ~has & where):
        here = group[record.tokens]
        sums.append(np.bincount(record.features[here], weights=record.values[here], minlength=n))
        squares += np.bincount(record.features[here], weights=record.values[here] ** 2, minlength=n)
        counts.append(int(group.sum()))
    mean = sum(sums) / sum(counts)
    variance = np.maximum(squares / sum(counts) - mean**2, 0.0)
    means = np.stack([total / max(number, 1) for total, number in zip(sums, counts, strict=True)])
    return means, np.where(variance > 0, variance, 1.0) ** 0.5


def _best_threshold(score: Float[np.ndarray, " token"], has: Bool[np.ndarray, " token"]) -> float:
    """The threshold (what reaches it counts) with the best F1."""
    order = np.argsort(-score, kind="stable")
    right = np.cumsum(has[order])
    f1 = 2 * right / (np.arange(len(score)) + 1 + has.sum())
    tied = np.append(score[order][1:] == score[order][:-1], False)  # equal scores are taken in together
    f1[tied] = -1.0
    return float(score[order][int(np.argmax(f1))])


def _f1(says: Bool[np.ndarray, " token"], has: Bool[np.ndarray, " token"]) -> float:
    return float(2 * (says & has).sum() / max(says.sum() + has.sum(), 1))
