"""The presentation of a Jacobian lens that was fitted: how certain it is, and how well it reads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from interp.figures.engine.notation import count, decimal
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Lines, Series, View, Words
from interp.figures.views import train_tuned_lens
from interp.methods.lens.results import JacobianFitResult


def view(result: JacobianFitResult) -> View:
    """What is shown of any lens's quality, and the standard errors of the matrices."""
    quality = train_tuned_lens.view(result.quality)
    verdict, *rest = quality.blocks
    return replace(
        quality,
        above=(
            *quality.above,
            f"Fitted on {count(result.n_prompts, 'prompt')}, towards the stream after layer "
            f"{result.target_layer}.",
        ),
        blocks=(verdict, Words(_certainty(result), name="certainty"), *rest, _errors(result)),
    )


def _certainty(result: JacobianFitResult) -> str:
    last = result.curve.error[-1]
    if np.isnan(last).any():
        return "Standard errors of the matrices are not known: they need two prompts."
    least, most = int(last.argmin()), int(last.argmax())
    names = ["the embedding" if name == "embed" else f"layer {name}" for name in result.curve.layers]
    return (
        f"Standard error of the matrices over prompts, as a share of their norm: {decimal(last[least], 3)} "
        f"({names[least]}) to {decimal(last[most], 3)} ({names[most]}). The mean of a matrix can be certain, "
        "and what it is the mean of can still differ from prompt to prompt."
    )


def _errors(result: JacobianFitResult) -> Lines:
    known = ~np.isnan(result.curve.error).any(1)
    x = tuple(np.array(result.curve.prompts, dtype=float)[known].tolist())
    return Lines(
        name="errors",
        series=tuple(
            Series("embed" if layer == "embed" else f"layer {layer}", x, tuple(row.tolist()))
            for layer, row in zip(result.curve.layers, result.curve.error[known].T, strict=True)
        ),
        x_title="prompts",
        y_title="standard error, share of the norm",
        title="How certain the matrices are",
        note="Of the mean over prompts; it falls with their root.",
    )


figure, table, report = presentation(view)
