"""Which features say which label? Precision and recall of each feature for each label of a text's tokens.

A feature that is above a threshold says "yes" of a token. Its *precision* is the share of its tokens that
have the label, its *recall* the share of the tokens with the label that it is active at, and *F1* their
harmonic mean; where it is nowhere above the threshold, all three are 0. Two thresholds: 0, the feature's own,
and the one with the best F1.

Features and thresholds are chosen on the first half of the text's sequences, and all numbers are measured on
the second, so that the best of thousands of features is not good by luck.

When it misleads: a label is one way to cut up the text. A feature for French cities has a low recall for
"city" and is no worse for it, and several features may share a label. A feature that is active with a label
need not be used by the model as such; ablate it to see.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from interp.errors import InputError
from interp.methods.features.results import LabelFeaturesResult
from interp.models.base import Model
from interp.progress import report
from interp.provenance import Provenance
from interp.results import Dropped
from interp.saes.metrics import EXCLUDED
from interp.saes.reading import FeatureRecord

MEASURES = ("precision", "recall", "F1")


@dataclass(frozen=True, eq=False)
class ScoresOfFeatures:
    """How well every feature says one label."""

    chosen: Float[np.ndarray, " feature"]  # F1 at the threshold, on the half on which that was chosen
    thresholds: Float[np.ndarray, " feature"]
    scores: Float[np.ndarray, "feature measure"]  # above 0, held out
    best_scores: Float[np.ndarray, "feature measure"]  # at the threshold, held out


def label_features(
    model: Model, record: FeatureRecord, *, top: int = 3, least: int = 10, seed: int = 0
) -> LabelFeaturesResult:
    """The `top` features of each label of the record's text.

    A label that fewer than `least` tokens have, in either half, is left out, and `left_out` says so. `seed`
    is recorded; nothing is drawn. Raises `InputError` where the text has no labels or only one sequence.
    """
    if not 1 <= top <= record.n_features:
        raise InputError(f"top must lie between 1 and the {record.n_features} features; got {top}.")
    names, left_out, scores, numbers = [], [], [], []
    for index, (name, has) in enumerate(zip(record.text.label_names, record.text.labels, strict=True)):
        report("labels", index, len(record.text.label_names))
        counts = [int((has & half).sum()) for half in halves(record)]
        if min(counts) < least:
            why = f"it is on {counts[0]} and {counts[1]} tokens of the two halves; each needs {least}"
            left_out.append(Dropped(name, why))
            continue
        names.append(name)
        scores.append(label_scores(record, has))
        numbers.append(counts[1])
    if not names:
        raise InputError("No label is on enough tokens of this text; read features on more text with labels.")
    best = np.stack([np.argsort(-s.chosen, kind="stable")[:top] for s in scores])  # [label, rank]
    each = list(zip(scores, best, strict=True))
    label_of = np.stack([s.chosen for s in scores]).argmax(0)  # [feature]
    f1_of = np.stack([s.best_scores[:, 2] for s in scores])[label_of, np.arange(record.n_features)]
    return LabelFeaturesResult(
        provenance=Provenance.of(model, seed=seed),
        text=record.text.described,
        excluded=EXCLUDED,
        n_tokens=record.n_counted,
        sae=record.sae.identity,
        labels=tuple(names),
        n_with_label=np.array(numbers),
        features=best,
        thresholds=np.stack([s.thresholds[of] for s, of in each]),
        scores=np.stack([s.scores[of] for s, of in each]),
        best_scores=np.stack([s.best_scores[of] for s, of in each]),
        label_of=label_of,
        f1_of=f1_of,
        left_out=tuple(left_out),
    )


def halves(record: FeatureRecord) -> tuple[Bool[np.ndarray, " token"], Bool[np.ndarray, " token"]]:
    """The counted tokens of the first and of the second half of the sequences. `InputError` where there is
    only one sequence."""
    n = len(record.text.sequences)
    if n < 2:
        raise InputError(
            "Labels need a text of two sequences or more, to choose on one and measure on another."
        )
    first = np.arange(record.text.n_tokens) < record.starts[n // 2]
    return first & record.counted, ~first & record.counted


def label_scores(record: FeatureRecord, has: Bool[np.ndarray, " token"]) -> ScoresOfFeatures:
    """How well every feature says the label that is where `has` is true."""
    choose, held_out = halves(record)
    thresholds, chosen = _best_thresholds(record, has, choose)
    above = record.values >= thresholds[record.features]
    return ScoresOfFeatures(
        chosen=chosen,
        thresholds=thresholds,
        scores=_scores(record, has, held_out, np.ones_like(above)),
        best_scores=_scores(record, has, held_out, above),
    )


def _scores(
    record: FeatureRecord, has: np.ndarray, where: np.ndarray, above: Bool[np.ndarray, " entry"]
) -> Float[np.ndarray, "feature measure"]:
    """Precision, recall and F1 over the tokens of `where`, of the entries that say yes."""
    says_yes = above & where[record.tokens]
    n = record.n_features
    yes = np.bincount(record.features[says_yes], minlength=n)
    right = np.bincount(record.features[says_yes & has[record.tokens]], minlength=n)
    there = (has & where).sum()
    return np.stack(
        [right / np.maximum(yes, 1), right / max(there, 1), 2 * right / np.maximum(yes + there, 1)], 1
    )


def _best_thresholds(
    record: FeatureRecord, has: np.ndarray, where: np.ndarray
) -> tuple[Float[np.ndarray, " feature"], Float[np.ndarray, " feature"]]:
    """Of each feature the threshold (what reaches it counts) with the best F1 over `where`, and that F1.

    The record has its entries by feature and falling strength; with each taken in, the F1 of its feature
    follows from running sums. Equal strengths are taken in together. A feature that is silent here keeps a
    threshold of 0.
    """
    here = where[record.tokens]
    features, values, right = record.features[here], record.values[here], has[record.tokens[here]]
    thresholds, best = np.zeros(record.n_features, record.values.dtype), np.zeros(record.n_features)
    if not len(features):
        return thresholds, best
    first = np.flatnonzero(np.diff(features, prepend=-1))  # where each feature begins
    began = np.repeat(first, np.diff(first, append=len(features)))
    total = np.cumsum(right)
    rights = total - (total - right)[began]
    f1 = 2 * rights / (np.arange(len(features)) - began + 1 + (has & where).sum())
    tied = np.append((features[1:] == features[:-1]) & (values[1:] == values[:-1]), False)
    f1[tied] = -1.0
    best[features[first]] = np.maximum.reduceat(f1, first)
    is_best = np.flatnonzero(f1 == best[features])[::-1]  # of equal ones, the highest is written last
    thresholds[features[is_best]] = values[is_best]
    return thresholds, best
