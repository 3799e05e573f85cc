"""How far two lists of numbers go together: Pearson's and Spearman's correlation."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from interp.errors import InputError


def pearson(x: Float[np.ndarray, n], y: Float[np.ndarray, n]) -> float:
    """Pearson's. `InputError` where one of the two is the same throughout, so that there is none."""
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        raise InputError("One of the two has the same value throughout, so that there is no correlation.")
    return float(np.corrcoef(x, y)[0, 1])


def spearman(x: Float[np.ndarray, n], y: Float[np.ndarray, n]) -> float:
    """Spearman's: Pearson's of the ranks. `InputError` as there."""
    return pearson(ranks(x), ranks(y))


def ranks(values: Float[np.ndarray, n]) -> Float[np.ndarray, n]:
    """Ranks from 0, those of equal values averaged."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = counts.cumsum()
    return ((ends - counts + ends - 1) / 2)[inverse]
