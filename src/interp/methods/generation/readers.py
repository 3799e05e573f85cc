"""What is read at each token of a text while it is generated: anything that maps an activation to values.

    interp.generate(model, prompt, read=[lens_reader(model, 3, [" Paris"]), feature_reader(model, sae, [12])])

A `Reader` of one's own needs an address and a function from activations [..., width] to values [..., value].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError
from interp.methods.common.direction import Direction
from interp.methods.lens.sources import AnyLens, load_lens
from interp.models.base import Model
from interp.saes.dictionary import SAE, activations_for
from interp.saes.edits import features_of
from interp.saes.reading import check_features
from interp.sites import Address


@dataclass(frozen=True, eq=False, kw_only=True)
class Reader:
    """Values of the activation at an address (a site and its layer, all positions).

    `columns` name the values, `unit` says what they are. The function gets the activations of some tokens,
    [token, width] or with heads [token, head, width].
    """

    what: str
    address: Address
    unit: str
    columns: tuple[str, ...]
    read: Callable[[Tensor], Tensor]

    def __call__(self, activations: Tensor) -> Float[Tensor, "token value"]:
        """The values, float64 on the CPU. `InputError` where they are not as many as the columns."""
        values = torch.as_tensor(self.read(activations)).double().cpu()
        if tuple(values.shape) != (len(activations), len(self.columns)):
            raise InputError(
                f"The reader of {self.what} gives values {list(values.shape)} for {len(activations)} tokens "
                f"and {len(self.columns)} columns; it must give [token, column]."
            )
        return values


def lens_reader(
    model: Model, layer: int, tokens: Sequence[str | int], *, lens: AnyLens | None = None
) -> Reader:
    """The probability of some tokens as the next one, by a lens (`interp.load_lens`; default: the logit lens)
    after a layer.

    Raises `InputError` where a token is none or the lens is for another model, `SiteError` for no such layer.
    """
    lens = load_lens("logit" if lens is None else lens, model)
    ids = [model.to_single_token(token) for token in tokens]
    if not ids:
        raise InputError("A lens reads the probability of tokens; name one at least.")

    def read(activations: Tensor) -> Tensor:
        logits = lens.logits(model, activations, layer)  # [token, d_vocab]
        return logits.double().softmax(-1)[:, ids]

    return Reader(
        what=f"the {lens.name} lens after layer {layer}",
        address=Address("resid_post", layer),
        unit="probability",
        columns=tuple(model.labels(ids)),
        read=read,
    )


def feature_reader(model: Model, sae: SAE, features: Sequence[int]) -> Reader:
    """The activations of some features of a sparse autoencoder.

    Raises `InputError` where the SAE is for another model, or a feature is not there.
    """
    sae.check_fits(model)
    check_features(sae.n_features, features)
    chosen = list(features)
    return Reader(
        what=f"features of an SAE of {sae.model}",
        address=sae.address,
        unit="activation",
        columns=tuple(map(str, chosen)),
        read=lambda activations: features_of(sae, activations_for(sae, activations[None])[0], chosen),
    )


def direction_reader(model: Model, direction: Direction) -> Reader:
    """The coordinate along a direction: 0 at the mean of its first label, 1 at that of its second.

    Raises `InputError` where the direction was made for another model, or does not tell its labels apart.
    """
    direction.check_fits(model)
    low, high = direction.ends
    if low == high:
        raise InputError("The means of this direction's labels coincide, so that it has no scale to read on.")

    def read(activations: Tensor) -> Tensor:
        along = activations.flatten(1).double().cpu() @ direction.vector.double()
        return ((along - low) / (high - low))[:, None]

    return Reader(
        what=direction.description,
        address=Address(direction.address.site, direction.address.layer),
        unit=f"from {direction.labels[0]} (0) to {direction.labels[1]} (1)",
        columns=(direction.labels[1],),
        read=read,
    )
