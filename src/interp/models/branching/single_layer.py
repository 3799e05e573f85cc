"""`Model.run_layer`: a decoder layer called by itself, with the arguments of the base run."""

from __future__ import annotations

from contextlib import suppress

from torch import Tensor

from interp.models.branching.base_run import BaseRun
from interp.models.editing import Taps
from interp.models.hooked import Pass


class AllVisited(Exception):
    """Thrown out of a layer of which all that is wanted has been seen."""


class PartOfLayer(Pass):
    """A pass that ends with the last site that `taps` want: what comes after is not computed."""

    def __init__(self, taps: Taps) -> None:
        self.taps = taps

    def visit(self, site: str, layer: int | None, value: Tensor) -> Tensor:
        value = self.taps.visit(site, layer, value)
        if self.taps.all_visited:
            raise AllVisited
        return value


def run_layer(base: BaseRun, layer: int, taps: Taps, n_rows: int) -> None:
    """Bring the sites of a layer to `taps`, which set what it reads: residual streams [row, pos, d_model]."""
    model = base.model
    args, kwargs = base.recording.calls[layer]
    x = base.resid[layer].expand(n_rows, -1, -1).clone()  # what `taps` set takes its place
    with suppress(AllVisited), model.borrowed(PartOfLayer(taps), taps.keys, n_rows):
        model.layers[layer](x, *args, **kwargs)
