"""How sure a mean over prompts is (the percentile bootstrap); how far two lists of numbers go together."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from interp.errors import InputError
from interp.results import Estimate, Interval

RESAMPLES = 2000

# ---- a mean over prompts ----


def estimate(each: Float[np.ndarray, " prompt *cell"], seed: int) -> Estimate:
    """The mean over prompts with its 95 % interval; see `bootstrap_interval` for when it misleads."""
    low, high = bootstrap_interval(each, seed)
    return Estimate(mean=np.asarray(each.mean(0)), low=np.asarray(low), high=np.asarray(high), each=each)


def mean_interval(each: Float[np.ndarray, " prompt *cell"], seed: int) -> Interval:
    """As `estimate`, where the values that it is the mean of need not be kept."""
    low, high = bootstrap_interval(each, seed)
    return Interval(value=np.asarray(each.mean(0)), low=np.asarray(low), high=np.asarray(high))


def bootstrap_interval(
    values: Float[np.ndarray, " prompt *cell"], seed: int
) -> tuple[Float[np.ndarray, " *cell"], Float[np.ndarray, " *cell"]]:
    """The 95 % percentile interval of the mean over the first axis, its lower and upper ends.

    Of a single prompt both ends are its own value: the interval then says nothing. With a handful of prompts
    it is too narrow, as the bootstrap cannot draw what was not sampled.
    """
    if len(values) == 1:
        return np.asarray(values[0]), np.asarray(values[0])
    low, high = np.percentile(resampled_means(values, seed), [2.5, 97.5], axis=0)
    return np.asarray(low), np.asarray(high)


def resampled_means(
    values: Float[np.ndarray, " prompt *cell"], seed: int
) -> Float[np.ndarray, " resample *cell"]:
    """The means of samples of the prompts, drawn with replacement, as many as there are: for the interval of
    something that is made of several means. The same prompts are drawn for all that is given at once."""
    n = len(values)
    draws = np.random.default_rng(seed).integers(0, n, (RESAMPLES, n))
    weights = np.stack([np.bincount(draw, minlength=n) for draw in draws]) / n  # [resample, prompt]
    return np.tensordot(weights, values, axes=1)


def percentile_interval(
    value: Float[np.ndarray, "*cell"], resampled: Float[np.ndarray, " resample *cell"]
) -> Interval:
    """A value with its 95 % interval, from what it would be for each sample of the prompts."""
    low, high = np.percentile(resampled, [2.5, 97.5], axis=0)
    return Interval(value=value, low=np.asarray(low), high=np.asarray(high))


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
