"""Training a cross-layer transcoder: encoders of all layers, and decoders to all MLPs above, by one loss.

As `interp.saes.training` trains transcoders, but for what follows from features that write to several layers:

- The loss is the sum over layers of the error as a share of the variance of what the MLP writes, where all
  features of the layers up to it write to it. So gradients go from every MLP to every encoder below it.
- A direction of a feature is what it writes to its own MLP and to those above, one behind the other; together
  they have length 1, in units of the usual size of each MLP's output.
- Features begin as those of transcoders of one layer each do, and write nothing above.
- Features that were silent for long reconstruct the errors of all layers to which they write.

After Ameisen et al. 2025, https://transformer-circuits.pub/2025/attribution-graphs/methods.html, who use
JumpReLU with a penalty of their own; here sparsity is that of the recipe's kind, layer by layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError
from interp.saes.activations import KINDS
from interp.saes.recipe import Recipe
from interp.saes.trainer import Trainer, Weights, descend
from interp.saes.training import Pair, SeveralBatches, Training, advance, first_batches


def train_cross_layer(
    batches: SeveralBatches, recipe: Recipe, *, skip: bool = False, question: dict[str, Any] | None = None
) -> tuple[
    list[Weights], tuple[Float[Tensor, "feature above d_out"], ...], Float[np.ndarray, "layer step part"]
]:
    """Train a cross-layer transcoder on what the MLPs read and write, layer by layer; the arguments are those
    of `interp.saes.training.train_side_by_side`.

    Returns the weights of each layer, what its features write above (`CrossLayerTranscoder.above`), and the
    parts of the loss of each layer and step. Raises `InputError` for a kind that is for autoencoders alone.
    """
    if recipe.kind not in KINDS:
        raise InputError(
            f"There is no cross-layer transcoder of the kind {recipe.kind!r}; choose one of "
            f"{', '.join(KINDS)}."
        )
    firsts = first_batches(batches, recipe)
    trainings = [
        Training.begun(recipe, own, skip=skip, above=len(firsts) - 1 - layer)
        for layer, own in enumerate(firsts)
    ]

    def together(step: int, pairs: Sequence[Pair]) -> list[list[float]]:
        return _step([one.trainer for one in trainings], step, pairs)

    losses = advance(trainings, together, batches, recipe, question)
    scales = [one.scale_out for one in trainings]
    found, above = [], []
    for layer, training in enumerate(trainings):
        weights = training.weights()
        W_dec = weights.W_dec.unflatten(1, (len(scales) - layer, -1))  # [feature, layer, d_out]
        W_dec = W_dec * (torch.tensor(scales[layer:]) / scales[layer])[:, None]
        found.append(replace(weights, W_dec=W_dec[:, 0].contiguous()))
        above.append(W_dec[:, 1:].contiguous())
    return found, tuple(above[:-1]), losses


def _step(trainers: Sequence[Trainer], step: int, pairs: Sequence[Pair]) -> list[list[float]]:
    """One step of all layers; the parts of the loss of each, as `LOSSES` names them."""
    coded = [one.encoded(x) for one, (x, _) in zip(trainers, pairs, strict=True)]
    errors = [one.wanted(x, y) for one, (x, y) in zip(trainers, pairs, strict=True)]
    for layer, (one, own) in enumerate(zip(trainers, coded, strict=True)):
        written = own.features.decoded(one.parameters["W_dec"]).chunk(len(errors) - layer, 1)
        for target, part in enumerate(written, start=layer):
            errors[target] = errors[target] - part  # [batch, d_out]
    losses, parts = [], []
    for layer, (one, own) in enumerate(zip(trainers, coded, strict=True)):
        unexplained = errors[layer].square().sum(-1).mean() / one.variance
        reached = torch.cat([error.detach() for error in errors[layer:]], 1)
        loss, of_layer = one.loss(step, own, unexplained, reached)
        losses.append(loss)
        parts.append(of_layer)
    descend(trainers, step, torch.stack(losses).sum())
    return [[part.item() for part in of_layer] for of_layer in parts]
