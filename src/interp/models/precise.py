"""Reading residual streams in float32, in a model that computes below it."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from interp.models.base import Model

HALF = (torch.float16, torch.bfloat16)


@runtime_checkable
class _ReadsInFloat32(Protocol):
    """A backend that can call its final norm and its unembedding in float32."""

    def unembed_in_float32(self, resid: Tensor) -> Tensor: ...


def precise_unembed(model: Model, resid: Float[Tensor, "*any d_model"]) -> Float[Tensor, "*any d_vocab"]:
    """`Model.unembed`, in which a model below float32 normalises and unembeds in float32: its own logits are
    rounded to a few bits, so that several tokens share the highest one. A backend that has no way to (a
    remote one) does it in the model's precision."""
    if model.dtype not in HALF:
        return model.unembed(resid)
    if not isinstance(model, _ReadsInFloat32):
        return model.unembed(resid).float()
    with torch.no_grad():
        return model.unembed_in_float32(resid.to(model.device))
