"""The patched cell: an activation of the donor run at one place, put into the base run.

A cell is a layer of a site and a column of it: a position; a head or a neuron, at all positions; or all of
the layer. What a cell leaves out stays as it is in the base run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from interp.edits import Edit
from interp.errors import InputError, check_choice
from interp.models.base import Cache, Model
from interp.sites import SITES, find_site

By = Literal["position", "head", "neuron", "layer"]
BY: tuple[str, ...] = ("position", "head", "neuron", "layer")


@dataclass(frozen=True)
class Cells:
    """How the activations of a site, in every layer, are divided into cells."""

    site: str
    by: By

    def __post_init__(self) -> None:
        check_choice("grouping", self.by, BY)

    def check(self, model: Model) -> None:
        """`InputError` for a site that cannot be divided so, `SiteError` for one the model does not have."""
        model.check_site(self.site)
        if not find_site(self.site).per_layer:
            raise InputError(f"Site {self.site!r} belongs to no layer; sweep 'resid_pre' instead.")
        if self.by == "head" and not SITES[self.site].per_head:
            heads = ", ".join(name for name, s in SITES.items() if s.per_head)
            raise InputError(f"Site {self.site!r} has no heads; by='head' takes one of {heads}.")
        if self.by == "neuron" and SITES[self.site].per_head:
            raise InputError(f"by='neuron' takes a site without heads, such as 'mlp_act', not {self.site!r}.")

    @property
    def axis(self) -> int | None:
        """Which axis of an activation, the batch counted, the columns stand on; None where a layer is one
        cell."""
        axes = SITES[self.site].axes
        if self.by == "layer":
            return None
        if self.by == "neuron":
            return len(axes) - 1
        if self.by == "position":
            return axes.index("query" if self.site == "pattern" else "pos")
        return next(i for i, axis in enumerate(axes) if axis in ("head", "kv_head"))

    def patch(
        self,
        layer: int,
        column: int,
        donor: Float[Tensor, "run ..."],
        *,
        base: Float[Tensor, "run ..."] | None = None,
    ) -> Edit:
        """The edit that gives one cell the donor's activation. Both runs' activations are those of the whole
        layer; the base's is needed for neurons alone."""
        if self.axis is None:
            return Edit.set(self.site, layer, value=donor)
        if self.by == "neuron":
            assert base is not None
            value = base.clone()
            value[..., column] = donor[..., column]
            return Edit.set(self.site, layer, value=value)
        value = donor.narrow(self.axis, column, 1)
        if self.by == "head":
            return Edit.set(self.site, layer, value=value, heads=column)
        return Edit.set(self.site, layer, value=value, positions=column)

    def patches(self, donor: Cache, base: Cache | None = None, *, n_pos: int) -> list[Edit]:
        """The edits of all cells, by layer and then by column, in a prompt of `n_pos` tokens. The caches hold
        this site alone, of the runs of the prompt (`interp.readout`): with what follows it."""
        edits = []
        for layer in range(len(donor)):
            value, own = donor[self.site, layer], None if base is None else base[self.site, layer]
            n_columns = 1 if self.axis is None else value.shape[self.axis]
            n_columns = n_pos if self.by == "position" else n_columns
            edits += [self.patch(layer, column, value, base=own) for column in range(n_columns)]
        return edits

    def summed(self, change: Float[Tensor, "run ..."], *, n_pos: int) -> Float[Tensor, " column"]:
        """Of a number for each entry of a layer's activation, the sum over each cell."""
        if self.axis is None:
            return change.sum()[None]
        columns = change.sum([i for i in range(change.ndim) if i != self.axis])
        return columns[:n_pos] if self.by == "position" else columns
