"""A control for lenses: one that reads the right numbers from the wrong coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.methods.lens.lens import EMBEDDING, Lens
from interp.models.base import Model


@dataclass(frozen=True, eq=False, kw_only=True)
class ShuffledLens(Lens):
    """A lens that is given each stream with its coordinates in another order, one for each layer drawn by
    `seed`: its matrices have the same entries and norm, and what it says is about nothing. The last layer is
    left as it is."""

    name = "shuffled"
    lens: Lens
    n_layers: int
    seed: int = 0

    @property
    def description(self) -> str:
        return f"as a control, {self.lens.description}, given each stream with its coordinates shuffled"

    def translate(self, resid: Float[Tensor, "*any d_model"], layer: int) -> Float[Tensor, "*any d_model"]:
        if layer == self.n_layers - 1:
            return resid
        generator = torch.Generator().manual_seed(1000 * self.seed + layer - EMBEDDING)
        order = torch.randperm(resid.shape[-1], generator=generator)
        return self.lens.translate(resid[..., order.to(resid.device)], layer)

    def check_fits(self, model: Model) -> None:
        self.lens.check_fits(model)
