"""Activation patching by gradients beside the exact one of the same question.

`compare` keeps both, with Spearman's rank correlation over all cells and the cell that is farthest off. A
high correlation can hide a single cell that is far off, and where nearly all cells are 0 it says more about
noise than about the cells that matter: look at both.
"""

from __future__ import annotations

import numpy as np

from interp.errors import InputError
from interp.methods.common.statistics import spearman
from interp.methods.patching.activation_patching import Method
from interp.methods.patching.results import ActivationPatchingResult, ComparedActivationPatchingResult


def check_approximate(method: Method) -> None:
    """`InputError` where the method that is to be set beside the exact one is exact itself."""
    if method == "exact":
        raise InputError(
            "compare_exact sets an approximation beside the exact sweep, and this sweep is exact; "
            "set method to 'attribution' or 'integrated'."
        )


def compare(
    approximate: ActivationPatchingResult, exact: ActivationPatchingResult
) -> ComparedActivationPatchingResult:
    """How an approximate result agrees with the exact one. `InputError` where they answer two questions."""
    if different := _different(approximate, exact):
        raise InputError(
            f"The two sweeps differ in {', '.join(different)}; compare two of the same question."
        )
    estimated, truth = approximate.recovery.mean, exact.recovery.mean
    off = np.abs(estimated - truth)
    layer, column = np.unravel_index(off.argmax(), off.shape)
    return ComparedActivationPatchingResult(
        provenance=approximate.provenance,
        approximate=approximate,
        exact=exact,
        rank_correlation=spearman(estimated.ravel(), truth.ravel()),
        worst_cell=(int(layer), int(column)),
        worst_difference=float(off.max()),
    )


def _different(one: ActivationPatchingResult, other: ActivationPatchingResult) -> list[str]:
    """In what the questions of two results differ."""
    fields = ("site", "by", "direction", "metric")
    different = [name for name in fields if getattr(one, name) != getattr(other, name)]
    return different + ([] if one.pairs.equals(other.pairs) else ["pairs"])
