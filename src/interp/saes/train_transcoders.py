"""Training transcoders of all MLPs of a model at once, from one stream of activations.

Each run of the model gives, for every layer, what its MLP reads and writes; each transcoder has its own
trainer and takes a step on them, or all take one together (a cross-layer transcoder). `interp.saes.training`
and `interp.saes.cross_layer_training` say what a step is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from interp.models.base import Model
from interp.models.modes import outside_inference_mode
from interp.saes.cross_layer import CrossLayerTranscoder
from interp.saes.cross_layer_training import train_cross_layer
from interp.saes.dictionary import model_facts
from interp.saes.memory import check_memory
from interp.saes.recipe import Recipe
from interp.saes.stream import ActivationStreams
from interp.saes.trainer import Weights
from interp.saes.training import Pair, train_side_by_side
from interp.saes.transcoder import SOURCE, TARGET, InputNorm, Transcoder, Transcoders, mlp_norm
from interp.sites import Address


def check_trainable(model: Model) -> list[InputNorm]:
    """The norm before the MLP of each layer. Raises `InputError` or `SiteError` where a model's MLPs can have
    no transcoders."""
    for site in (SOURCE, TARGET):
        model.check_site(site)
    return [mlp_norm(model, layer).norm for layer in range(model.arch.n_layers)]


def _n_weights(model: Model, recipe: Recipe, skip: bool, cross_layer: bool) -> int:
    """How many weights are trained."""
    n_layers, width = model.arch.n_layers, model.arch.d_model
    above = n_layers * (n_layers - 1) // 2 if cross_layer else 0  # pairs of a layer and one above it
    features = recipe.n_features * (n_layers * (2 * width + 2) + above * width)
    return features + n_layers * width * (width if skip else 1)


@outside_inference_mode
def train_transcoders(
    model: Model,
    text: Sequence[Sequence[int]],
    recipe: Recipe,
    *,
    skip: bool = False,
    cross_layer: bool = False,
    batch_size: int = 1024,
    buffered: int = 256,
) -> tuple[Transcoders, Float[np.ndarray, "layer step part"]]:
    """Train a transcoder for the MLP of every layer on `text`, sequences of token ids of one length.

    Deterministic by `recipe.seed` and everything else that is given. `skip` gives each a linear map beside
    its features; with `cross_layer`, the features of each write to the MLPs above, too, and the whole is a
    `CrossLayerTranscoder`. `batch_size` is in tokens; `buffered` is the number of sequences over which they
    are shuffled: the activations of two sites in each layer are held for them, twice.

    Returns:
        the transcoders, and of each layer and step the parts of the loss that `LOSSES` names.

    Raises:
        InputError: text or sizes that cannot be used, more than memory has room for, a norm that is none, a
            backend that does not show it.
        SiteError: the model does not have both sites. NonFiniteError: the training ran away.
    """
    norms = check_trainable(model)
    layers = range(len(norms))
    addresses = [Address(site, layer) for site in (SOURCE, TARGET) for layer in layers]
    streams = ActivationStreams(
        model, addresses, text, batch_size=batch_size, buffered=buffered, seed=recipe.seed
    )
    check_memory(streams, recipe, weights=_n_weights(model, recipe, skip, cross_layer))

    def batches(step: int) -> list[Pair]:
        """What each MLP reads, behind its norm, and what it writes."""
        found = streams(step)
        read, written = found[: len(layers)], found[len(layers) :]
        return [(norm(x), y) for norm, x, y in zip(norms, read, written, strict=True)]

    facts: Any = model_facts(model)
    question = {
        "model": model.identity.to_dict(),
        **facts,
        "transcoders": {"skip": skip, "cross_layer": cross_layer},
        "text": hashlib.sha256(np.asarray(text).tobytes()).hexdigest(),
        "batch_size": batch_size,
        "buffered": buffered,
    }

    def of_layers(trained: Sequence[Weights]) -> tuple[Transcoder, ...]:
        return tuple(
            Transcoder(**vars(weights), norm=norms[layer], layer=layer, **facts)
            for layer, weights in enumerate(trained)
        )

    if cross_layer:
        joint, above, losses = train_cross_layer(batches, recipe, skip=skip, question=question)
        return CrossLayerTranscoder(of_layers(joint), above), losses
    alone = train_side_by_side(batches, recipe, skip=skip, question=question)
    return Transcoders(of_layers([weights for weights, _ in alone])), np.stack([own for _, own in alone])
