"""What views say of a cost on neutral text."""

from __future__ import annotations

import math

from interp.figures.engine.notation import measured
from interp.results import Interval


def perplexity(loss: float | None, rise: Interval | None = None, cell: int = 0) -> str:
    """The perplexity of a log-loss, risen by a cell of `rise`; empty where it was not measured."""
    if loss is None:
        return ""
    return measured(math.exp(loss + (0.0 if rise is None else float(rise.value[cell]))))
