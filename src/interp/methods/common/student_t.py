"""Student's t for whole degrees of freedom: how often chance goes as far, and how far 95 % go."""

from __future__ import annotations

from functools import cache

import numpy as np
from jaxtyping import Float


def two_sided_p(t: Float[np.ndarray, "*cell"], freedom: int) -> Float[np.ndarray, "*cell"]:
    """The probability of a value at least this far from 0, on either side; exact to 1e-14, so that smaller
    ones are told apart no more.

    The finite series for whole degrees of freedom (Abramowitz & Stegun 26.7.3 and 26.7.4).
    """
    angle = np.arctan(np.abs(t) / np.sqrt(freedom))
    square, odd = np.cos(angle) ** 2, freedom % 2
    term = np.sin(angle) * (np.cos(angle) if odd else 1.0)
    total = np.zeros_like(angle)
    for i in range(1, freedom // 2 + 1):
        total = total + term
        term = term * square * ((2 * i) / (2 * i + 1) if odd else (2 * i - 1) / (2 * i))
    within = 2 / np.pi * (angle + total) if odd else total
    return np.asarray(np.clip(1 - within, 0.0, 1.0))


@cache
def quantile(level: float, freedom: int) -> float:
    """The distance from 0 within which a share `level` of the values lies, by bisection."""
    low, high = 0.0, 1e6
    for _ in range(200):
        middle = (low + high) / 2
        if float(two_sided_p(np.asarray(middle), freedom)) > 1 - level:
            low = middle
        else:
            high = middle
    return high
