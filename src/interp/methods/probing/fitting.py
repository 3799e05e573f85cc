"""Logistic regression on activations: splits by group, its strength of regularisation chosen inside.

scikit-learn does the fitting (extra ``probes``). Each column is standardised by its mean and spread over the
prompts that are fitted, classes weigh the same, and the weights are penalised by their squares. How much is
chosen among `GRID` by the log-loss on held-out groups *of the training part*; the prompts that are tested on
have no say in it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from interp.errors import InputError, how_to_install

GRID: tuple[float, ...] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # inverse strengths, as scikit-learn's C
INNER = 3  # folds of the training part, in which the strength is chosen


def check_installed() -> None:
    """`InputError` where scikit-learn is not installed."""
    try:
        import sklearn  # noqa: F401
    except ModuleNotFoundError:
        raise InputError(f"Probes are fitted by scikit-learn; run: {how_to_install('probes')}.") from None


@dataclass(frozen=True, eq=False)
class Fitted:
    """A linear map to the log-odds of yes: ``x @ weight + bias``, in the units of the activations."""

    weight: Float[np.ndarray, " width"]
    bias: float

    def __call__(self, x: Float[np.ndarray, "prompt width"]) -> Float[np.ndarray, " prompt"]:
        return x.astype(np.float64) @ self.weight + self.bias


def fit(x: Float[np.ndarray, "prompt width"], y: Bool[np.ndarray, " prompt"], c: float) -> Fitted:
    """The probe of these prompts, at an inverse strength of regularisation `c`."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    x = x.astype(np.float64)
    mean, spread = x.mean(0), x.std(0)
    spread = np.where(spread > 1e-12 * (np.abs(mean) + 1e-12), spread, np.inf)  # a constant says nothing
    z = (x - mean) / spread
    # with fewer prompts than columns the weights lie in their span: the same fit in fewer columns
    back = np.linalg.svd(z, full_matrices=False)[2] if len(z) < z.shape[1] else None
    model: Any = LogisticRegression(
        C=c, class_weight="balanced", solver="newton-cholesky", max_iter=200, tol=1e-4
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(z if back is None else z @ back.T, y)
    weight = (model.coef_[0] if back is None else model.coef_[0] @ back) / spread
    return Fitted(weight, float(model.intercept_[0] - weight @ mean))


def folds_by_group(
    y: Bool[np.ndarray, " prompt"], groups: Sequence[str], n: int, seed: int
) -> Int[np.ndarray, " prompt"]:
    """The fold of each prompt: `n`, or fewer where a label has fewer groups; prompts of a group are in one.

    Raises `InputError` where no two folds have both labels.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    names = np.array([f"{group}" for group in groups])
    n = min([n, *(len(set(names[y == label])) for label in (False, True))])
    folds = np.zeros(len(y), dtype=np.int64)
    if n >= 2:
        split = StratifiedGroupKFold(n, shuffle=True, random_state=seed).split(y[:, None], y, names)
        for fold, (_, tested) in enumerate(split):
            folds[tested] = fold
    both = [fold for fold in range(n) if len(set(y[folds == fold])) == 2 and len(set(y[folds != fold])) == 2]
    if len(both) < 2:
        raise InputError(
            "The groups cannot be split so that both labels are in training and in test; give more groups of "
            "each label."
        )
    return folds


def within_groups(
    y: Bool[np.ndarray, " prompt"], groups: Sequence[str], n: int, seed: int
) -> Int[np.ndarray, " prompt"] | None:
    """Folds in which each group is on both sides: the prompts of each are dealt out in turn. None where a
    group has one prompt only, so that nothing of it could be learned by heart."""
    rng = np.random.default_rng(seed)
    folds = np.zeros(len(y), dtype=np.int64)
    of = {group: np.flatnonzero([one == group for one in groups]) for group in dict.fromkeys(groups)}
    if min(map(len, of.values())) < 2:
        return None
    for mine in of.values():
        folds[rng.permutation(mine)] = np.arange(len(mine)) % min(n, len(mine))
    return folds


def parts(folds: Int[np.ndarray, " prompt"]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Which prompts are fitted and which are tested, fold by fold."""
    for fold in np.unique(folds):
        yield folds != fold, folds == fold


def chosen_strength(
    x: Float[np.ndarray, "prompt width"], y: Bool[np.ndarray, " prompt"], groups: Sequence[str], seed: int
) -> float:
    """The inverse strength of `GRID` whose probes lose least on groups that they were not fitted to."""
    try:
        folds = folds_by_group(y, groups, INNER, seed)
    except InputError:  # too few groups to choose by: the middle of the grid
        return GRID[len(GRID) // 2]
    loss = np.zeros(len(GRID))
    for fitted, tested in parts(folds):
        if len(set(y[fitted])) < 2:
            continue
        weight = np.where(y[tested], 0.5 / max(y[tested].sum(), 1), 0.5 / max((~y[tested]).sum(), 1))
        for i, c in enumerate(GRID):
            score = fit(x[fitted], y[fitted], c)(x[tested])
            loss[i] += (weight * np.logaddexp(0, np.where(y[tested], -score, score))).sum()
    return GRID[int(loss.argmin())]


def out_of_fold(
    x: Float[np.ndarray, "prompt width"],
    y: Bool[np.ndarray, " prompt"],
    folds: Int[np.ndarray, " prompt"],
    strengths: Sequence[float],
) -> Float[np.ndarray, " prompt"]:
    """The log-odds of each prompt by the probe of the folds that it is not in; 0 where these have one label
    alone, so that there is no probe."""
    scores = np.zeros(len(y))
    for (fitted, tested), c in zip(parts(folds), strengths, strict=True):
        if len(set(y[fitted])) == 2:
            scores[tested] = fit(x[fitted], y[fitted], c)(x[tested])
    return scores


def strengths_by_fold(
    x: Float[np.ndarray, "prompt width"],
    y: Bool[np.ndarray, " prompt"],
    groups: Sequence[str],
    folds: Int[np.ndarray, " prompt"],
    seed: int,
) -> list[float]:
    """The strength that each fold's training part chooses."""
    names = np.array([f"{group}" for group in groups])
    return [chosen_strength(x[fitted], y[fitted], list(names[fitted]), seed) for fitted, _ in parts(folds)]


def shuffled_by_group(
    y: Bool[np.ndarray, " prompt"], groups: Sequence[str], rng: np.random.Generator
) -> Bool[np.ndarray, " prompt"]:
    """The labels of other groups: those of groups that have one label are dealt anew among these, and in a
    group that has both, its prompts change places."""
    names = list(dict.fromkeys(groups))
    of = {group: np.flatnonzero([one == group for one in groups]) for group in names}
    pure = [group for group in names if len(set(y[of[group]])) == 1]
    new = y.copy()
    for group, label in zip(pure, rng.permutation([y[of[group][0]] for group in pure]), strict=True):
        new[of[group]] = label
    for group in set(names) - set(pure):
        new[of[group]] = rng.permutation(y[of[group]])
    return new


def drawn_by_group(groups: Sequence[str], rng: np.random.Generator) -> Bool[np.ndarray, " prompt"]:
    """A label for each group, half of the groups yes, drawn without regard to what they are."""
    names = list(dict.fromkeys(groups))
    drawn = dict(zip(names, rng.permutation(np.arange(len(names)) % 2 == 0), strict=True))
    return np.array([drawn[group] for group in groups])
