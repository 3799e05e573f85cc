"""What changed in the results about circuits since the first format."""

from __future__ import annotations

import numpy as np

from interp.format_1 import Fields, interval, pairs
from interp.format_1.attribution import scores
from interp.results import Interval


def faithfulness(values: Fields) -> Fields:
    values["pairs"] = pairs(values)
    for name in ("faithfulness", "gap"):
        values[name] = interval(values, name, f"{name}_low", f"{name}_high")
    return values


def completeness(values: Fields) -> Fields:
    values["pairs"] = pairs(values)
    return values


def faithfulness_curve(values: Fields) -> Fields:
    values["pairs"] = pairs(values)
    values["faithfulness"] = interval(values, "faithfulness", "low", "high")
    for name in ("cpr", "cmd"):
        low, high = values.pop(f"{name}_interval")
        ends = [np.asarray(end) for end in (values[name], low, high)]
        values[name] = Interval(value=ends[0], low=ends[1], high=ends[2]).to_dict()
    return values


CHANGES = {
    "circuit_discovery": scores,
    "completeness": completeness,
    "faithfulness": faithfulness,
    "faithfulness_curve": faithfulness_curve,
}
