"""A sweep by gradients beside the exact one of the same question.

`compared_sweep` runs both and keeps both, with Spearman's rank correlation over all cells and the cell that
is farthest off. A high correlation can hide a single cell that is far off, and where nearly all cells are 0
it says more about noise than about the cells that matter: look at both.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from interp.errors import InputError
from interp.methods.patching.activation_patching import ActivationPatchingResult, activation_patching, compare
from interp.models.base import Model


@dataclass(frozen=True, eq=False, kw_only=True)
class ComparedSweepResult(ActivationPatchingResult):
    """An approximate sweep (its own fields), and the exact one beside it."""

    kind: ClassVar[str] = "compared_activation_patching"
    exact_recovery: Float[np.ndarray, "layer column"]
    exact_path: str  # branching | plain
    rank_correlation: float  # Spearman's, over all cells
    worst_cell: tuple[int, int]  # (layer, column) at which the two differ most
    worst_difference: float  # of recovery, there


def compared_sweep(model: Model, **arguments: Any) -> ComparedSweepResult:
    """`interp.activation_patching` by gradients, with the exact sweep of the same question beside it.

    Args:
        arguments: those of `interp.activation_patching`, with a `method` that is not ``exact``.

    Raises:
        InputError: the method is exact already; and whatever `interp.activation_patching` raises.
    """
    if arguments.get("method", "exact") == "exact":
        raise InputError(
            "compare_exact sets an approximation beside the exact sweep, and this sweep is exact; "
            "set method to 'attribution' or 'integrated'."
        )
    exact = activation_patching(model, **arguments | {"method": "exact"})
    approximate = activation_patching(model, **arguments)
    agreement = compare(approximate, exact)
    return ComparedSweepResult(
        **{f.name: getattr(approximate, f.name) for f in fields(approximate)},
        exact_recovery=exact.recovery,
        exact_path=exact.path,
        rank_correlation=agreement.rank_correlation,
        worst_cell=agreement.worst_cell,
        worst_difference=agreement.worst_difference,
    )
