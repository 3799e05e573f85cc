"""The logits of some tokens alone, where a backend can read them without the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from interp.models.base import Model


@runtime_checkable
class _ReadsColumns(Protocol):
    """A backend whose unembedding can be asked for some columns."""

    @property
    def reads_columns(self) -> bool: ...
    def _unembed(self, resid: Tensor, columns: Sequence[int] | None = None) -> Tensor: ...


def unembed_columns(
    model: Model, resid: Float[Tensor, "*any d_model"], columns: Sequence[int]
) -> Float[Tensor, "*any column"]:
    """`Model.unembed` for some tokens; gradients with respect to `resid` can be taken."""
    if not isinstance(model, _ReadsColumns):
        return model.unembed(resid, differentiable=True)[..., list(columns)]
    with model._lock, torch.enable_grad():
        return model._unembed(resid.to(model.device, model.dtype), columns)
