"""What changed in the results of attribution since the first format."""

from __future__ import annotations

import numpy as np

from interp.format_1 import Fields, estimate, interval, pairs
from interp.methods.attribution.results import NeuronParts
from interp.methods.common.graph import Graph
from interp.results import Dropped, Interval


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


def direct_logit_attribution(values: Fields) -> Fields:
    """Means, intervals and values of each prompt were fields beside each other, and so was all of neurons."""
    neurons = {"by_neuron", "by_neuron_low", "by_neuron_high", "neurons", "other_neurons", "mlp_bias"}
    heads = {"by_head", "by_head_low", "by_head_high", "by_head_each"}
    values["pairs"] = pairs(values)
    values["by_component"] = estimate(
        values, "by_component", "by_component_low", "by_component_high", "by_component_each"
    )
    values["accumulated"] = interval(values, "accumulated", "accumulated_low", "accumulated_high")
    values["left_out"] = [Dropped(view, why).to_dict() for view, why in values["left_out"]]
    if values["by_head"] is not None:
        values["by_head"] = estimate(values, "by_head", "by_head_low", "by_head_high", "by_head_each")
    if values["by_neuron"] is not None:
        values["by_neuron"] = _neuron_parts(values)
    old = (neurons | heads) - {"by_head", "by_neuron"}
    return {name: value for name, value in values.items() if name not in old}


def _neuron_parts(values: Fields) -> Fields:
    parts = interval(values, "by_neuron", "by_neuron_low", "by_neuron_high")
    return NeuronParts(
        neurons=tuple((layer, neuron) for layer, neuron in values["neurons"]),
        parts=Interval.from_dict(parts),
        others=np.asarray(values["other_neurons"], dtype=float),
        bias=np.asarray(values["mlp_bias"], dtype=float),
    ).to_dict()


CHANGES = {
    "direct_logit_attribution": direct_logit_attribution,
    "patching_vs_attribution": patching_vs_attribution,
    "scores": scores,
}
