"""The presentation of how well a lens does on text, beside the logit lens."""

from __future__ import annotations

import numpy as np

from interp.figures.engine.notation import decimal, measured, show_text
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Block, Lines, Series, Table, View, Words
from interp.figures.views.by_layer import lines_by_layer
from interp.methods.lens.results import LensQualityResult

_POINTS = 20  # of the training curve


def view(result: LensQualityResult) -> View:
    """KL, lens bias and perplexity at each layer, and the losses of the training where there was one."""
    blocks: list[Block] = [
        Words(_verdict(result), strong=True, name="verdict"),
        lines_by_layer(
            result.layers,
            _by_lens(result, result.kl),
            name="divergence",
            title="How far each layer is from the model's prediction",
            y_title="KL(final || lens), nats",
        ),
        lines_by_layer(
            result.layers,
            _by_lens(result, result.bias),
            name="bias",
            title="Lens bias",
            y_title="lens bias, bits",
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
            f"The {result.lenses[1]} lens: {show_text(result.lens_description)}.",
        ),
        blocks=tuple(blocks),
    )


def _verdict(result: LensQualityResult) -> str:
    kl_logit, kl = result.kl[:, :-1].mean(1).tolist()
    bias_logit, bias = result.bias[:, :-1].mean(1).tolist()
    better = int((result.kl[1, :-1] < result.kl[0, :-1]).sum())
    return (
        f"The {result.lenses[1]} lens is closer to the model at {better} of {result.kl.shape[1] - 1} layers: "
        f"mean KL {decimal(kl)} nats, the logit lens {decimal(kl_logit)}; lens bias {decimal(bias)} bits, "
        f"the logit lens {decimal(bias_logit)}."
    )


def _by_lens(result: LensQualityResult, values: np.ndarray) -> dict[str, np.ndarray]:
    """The rows of [lens, layer], each with the name of its lens."""
    return {f"{lens} lens": row for lens, row in zip(result.lenses, values, strict=True)}


def _perplexities(result: LensQualityResult) -> Table:
    rows = tuple(
        (layer, *(measured(float(v)) for v in result.perplexity[:, i]))
        for i, layer in enumerate(result.layers)
    )
    columns = ("after layer", *(f"{lens} lens" for lens in result.lenses))
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


figure, table, report = presentation(view)
