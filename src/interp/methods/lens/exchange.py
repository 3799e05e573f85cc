"""Exchange what a lens reads: its coordinates of two tokens in a state change places.

The direction of a token at a layer is the gradient of its logit, before the final norm, with respect to the
stream there: row t of ``W_U J_l`` for a Jacobian lens (`interp.token_directions`), of ``W_U (I + A_l)`` for a
tuned one, of W_U for the logit lens. Coordinates of a state along two directions are those of its projection
on the plane that they span (pseudo-inverse), so that the rest of the state stays as it is, whatever the angle
between them. `interp.exchange_edits` makes the same of a Jacobian lens as edits.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from interp.methods.lens.lens import Lens
from interp.models.base import Model


def lens_directions(
    model: Model, lens: Lens, layer: int, tokens: Sequence[int]
) -> Float[Tensor, "token d_model"]:
    """The direction of each token after a layer, as a lens has it. `InputError` of a lens without a map."""
    wanted = model.W_U[:, list(tokens)].detach().float().T  # [token, d_model]
    with torch.enable_grad():
        stream = torch.zeros(len(tokens), wanted.shape[1], device=wanted.device, requires_grad=True)
        moved = lens.translate(stream, layer)  # affine, so that the gradient is the same everywhere
        return torch.autograd.grad((moved * wanted).sum(), stream)[0]


def exchanged(
    states: Float[Tensor, "*any d_model"], directions: Float[Tensor, "2 d_model"]
) -> Float[Tensor, "*any d_model"]:
    """States in which the coordinates along the two directions have changed places."""
    plane = directions.double().T  # [d_model, 2]
    coordinates = states.double() @ torch.linalg.pinv(plane).T  # [*any, 2]
    return (states.double() + (coordinates.flip(-1) - coordinates) @ plane.T).to(states)
