"""Which cells of a map are told from chance: framed in the map, and counted in a sentence."""

from __future__ import annotations

from typing import Any

import numpy as np

from interp.methods.common.chance import RATE, standing_out
from interp.results import Estimate, Interval

_STRONGEST = 3
_HOW = f"Benjamini-Hochberg, false discovery rate {RATE:.0%}".replace("%", " %")


def framed_cells(of: Estimate | Interval, *, null: float = 0.0) -> dict[str, Any]:
    """The framed cells of a map [row, column] and what that means, as a `Grid` takes them: those that stand
    out from chance; where that is not known, as of one pair, the strongest."""
    found = standing_out(of, null=null)
    if found is not None:
        cells = tuple((int(row), int(column)) for row, column in np.argwhere(found.cells))
        return {"framed": cells, "framed_means": f"told from chance ({_HOW})"}
    size = np.abs(np.nan_to_num((of.mean if isinstance(of, Estimate) else of.value) - null))
    order = np.argsort(-size, axis=None, kind="stable")[:_STRONGEST]
    cells = tuple(divmod(int(i), size.shape[1]) for i in order if size.flat[i])
    return {"framed": cells, "framed_means": "the strongest"}


def chance_sentence(of: Estimate | Interval, what: str, *, null: float = 0.0) -> tuple[str, ...]:
    """How many of so many stand out, and how many would by their own intervals alone; nothing where that is
    not known."""
    found = standing_out(of, null=null)
    if found is None:
        return ()
    n = int(np.isfinite(of.mean if isinstance(of, Estimate) else of.value).sum())
    return (
        f"{found.n} of {n:,} {what} are told from chance ({_HOW}); of so many, about "
        f"{found.by_chance:.0f} have an interval without {null:g} by chance alone.",
    )
