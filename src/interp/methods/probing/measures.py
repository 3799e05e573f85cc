"""How well scores tell two labels apart: balanced accuracy and AUROC, with intervals over groups.

Both are sums over prompts of what each adds (its influence), so that the intervals of
`interp.methods.common.intervals` hold for them, with the groups as clusters:

- balanced accuracy is the mean of the two labels' shares of right answers. A prompt of a label with n prompts
  adds ``(right - share) / (2 n)`` to what is off.
- AUROC is the share of pairs of a yes and a no in which the yes scores higher, ties counting half. A prompt
  adds ``won - AUROC * pairs`` over all pairs (DeLong et al. 1988, Biometrics 44, 837). Pairs are made
  within a fold alone: probes of two folds have scales of their own.

Where no prompt is off there is no spread, and the lower end is that of K groups none of which is wrong,
0.025^(1/K), K those of the label with fewer. Ends beyond 0 and 1 are none that could be, and are left out.

When it misleads: the intervals are over the groups that were tested, with the probes as they came out; that
other groups in training would have given other probes is not in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int

from interp.methods.common.intervals import ratio_interval, share_ends
from interp.results import Interval

Scores = Float[np.ndarray, "cell prompt"]
Labels = Bool[np.ndarray, " prompt"]


def balanced_accuracy(scores: Scores, y: Labels, groups: Sequence[str], seed: int) -> Interval:
    """The mean of the shares of yes with a score above 0 and of no with one below; 0 itself counts half."""
    right, weight = _right(scores, y), _weights(y)
    shares = right[:, ~y].mean(1), right[:, y].mean(1)
    share = np.where(y, shares[1][:, None], shares[0][:, None])
    value = (shares[0] + shares[1]) / 2
    return _interval(weight * (right - share + value[:, None]), weight, value, y, groups, seed)


def accuracy_value(scores: Float[np.ndarray, " prompt"], y: Labels) -> float:
    """The balanced accuracy alone."""
    right = _right(scores[None], y)[0]
    return float(right[y].mean() + right[~y].mean()) / 2


def _right(scores: Scores, y: Labels) -> Scores:
    return np.where(scores == 0, 0.5, (scores > 0) == y)


def _weights(y: Labels) -> Float[np.ndarray, " prompt"]:
    return np.where(y, 0.5 / y.sum(), 0.5 / (~y).sum())


def auroc(
    scores: Scores, y: Labels, folds: Int[np.ndarray, " prompt"], groups: Sequence[str], seed: int
) -> Interval:
    """The share of pairs of a yes and a no of one fold in which the yes has the higher score."""
    won, pairs = np.zeros(scores.shape), np.zeros(len(y))
    for fold in np.unique(folds):
        yes, no = np.flatnonzero(y & (folds == fold)), np.flatnonzero(~y & (folds == fold))
        above = scores[:, yes, None] - scores[:, None, no]  # [cell, yes, no]
        wins = np.where(above == 0, 0.5, above > 0)
        won[:, yes], won[:, no] = wins.sum(2), wins.sum(1)
        pairs[yes], pairs[no] = len(no), len(yes)
    value = won.sum(1) / pairs.sum()
    total = pairs.sum() / 2
    weight = pairs / 2 / total
    return _interval(won / total - weight * value[:, None], weight, value, y, groups, seed)


def _interval(
    adds: Scores,
    weight: Float[np.ndarray, " prompt"],
    value: Float[np.ndarray, " cell"],
    y: Labels,
    groups: Sequence[str],
    seed: int,
) -> Interval:
    found = ratio_interval(adds.T, weight, seed, list(groups))
    names = np.array([f"{group}" for group in groups])
    fewest = min(len(set(names[y])), len(set(names[~y])))
    return share_ends(replace(found, value=value), fewest)
