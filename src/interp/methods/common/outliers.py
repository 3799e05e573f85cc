"""Finding positions whose residual stream is far longer than at others: BOS, attention sinks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float

from interp.methods.common.outlier_positions import THRESHOLD, OutlierPositions
from interp.models.base import Model

#: The kinds of ablation that put something at a position which the model never has there. What comes from
#: the same position of other runs (resampled, or their mean) is what it mostly is.
OVERWRITING = frozenset({"zero", "mean", "noise"})
_PROMPTS_AT_ONCE = 16


def find_outliers(
    model: Model, prompts: Sequence[Sequence[int]], *, include: bool = False
) -> OutlierPositions:
    """The positions with a norm of `THRESHOLD` times the typical one after any layer but the last. The
    typical norm of a layer is the median over all positions of the prompts. With `include`, they are
    recorded and nothing is left out."""
    norms = _norms(model, prompts)  # of each prompt, [layer, pos]
    typical = np.median(np.concatenate(norms, axis=1), axis=1, keepdims=True)  # [layer, 1]
    shares = [(own / typical).max(0) for own in norms]  # [pos] of each prompt
    return OutlierPositions(
        threshold=THRESHOLD,
        largest=float(max(own.max() for own in shares)),
        positions=tuple(tuple(np.flatnonzero(own >= THRESHOLD).tolist()) for own in shares),
        left_out=not include,
    )


def outliers_under(
    model: Model, prompts: Sequence[Sequence[int]], kinds: Iterable[str], *, include: bool
) -> OutlierPositions | None:
    """Those that some kinds of ablation leave alone, or with `include` do not; None where none of the kinds
    is one that overwrites them (`OVERWRITING`)."""
    return find_outliers(model, prompts, include=include) if OVERWRITING & set(kinds) else None


def _norms(model: Model, prompts: Sequence[Sequence[int]]) -> list[Float[np.ndarray, "layer pos"]]:
    layers = range(max(model.arch.n_layers - 1, 1))
    found = []
    for start in range(0, len(prompts), _PROMPTS_AT_ONCE):
        cache = model.run_with_cache(
            [list(prompt) for prompt in prompts[start : start + _PROMPTS_AT_ONCE]],
            [("resid_post", layer) for layer in layers],
            logits=False,
        )
        each = np.stack([cache["resid_post", i].float().norm(dim=-1).cpu().numpy() for i in layers])
        found += [each[:, row, :length] for row, length in enumerate(cache.tokens.lengths)]
    return [np.asarray(own, dtype=float) for own in found]
