"""What changed in the results of steering since the first format."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from interp.format_1 import Fields
from interp.methods.steering.results import Steered, Unsteered


def _steering(values: Fields) -> Fields:
    """What was predicted and said, with and without steering, stood side by side."""
    probabilities, before, kl, top_probabilities = (
        np.asarray(values.pop(name), dtype=float)
        for name in ("probabilities", "probabilities_before", "kl", "top_probabilities")
    )
    unsteered = Unsteered(
        probabilities=before,
        likeliest=tuple(values.pop("top_before")),
        continuations=tuple(values.pop("said_before")),
    )
    steered = Steered(
        probabilities=probabilities,
        kl=kl,
        top=tuple(tuple(tuple(tokens) for tokens in rows) for rows in values.pop("top")),
        top_probabilities=top_probabilities,
        continuations=tuple(tuple(rows) for rows in values.pop("said")),
    )
    return {**values, "unsteered": unsteered.to_dict(), "steered": steered.to_dict()}


CHANGES: dict[str, Callable[[Fields], Fields]] = {"steering": _steering}
