"""How sure is a mean over prompts? The percentile bootstrap."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

RESAMPLES = 2000


def bootstrap_interval(
    values: Float[np.ndarray, "prompt ..."], seed: int
) -> tuple[Float[np.ndarray, ...], Float[np.ndarray, ...]]:
    """The 95 % percentile interval of the mean over the first axis, its lower and upper ends.

    Of a single prompt both ends are its own value: the interval then says nothing. With a handful of prompts
    it is too narrow, as the bootstrap cannot draw what was not sampled.
    """
    if len(values) == 1:
        return values[0], values[0]
    low, high = np.percentile(resampled_means(values, seed), [2.5, 97.5], axis=0)
    return low, high


def resampled_means(values: Float[np.ndarray, "prompt ..."], seed: int) -> Float[np.ndarray, "resample ..."]:
    """The means of samples of the prompts, drawn with replacement, as many as there are: for the interval of
    something that is made of several means. The same prompts are drawn for all that is given at once."""
    n = len(values)
    draws = np.random.default_rng(seed).integers(0, n, (RESAMPLES, n))
    weights = np.stack([np.bincount(draw, minlength=n) for draw in draws]) / n  # [resample, prompt]
    return np.tensordot(weights, values, axes=1)
