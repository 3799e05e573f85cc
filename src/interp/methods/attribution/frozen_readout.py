"""How a logit is read off the residual stream, with the final norm's scale frozen at that of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import DecompositionError
from interp.models.base import Model
from interp.models.columns import unembed_columns

TOLERANCE = 1e-3  # by how much the affine map may miss a logit, in logits
_CHECKED = 32  # top logits of which the affine map must be right, besides those asked for


@dataclass(frozen=True, eq=False)
class FrozenReadout:
    """How a logit (difference) is read off the residual stream, with the final norm's scale frozen.

    ``value = resid @ direction + constant``. `constant` is what the norm's bias and the unembedding's bias
    give.
    """

    direction: Float[Tensor, " d_model"]  # float64, on the CPU
    constant: float
    value: float


def frozen_readout(
    model: Model,
    resid: Float[Tensor, " d_model"],
    logits: Float[Tensor, " d_vocab"],
    answer: int,
    foil: int | None = None,
) -> FrozenReadout:
    """The direction whose product with the residual stream, and a constant, is a logit (difference)."""
    weights = {answer: 1.0} if foil is None else {answer: 1.0, foil: -1.0}
    return frozen_sum(model, resid, logits, weights)


def frozen_sum(
    model: Model,
    resid: Float[Tensor, " d_model"],
    logits: Float[Tensor, " d_vocab"],
    weights: Mapping[int, float],
    *,
    normalised: float = 0.0,
    centred: float = 0.0,
) -> FrozenReadout:
    """The direction whose product with the residual stream, and a constant, is a weighted sum of logits.

    Without knowing the norm: a norm divides a linear map of its input by a scale and adds a bias, so that

        logits(x) = constant + A x / scale(x),   logits(0) = constant,   d logits / d x at 0 = A / scale(0).

    This holds for LayerNorm (A then centres) and RMSNorm, whatever their weights. So ``A / scale(resid)`` is
    the gradient at zero times ``scale(0) / scale(resid)``, one number for all tokens: that which carries the
    gradient times `resid` over into ``logits(resid) - logits(0)``.

    What logits are normalised by, ``log sum exp = p . logits + entropy(p)``, is linear in them once the
    prediction p is frozen at that of this run, too.

    Args:
        resid: the last residual stream, at the position whose logit is read; its scale is the one frozen.
        logits: those of the model there.
        weights: of the tokens whose logits are summed.
        normalised: how many times the logarithm of what logits are normalised by is taken off: 1 makes a
            logit a log-probability.
        centred: how many times the mean over the vocabulary is taken off.

    Raises `DecompositionError` where the final norm is of no such kind.
    """
    ids = list(weights)
    checked = torch.cat([torch.tensor(ids), logits.topk(min(_CHECKED, len(logits))).indices.cpu()])
    cap = model.arch.logit_soft_cap
    zeros = torch.zeros(len(checked), model.arch.d_model, dtype=model.dtype, requires_grad=True)
    at_zero = unembed_columns(model, zeros, checked.tolist())  # [checked, checked]
    (slopes,) = torch.autograd.grad(at_zero.diagonal().sum(), zeros)  # [checked, d_model]
    slopes, capped = slopes.double().cpu(), at_zero[0].detach().double().cpu()
    if cap is not None:  # the slope of the cap at zero
        slopes = slopes / (1 - (capped / cap).square())[:, None]
    constants, values = (before_cap(x, cap) for x in (capped, logits.double().cpu()[checked]))
    reached, wanted = slopes @ resid.double().cpu(), values - constants
    scale = float((reached @ wanted) / (reached @ reached))
    off = (scale * reached - wanted).abs()
    if not off.max() <= TOLERANCE:  # NaN too
        raise DecompositionError(
            "With the final norm's scale frozen, the last residual stream gives logits that are off by up "
            f"to {off.max():.2g}; load the model with dtype='float32' or 'float64' where it is in half "
            "precision, otherwise its final norm is of a kind that cannot be decomposed."
        )
    signs, n = torch.tensor(list(weights.values()), dtype=torch.float64), len(ids)
    direction, constant, value = signs @ slopes[:n], float(signs @ constants[:n]), float(signs @ values[:n])
    for times, every in ((normalised, _Every.of), (centred, _Every.mean)):
        if times:
            found = every(model, logits)
            direction = direction - times * found.slope
            constant -= times * found.constant
            value -= times * found.value
    return FrozenReadout(direction=scale * direction, constant=constant, value=value)


@dataclass(frozen=True, eq=False)
class _Every:
    """What logits are normalised by, or their mean, as a sum over the vocabulary: with the prediction as
    weights, or with the same for all."""

    slope: Float[Tensor, " d_model"]  # at zero, before a soft cap; float64
    constant: float
    value: float

    @classmethod
    def of(cls, model: Model, logits: Float[Tensor, " d_vocab"]) -> _Every:
        """What logits are normalised by."""
        before = before_cap(logits.double().cpu(), model.arch.logit_soft_cap)
        log_p = before.log_softmax(-1)
        p = log_p.exp()
        found = cls._summed(model, p)
        entropy = -(p * log_p).sum()
        return cls(found.slope, found.constant + float(entropy), float(before.logsumexp(-1)))

    @classmethod
    def mean(cls, model: Model, logits: Float[Tensor, " d_vocab"]) -> _Every:
        """The mean over the vocabulary."""
        before = before_cap(logits.double().cpu(), model.arch.logit_soft_cap)
        found = cls._summed(model, torch.full_like(before, 1 / len(before)))
        return cls(found.slope, found.constant, float(before.mean()))

    @classmethod
    def _summed(cls, model: Model, weights: Float[Tensor, " d_vocab"]) -> _Every:
        """The sum with these weights, for a stream that is 0."""
        cap = model.arch.logit_soft_cap
        nothing = torch.zeros(1, model.arch.d_model, dtype=model.dtype, requires_grad=True)
        read = model.unembed(nothing, differentiable=True)[0]
        at_zero = read.detach()
        zero = before_cap(at_zero.double().cpu(), cap)
        slope_of_cap = 1.0 if cap is None else 1 - (at_zero.double().cpu() / cap).square()
        (slope,) = torch.autograd.grad((read * (weights / slope_of_cap).to(read)).sum(), nothing)
        constant = float(weights @ zero)
        return cls(slope[0].double().cpu(), constant, constant)


def before_cap(logits: Tensor, cap: float | None) -> Tensor:
    """Logits as they were before a final soft cap, where there is one."""
    return logits if cap is None else cap * torch.atanh(logits / cap)
