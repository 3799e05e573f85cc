"""The mean over prompts, with how sure it is; how far two lists of numbers go together."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from interp.errors import InputError
from interp.methods.common.intervals import Clusters, mean_interval, probability_interval, ratio_interval
from interp.results import Estimate, Interval


def estimate(
    each: Float[np.ndarray, " prompt *cell"], seed: int, clusters: Clusters | None = None
) -> Estimate:
    """The mean over prompts with its 95 % interval; see `interp.methods.common.intervals` for what it covers,
    and for `clusters`."""
    return _estimate(mean_interval(each, seed, clusters), each)


def probability_estimate(
    each: Float[np.ndarray, " prompt *cell"], seed: int, clusters: Clusters | None = None
) -> Estimate:
    """The mean over prompts of what lies between 0 and 1, with its interval within these."""
    return _estimate(probability_interval(each, seed, clusters), each)


def ratio_estimate(
    numerators: Float[np.ndarray, " prompt *cell"],
    denominators: Float[np.ndarray, " prompt"],
    seed: int,
    clusters: Clusters | None = None,
) -> Estimate:
    """A ratio of means over prompts, with its interval. Of each prompt, the numerator over the *mean*
    denominator is kept, so that the ratio is their mean and a prompt with a small denominator weighs
    little."""
    found = ratio_interval(numerators, denominators, seed, clusters)
    return _estimate(found, numerators / denominators.mean())


def _estimate(found: Interval, each: Float[np.ndarray, " prompt *cell"]) -> Estimate:
    return Estimate(
        mean=found.value,
        low=found.low,
        high=found.high,
        each=each,
        error=found.error,
        clusters=found.clusters,
    )


# ---- two lists of numbers ----


def pearson(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> float:
    """Pearson's correlation. `InputError` where one of the two has one value throughout."""
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        raise InputError("One of the two has the same value throughout, so that there is no correlation.")
    return float(np.corrcoef(x, y)[0, 1])


def spearman(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> float:
    """Spearman's correlation: Pearson's of the ranks. `InputError` as there."""
    return pearson(ranks(x), ranks(y))


def ranks(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Ranks from 0, those of equal values averaged."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = counts.cumsum()
    return ((ends - counts + ends - 1) / 2)[inverse]
