"""How a logit is read off the residual stream, with the final norm's scale frozen at that of a run."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import DecompositionError
from interp.models.base import Model

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
    """The direction whose product with the residual stream, and a constant, is a logit (difference).

    Without knowing the norm: a norm divides a linear map of its input by a scale and adds a bias, so that

        logits(x) = constant + A x / scale(x),   logits(0) = constant,   d logits / d x at 0 = A / scale(0).

    This holds for LayerNorm (A then centres) and RMSNorm, whatever their weights. So ``A / scale(resid)`` is
    the gradient at zero times ``scale(0) / scale(resid)``, one number for all tokens: that which carries the
    gradient times `resid` over into ``logits(resid) - logits(0)``.

    Args:
        resid: the last residual stream, at the position whose logit is read; its scale is the one frozen.
        logits: those of the model there.

    Raises `DecompositionError` where the final norm is of no such kind.
    """
    ids = [answer] if foil is None else [answer, foil]
    checked = torch.cat([torch.tensor(ids), logits.topk(min(_CHECKED, len(logits))).indices.cpu()])
    zeros = torch.zeros(len(checked), model.arch.d_model, dtype=model.dtype, requires_grad=True)
    at_zero = model.unembed(zeros, differentiable=True)  # [checked, d_vocab]
    own = at_zero.gather(1, checked[:, None].to(at_zero.device)).sum()
    (slopes,) = torch.autograd.grad(own, zeros)  # [checked, d_model]
    cap = model.arch.logit_soft_cap
    capped = at_zero[0].detach().double().cpu()[checked]
    slopes = slopes.double().cpu()
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
    signs = torch.tensor([1.0] if foil is None else [1.0, -1.0], dtype=torch.float64)
    n = len(ids)
    return FrozenReadout(
        direction=scale * (signs @ slopes[:n]),
        constant=float(signs @ constants[:n]),
        value=float(signs @ values[:n]),
    )


def before_cap(logits: Tensor, cap: float | None) -> Tensor:
    """Logits as they were before a final soft cap, where there is one."""
    return logits if cap is None else cap * torch.atanh(logits / cap)
