"""The presentation of how well a plain and a tuned lens do on text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from interp.figures.engine.notation import decimal, measured, show_text
from interp.figures.engine.presented import presented
from interp.figures.engine.view import Block, Lines, Series, Table, View, Words

if TYPE_CHECKING:
    from interp.methods.lens.train_tuned_lens import LensQualityResult

_LENSES = ("plain", "tuned")
_POINTS = 20  # of the training curve


def view(result: LensQualityResult) -> View:
    """KL, lens bias and perplexity at each layer, and the losses of the training where there was one."""
    blocks: list[Block] = [
        Words(_verdict(result), strong=True, name="verdict"),
        _lines(
            result,
            "divergence",
            result.kl,
            "KL(final || lens), nats",
            "How far each layer is from the model's prediction",
        ),
        _lines(
            result,
            "bias",
            result.bias,
            "lens bias, bits",
            "Lens bias",
            note="KL of the model's mean prediction from that of the lens: what it gets wrong whatever the "
            "context. A lens without bias is not yet a good one.",
        ),
        _perplexities(result),
    ]
    if result.losses is not None:
        blocks.append(_losses(result, result.losses))
    return View(
        title="How well does each layer say what the model will say?",
        above=(
            f"Measured on {show_text(result.text)}: {result.n_tokens} tokens.",
            f"The lens was trained for {show_text(result.lens_model)}; the last layer needs none.",
        ),
        blocks=tuple(blocks),
    )


def _verdict(result: LensQualityResult) -> str:
    plain, tuned = result.kl[:, :-1].mean(1)
    bias_plain, bias_tuned = result.bias[:, :-1].mean(1)
    better = int((result.kl[1, :-1] < result.kl[0, :-1]).sum())
    return (
        f"The tuned lens is closer to the model at {better} of {result.kl.shape[1] - 1} layers: mean KL "
        f"{decimal(float(tuned))} nats, the plain lens {decimal(float(plain))}; lens bias "
        f"{decimal(float(bias_tuned))} bits, the plain lens {decimal(float(bias_plain))}."
    )


def _lines(
    result: LensQualityResult, name: str, values: np.ndarray, y_title: str, title: str, *, note: str = ""
) -> Lines:
    x = tuple(float(i) for i in range(len(result.layers)))
    return Lines(
        name=name,
        series=tuple(
            Series(f"{lens} lens", x, tuple(row.tolist())) for lens, row in zip(_LENSES, values, strict=True)
        ),
        x_title="after layer",
        y_title=y_title,
        title=title,
        ticks=tuple(zip(x, result.layers, strict=True)),
        note=note,
    )


def _perplexities(result: LensQualityResult) -> Table:
    rows = tuple(
        (layer, *(measured(float(v)) for v in result.perplexity[:, i]))
        for i, layer in enumerate(result.layers)
    )
    columns = ("after layer", *(f"{lens} lens" for lens in _LENSES))
    return Table(columns, rows, title="Perplexity of the next token", name="perplexity")


def _losses(result: LensQualityResult, losses: np.ndarray) -> Lines:
    """The losses of the training, as means over equal stretches of steps."""
    chunks = np.array_split(np.arange(len(losses)), min(_POINTS, len(losses)))
    x = tuple(float(chunk[-1] + 1) for chunk in chunks)
    means = np.stack([losses[chunk].mean(0) for chunk in chunks])  # [point, layer]
    return Lines(
        name="training",
        series=tuple(
            Series("embed" if layer == "embed" else f"layer {layer}", x, tuple(row.tolist()))
            for layer, row in zip(result.layers[:-1], means.T, strict=True)
        ),
        x_title="step",
        y_title="KL in training, nats",
        title="Training",
        note="Each point is the mean over the steps since the one before.",
    )


figure, table, report = presented(view)
