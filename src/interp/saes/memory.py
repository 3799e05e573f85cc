"""What training dictionaries needs to hold at once, beside the model."""

from __future__ import annotations

import torch

from interp.errors import InputError
from interp.models.devices import free_bytes
from interp.progress import tell
from interp.saes.recipe import Recipe
from interp.saes.stream import ActivationStreams

_COPIES = (
    6  # of the weights: themselves, gradients, two moments, and the state that is kept on the way, twice
)
_AT_ONCE = 5  # numbers of each token and feature in a step, with their gradients


def training_bytes(streams: ActivationStreams, recipe: Recipe, *, weights: int | None = None) -> int:
    """Bytes that a training takes beside the model: the buffer, the weights of all dictionaries with what
    goes with them, and a step of one. An estimate on the safe side. `weights` is their number; by default
    that of an autoencoder for each stream."""
    if weights is None:
        weights = sum(2 * width + 2 for width in streams.widths) * recipe.n_features
    step = streams.batch_size * (_AT_ONCE * recipe.n_features + 8 * max(streams.widths))
    return streams.bytes + 4 * (_COPIES * weights + step)


def check_memory(streams: ActivationStreams, recipe: Recipe, *, weights: int | None = None) -> None:
    """Say how much memory a training takes, and raise `InputError` where less is free; `weights` as of
    `training_bytes`."""
    needed, free = training_bytes(streams, recipe, weights=weights), free_bytes(torch.device("cpu"))
    if needed > free:
        raise InputError(
            f"This training takes about {needed / 1e9:.1f} GB beside the model, and {free / 1e9:.1f} GB are "
            "free; buffer fewer sequences, or give fewer features or layers."
        )
    tell(f"The training takes about {needed / 1e9:.1f} GB of memory beside the model.")
