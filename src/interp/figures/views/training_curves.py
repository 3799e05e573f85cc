"""The curves of a training, for every view that shows one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from interp.figures.engine.view import Lines, Series, block_name

_POINTS = 24


def training_curves(
    losses: Float[np.ndarray, "dictionary step part"],
    parts: Sequence[str],
    dictionaries: Sequence[str] | None = None,
) -> list[Lines]:
    """Each part of the loss, a line for each of the dictionaries that were trained, as means over equal
    stretches of steps; without parts that never changed. One dictionary needs no name."""
    chunks = np.array_split(np.arange(losses.shape[1]), min(_POINTS, losses.shape[1]))
    x = tuple(float(chunk[-1] + 1) for chunk in chunks)
    means = np.stack([losses[:, chunk].mean(1) for chunk in chunks], axis=1)  # [dictionary, point, part]
    return [
        Lines(
            name=block_name("training", part),
            series=tuple(
                Series(name, x, tuple(values.tolist()))
                for name, values in zip(dictionaries or [part], own, strict=True)
            ),
            x_title="step",
            y_title=part,
            title=f"Training: {part}",
            note="Each point is the mean over the steps since the one before.",
        )
        for part, own in zip(parts, np.moveaxis(means, 2, 0), strict=True)
        if np.ptp(own) > 0
    ]
