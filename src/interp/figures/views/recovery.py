"""What the presentations of patching share: the map of recovery, and what it means in each direction."""

from __future__ import annotations

import numpy as np

from interp.figures.engine.view import Arrays, Axis, Grid

LIMIT = 1.5  # of recovery from no effect, where the colours end

#: What is carried over, by direction.
CARRIED = {
    "denoising": "clean activations into the corrupted run",
    "noising": "corrupted activations into the clean run",
}
_SIGNS = {
    "denoising": ("towards the clean answer", "away from it"),
    "noising": ("the clean answer is favoured beyond the clean run", "the clean answer is harmed"),
}
_MARKS = {
    "denoising": (
        (1.0, "as clean: answer brought back"),
        (0.0, "as corrupted: nothing comes back"),
        (-1.0, "further away than corrupted"),
    ),
    "noising": (
        (2.0, "beyond clean"),
        (1.0, "as clean: nothing is lost"),
        (0.0, "as corrupted: answer lost"),
    ),
}


def no_effect(direction: str) -> float:
    """The recovery of a patch that changes nothing: that of the run which is patched."""
    return 0.0 if direction == "denoising" else 1.0


def recovery_map(
    recovery: np.ndarray,
    *,
    direction: str,
    columns: Axis,
    peak: tuple[int, int],
    unit: str = "recovery",
    limit: float = LIMIT,
    hover: Arrays = (),
    framed: tuple[tuple[int, int], ...] | None = None,
    framed_means: str = "the strongest effect",
) -> Grid:
    """Recovery [layer, column], layer 0 at the bottom. No effect is neutral in colour, which is 0 denoising
    and 1 noising, so that in both directions the places that matter stand out. Framed is the peak, or the
    cells that are given."""
    above, below = _SIGNS[direction]
    return Grid(
        name="recovery",
        values=recovery,
        rows=Axis.numbers("layer", len(recovery)),
        columns=columns,
        unit=unit,
        centre=no_effect(direction),
        limit=limit,
        above=above,
        below=below,
        marks=_MARKS[direction],
        hover=hover,
        framed=(peak,) if framed is None else framed,
        framed_means=framed_means,
    )
