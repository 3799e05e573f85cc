"""Exchange what a lens reads: its coordinates of two tokens in a state change places.

Gurnee et al. 2026, https://transformer-circuits.pub/2026/workspace/index.html

With the directions ``V = [v_a v_b]`` of two tokens at a layer (`interp.methods.lens.token_directions`) and
coordinates ``c = pinv(V) h`` of a state there, both coordinates change places, and what is orthogonal to V
stays as it is, whatever the angle between the two.

In a band of layers, each takes the exchanged coordinates of the *clean* run. Exchanging those that it finds
(`live_exchange_edits`) undoes at every second layer what the one before did, so that the effect goes by
whether the band is of an odd width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from interp.edits import Edit
from interp.errors import InputError
from interp.methods.lens.lens import EMBEDDING, Lens
from interp.methods.lens.token_directions import token_directions
from interp.models.base import Model
from interp.sites import Address, Indices
from interp.tokens import Prompt, Tokens

_PARALLEL = 1e-3  # of two directions, how small the sine of their angle may be


def exchange_edits(
    model: Model,
    lens: Lens,
    prompt: Prompt,
    first: str | int,
    second: str | int,
    *,
    layers: Sequence[int],
    positions: Indices = None,
    strength: float = 1.0,
) -> list[Edit]:
    """Edits that exchange the coordinates of two tokens in the streams of some layers of this prompt's run.

    Each layer is set to the exchanged coordinates of the clean run, whatever the layers below it brought
    about; what is orthogonal to both directions stays as it is. They are ordinary edits, for `Model.forward`,
    `Model.sweep` and wherever else edits go, on this prompt alone. `strength` 1 exchanges, 2 goes as far
    again, 0 holds the coordinates at those of the clean run.

    Raises `InputError` for tokens that are the same or whose directions are parallel, no layer, a layer
    without a matrix, a lens without directions.
    """
    band = _band(layers)
    pairs = [_pair(model, lens, first, second, layer) for layer in band]
    tokens, chosen = _chosen(model, prompt, positions)
    clean = model.run_with_cache(tokens, [stream_address(layer) for layer in band], logits=False)
    edits: list[Edit] = []
    for layer, pair in zip(band, pairs, strict=True):
        states = clean[stream_address(layer)][0, chosen].float()  # [pos, d_model]
        edits += held_edits(exchanged(states, pair, strength), pair, layer, positions)
    return edits


def live_exchange_edits(
    model: Model,
    prompt: Prompt,
    pairs: Sequence[Float[Tensor, "2 d_model"]],
    *,
    layers: Sequence[int],
    positions: Indices = None,
) -> list[list[Edit]]:
    """For each of some layers, from below: edits that exchange the coordinates that this layer finds, once
    those of the layers before have been carried out. `pairs` are both directions at each layer.

    It is what a hook at each layer would do, to be compared with: every second layer of a band undoes what
    the one before did, as far as the model left it there. One run for each layer.
    """
    tokens, chosen = _chosen(model, prompt, positions)
    edits: list[list[Edit]] = []
    for layer, pair in zip(layers, pairs, strict=True):
        so_far = [edit for of_layer in edits for edit in of_layer]
        run = model.run_with_cache(tokens, [stream_address(layer)], so_far, logits=False)
        states = run[stream_address(layer)][0, chosen].float()
        edits.append(held_edits(exchanged(states, pair), pair, layer, positions))
    return edits


def exchanged(
    states: Float[Tensor, "*any d_model"], directions: Float[Tensor, "2 d_model"], strength: float = 1.0
) -> Float[Tensor, "*any d_model"]:
    """States in which the coordinates along the two directions have changed places."""
    plane = directions.double().T  # [d_model, 2]
    coordinates = states.double() @ torch.linalg.pinv(plane).T  # [*any, 2]
    return (states.double() + strength * (coordinates.flip(-1) - coordinates) @ plane.T).to(states)


def held_edits(
    states: Float[Tensor, "pos d_model"],
    span: Float[Tensor, "some d_model"],
    layer: int,
    positions: Indices,
) -> list[Edit]:
    """Edits that hold a stream where `states` are, within the span of some directions that do not depend on
    each other; whatever is orthogonal to them stays as it is found."""
    basis = torch.linalg.qr(span.double().T).Q.T  # [some, d_model], orthonormal
    at = stream_address(layer, positions)
    edits = [Edit("project_out", at, direction.to(states)) for direction in basis]
    return [*edits, Edit("add", at, ((states.double() @ basis.T) @ basis)[None].to(states))]


def stream_address(layer: int, positions: Indices = None) -> Address:
    """Where the stream after a layer is read and changed."""
    return (
        Address("resid_pre", 0, positions) if layer == EMBEDDING else Address("resid_post", layer, positions)
    )


def _band(layers: Sequence[int]) -> list[int]:
    if not layers:
        raise InputError("There is no layer to exchange in; name one or more.")
    return sorted(set(layers))


def _chosen(model: Model, prompt: Prompt, positions: Indices) -> tuple[Tokens, list[int]]:
    """The prompt as tokens, and the numbers of its positions that are meant."""
    tokens = model.to_tokens(prompt).repeat(1)
    n = tokens.lengths[0]
    named = stream_address(0, positions).positions
    return tokens, list(range(n)) if named is None else [p % n for p in named]


def _pair(
    model: Model, lens: Lens, first: str | int, second: str | int, layer: int
) -> Float[Tensor, "two d_model"]:
    pair = token_directions(model, lens, [first, second], layer)
    cosine = float(torch.cosine_similarity(pair[0].double(), pair[1].double(), dim=0))
    if not 1 - cosine**2 > _PARALLEL**2:
        raise InputError(
            f"The directions of {first!r} and {second!r} at layer {layer} are parallel or zero, so there is "
            "nothing to exchange; give two tokens that differ."
        )
    return pair
