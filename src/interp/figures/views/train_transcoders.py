"""The presentation of how good the transcoders of a model are, and of their training."""

from __future__ import annotations

import numpy as np

from interp.figures.engine.notation import count, decimal, measured, show_text
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Block, Table, View, Words
from interp.figures.views.training_curves import training_curves
from interp.saes.results import TranscoderQualityResult


def view(result: TranscoderQualityResult) -> View:
    """The metrics of each layer, what the model says through all of them, and the curves of the training."""
    one = result.transcoders[0]
    skip = ", with a linear map beside them" if result.skip else ""
    what, above = ("A cross-layer transcoder: ", " and all above it") if result.cross_layer else ("", "")
    blocks: list[Block] = [Words(_verdict(result), strong=True, name="verdict"), _by_layer(result)]
    if result.losses is not None:
        layers = [f"layer {layer}" for layer in range(len(result.losses))]
        blocks += training_curves(result.losses, result.loss_names, layers)
    return View(
        title="How well do transcoders stand for the MLPs?",
        above=(
            f"{what}{one.n_features} features ({one.activation}){skip} for the MLP of each of "
            f"{count(len(result.transcoders), 'layer')}{above}, trained for {show_text(one.model)}.",
            f"Measured on {show_text(result.text)}: {count(result.n_tokens, 'token')}, without "
            f"{result.excluded}.",
        ),
        blocks=tuple(blocks),
        below=(
            "One replaced: the MLP of this layer alone, the others as they are. All replaced: each transcoder"
            " reads what those below it have made of the residual stream, so that errors add up.",
            "Good numbers say that the transcoders give the same output, not that they compute it in the same"
            " way.",
        ),
    )


def _verdict(result: TranscoderQualityResult) -> str:
    return (
        f"With all MLPs replaced the model predicts the next token at {measured(result.ce_all)} nats, as it "
        f"is at {measured(result.ce_clean)}, with the means of the MLPs in their place at "
        f"{measured(result.ce_all_mean)}: {decimal(100 * result.recovered, 1)} % of what they do for the "
        f"prediction is kept, by {decimal(float(result.l0.mean()), 1)} features at a token and layer."
    )


def _by_layer(result: TranscoderQualityResult) -> Table:
    rows = tuple(
        (
            str(layer),
            decimal(float(result.l0[layer]), 1),
            _explained(float(result.explained_variance[layer])),
            f"{decimal(100 * float(result.dead[layer]), 1)} %",
            measured(float(result.ce_layer[layer])),
            measured(float(result.ce_layer_mean[layer])),
        )
        for layer in range(len(result.transcoders))
    )
    columns = ("layer", "L0", "explained variance", "dead", "nats, one replaced", "nats, its mean instead")
    return Table(columns, rows, title="By layer", name="by_layer")


def _explained(share: float) -> str:
    return "nothing to explain" if np.isnan(share) else decimal(share, 3)


figure, table, report = presentation(view)
