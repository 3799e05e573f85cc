"""What changed in the results of attribution since the first format."""

from __future__ import annotations

from interp.format_1 import Fields, interval, pairs
from interp.methods.common.graph import Graph


def scores(values: Fields) -> Fields:
    """The graph was four fields, the scores and their interval three."""
    shape = {name: values.pop(name) for name in ("n_layers", "n_heads", "n_kv_heads", "parallel_attention")}
    values["graph"] = Graph(**shape).to_dict()
    values["pairs"] = pairs(values, corrupted="corrupted")
    values["scores"] = interval(values, "scores", "low", "high")
    return values


def patching_vs_attribution(values: Fields) -> Fields:
    values["pairs"] = pairs(values)
    for name in ("patching", "attribution"):
        values[name] = interval(values, name, f"{name}_low", f"{name}_high")
    return values


CHANGES = {"patching_vs_attribution": patching_vs_attribution, "scores": scores}
