"""Directions of tokens in the stream of a layer, as a lens has them, and states as sums of few of them.

Gurnee et al. 2026, https://transformer-circuits.pub/2026/workspace/index.html

The direction v_t of token t at a layer is the gradient of its logit, before the final norm, with respect to
the stream there: row t of ``W_U J_l`` for a Jacobian lens, of ``W_U (I + A_l)`` for a tuned one, of W_U for
the logit lens. For a Jacobian lens, a step along it raises the logit of t at the target by as much as any
step of its length can, to first order and on average over text. Whether the model uses it is to be tested, by
edits:

- steering, ``Edit.add`` of a direction; ablation, ``Edit.project_out`` of it (`token_directions` gives it);
- exchange of two concepts (`interp.methods.lens.exchange`).

When it misleads: directions of different tokens overlap, so that a step along one moves others too; and a
direction on which the model acts when it is moved need not be one that it uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError
from interp.methods.lens.jacobian_lens import JacobianLens
from interp.methods.lens.lens import Lens
from interp.models.base import Model
from interp.models.modes import outside_inference_mode

_AT_ONCE = 2**24  # numbers of the dictionary that are held together
_CORRELATED = 1e-6  # a cosine with the remainder below which no token is left that explains some of it


def token_directions(
    model: Model, lens: Lens, tokens: Sequence[str | int] | str | int, layer: int
) -> Float[Tensor, "token d_model"]:
    """The directions of some tokens in the stream after `layer` (-1: the embedding), not of length 1.

    In float32 on the model's device. Raises `InputError` for what is not one token, a lens of another model
    or without a map (a patchscope), and a Jacobian lens that has no matrix for this layer.
    """
    lens.check_fits(model)
    given = [tokens] if isinstance(tokens, str | int) else tokens
    ids = [model.to_single_token(token) for token in given]
    if isinstance(lens, JacobianLens):
        _matrix(lens, layer)
    return lens_directions(model, lens, layer, ids)


@outside_inference_mode
def lens_directions(
    model: Model, lens: Lens, layer: int, tokens: Sequence[int]
) -> Float[Tensor, "token d_model"]:
    """`token_directions` of token ids, unchecked; where a lens has no matrix of its own for a layer, those of
    the unembedding, as it reads that layer as it is."""
    wanted = model.W_U[:, list(tokens)].detach().float().T  # [token, d_model]
    with torch.enable_grad():
        stream = torch.zeros_like(wanted).requires_grad_()
        moved = lens.translate(stream, layer)  # affine, so that the gradient is the same everywhere
        return torch.autograd.grad((moved * wanted).sum(), stream)[0]


@dataclass(frozen=True, eq=False, kw_only=True)
class TokenDecomposition:
    """A state as a sum of few tokens' directions with coordinates above 0, and what is left over."""

    tokens: tuple[str, ...]  # in the order in which they were found; the last may have lost their share again
    ids: tuple[int, ...]
    coordinates: Float[Tensor, " token"]  # of the directions as they are; not below 0
    explained: Float[Tensor, " token"]  # of the state's squared length, with tokens up to this one
    remainder: Float[Tensor, " d_model"]


def decompose_state(
    model: Model, lens: JacobianLens, state: Float[Tensor, " d_model"], layer: int, *, k: int = 10
) -> TokenDecomposition:
    """A state of the stream after `layer` as up to `k` directions of tokens, by non-negative pursuit.

    Step by step the token is taken whose direction has the largest cosine with what is left over; then all
    coordinates so far are found anew, as the best ones that are not below 0 (non-negative orthogonal matching
    pursuit). It ends early where no direction points towards what is left.

    When it misleads: of two tokens with nearly the same direction the first takes all, and any state of d
    dimensions is explained well by d directions: compare with what a random state leaves over.
    """
    lens.check_fits(model)
    if not 1 <= k <= model.arch.d_model or state.shape != (model.arch.d_model,):
        raise InputError(
            f"A state has {model.arch.d_model} dimensions and is decomposed into 1 to as many tokens; got "
            f"one of shape {list(state.shape)}, and k={k}."
        )
    if not torch.isfinite(state).all() or not state.any():
        raise InputError("A state that is zero, or holds no numbers, has no decomposition.")
    matrix = _matrix(lens, layer).to(model.device)
    state = state.to(model.device).float()
    lengths = _lengths(model, matrix)
    chosen: list[int] = []
    explained: list[float] = []
    coordinates = state.new_zeros(0)
    left = state
    for _ in range(k):
        # v_t . left = w_t . (J left): the dictionary itself is not needed
        towards = (matrix @ left) @ model.W_U.float() / lengths
        towards[chosen] = -torch.inf
        best = int(towards.argmax())
        if not float(towards[best]) > _CORRELATED * float(state.norm()):
            break
        chosen.append(best)
        atoms = model.W_U[:, chosen].float().T @ matrix  # [token, d_model]
        coordinates = _non_negative(atoms, state)
        left = state - coordinates @ atoms
        explained.append(1 - float(left.square().sum() / state.square().sum()))
    return TokenDecomposition(
        tokens=tuple(model.labels(chosen)),
        ids=tuple(chosen),
        coordinates=coordinates.cpu(),
        explained=torch.tensor(explained),
        remainder=left.cpu(),
    )


def _matrix(lens: JacobianLens, layer: int) -> Float[Tensor, "d_model d_model"]:
    if layer not in lens.source_layers:
        raise InputError(
            f"This lens has no matrix for layer {layer}; it has {', '.join(map(str, lens.source_layers))}."
        )
    return lens.jacobian[lens.source_layers.index(layer)]


def _lengths(model: Model, matrix: Float[Tensor, "d_model d_model"]) -> Float[Tensor, " d_vocab"]:
    """The length of each token's direction; infinite where it is zero, so that it is never chosen."""
    step = max(1, _AT_ONCE // len(matrix))
    parts = [(some.float().T @ matrix).norm(dim=-1) for some in model.W_U.split(step, dim=1)]
    lengths = torch.cat(parts)
    return torch.where(lengths > 0, lengths, torch.inf)


def _non_negative(atoms: Float[Tensor, "token d_model"], state: Tensor) -> Float[Tensor, " token"]:
    """The coordinates, none below 0, of the sum of atoms that is nearest to the state (Lawson and Hanson
    1974), in float64."""
    a, b = atoms.double().T, state.double()
    tolerance = 1e-10 * float(a.abs().max() * b.norm())
    x = b.new_zeros(a.shape[1])
    active = torch.zeros(a.shape[1], dtype=torch.bool, device=b.device)
    for _ in range(3 * a.shape[1]):
        gradient = a.T @ (b - a @ x)
        gradient[active] = -torch.inf
        if active.all() or float(gradient.max()) <= tolerance:
            break
        active[gradient.argmax()] = True
        while True:
            trial = torch.zeros_like(x)
            trial[active] = torch.linalg.lstsq(a[:, active], b[:, None]).solution[:, 0]
            below = active & (trial <= 0)
            if not below.any():
                break
            step = (x[below] / (x[below] - trial[below])).min()
            x = x + step * (trial - x)
            active &= x > 1e-14 * x.max()
            x[~active] = 0
        x = trial
    return x.float()
