"""Which cells of a map stand out, when so many are looked at? Benjamini and Hochberg's procedure.

Of 144 heads without any effect, about seven have a 95 % interval that leaves out 0. Benjamini & Hochberg 1995
(J. R. Stat. Soc. B 57, 289) choose cells such that, of those chosen, the expected share without effect is at
most `RATE`. The p values are those of Student's t with the standard error over prompts, or over clusters of
them; cells may depend on each other as heads do (positively), but with few prompts of skewed values the p
values are rough. Of a single prompt nothing can be told from chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from interp.methods.common.student_t import two_sided_p
from interp.results import Estimate, Interval

RATE = 0.05  # of false discoveries among those that stand out, at most, on average
_ROUNDING = 1e-9  # of the largest value: what is smaller is no effect, however little it varies


@dataclass(frozen=True, eq=False, kw_only=True)
class StandingOut:
    """Which cells are told from chance, and how many single intervals would be by chance alone."""

    cells: Bool[np.ndarray, "*cell"]
    by_chance: float  # cells whose own 95 % interval would leave out the null, were there no effect at all

    @property
    def n(self) -> int:
        return int(self.cells.sum())


def standing_out(of: Estimate | Interval, *, null: float = 0.0) -> StandingOut | None:
    """The cells that differ from `null` at a false discovery rate of `RATE`; None where there is no standard
    error: one prompt, or a run that was stored before standard errors were."""
    value = of.mean if isinstance(of, Estimate) else of.value
    if of.error is None or of.clusters < 2 or value.size == 0:
        return None
    p = p_values(value - null, of.error, of.clusters)
    tested = np.isfinite(p)
    cells = np.zeros(value.shape, dtype=bool)
    cells[tested] = benjamini_hochberg(p[tested])
    return StandingOut(cells=cells, by_chance=0.05 * int(tested.sum()))


def p_values(
    effects: Float[np.ndarray, "*cell"], errors: Float[np.ndarray, "*cell"], clusters: int
) -> Float[np.ndarray, "*cell"]:
    """The two-sided p value of each effect; 1 where it is rounding, NaN where there is none."""
    largest = np.nanmax(np.abs(effects), initial=0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = two_sided_p(effects / errors, clusters - 1)
    return np.asarray(np.where(np.abs(effects) <= _ROUNDING * largest, 1.0, p))


def benjamini_hochberg(p: Float[np.ndarray, " cell"], rate: float = RATE) -> Bool[np.ndarray, " cell"]:
    """Those of the p values that are discoveries at a false discovery rate."""
    n = len(p)
    if n == 0:
        return np.zeros(0, dtype=bool)
    ordered = np.sort(p)
    below = ordered <= rate * np.arange(1, n + 1) / n
    return p <= ordered[np.flatnonzero(below)[-1]] if below.any() else np.zeros(n, dtype=bool)
