"""`Model.run_layer`: a decoder layer called by itself, with the arguments of the base run."""

from __future__ import annotations

from contextlib import suppress

from interp.models.branching.base_run import BaseRun
from interp.models.editing import Taps
from interp.models.hooked import AllVisited, PartialPass


def run_layer(base: BaseRun, layer: int, taps: Taps, n_rows: int) -> None:
    """Bring the sites of a layer to `taps`, which set what it reads: residual streams [row, pos, d_model]."""
    model = base.model
    args, kwargs = base.recording.calls[layer]
    x = base.resid[layer].expand(n_rows, -1, -1).clone()  # what `taps` set takes its place
    with suppress(AllVisited), model.borrowed(PartialPass(taps), taps.keys, n_rows):
        model.layers[layer](x, *args, **kwargs)
