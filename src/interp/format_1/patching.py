"""What changed in the results of patching since the first format."""

from __future__ import annotations

import numpy as np

from interp.format_1 import Fields, estimate, pairs, with_arrays
from interp.results import Estimate

_AGREEMENT = ("rank_correlation", "worst_cell", "worst_difference")


def activation_patching(values: Fields) -> Fields:
    values["recovery"] = estimate(values, "recovery", "low", "high", "by_pair")
    values["pairs"] = pairs(values, prompts="clean", corrupted="corrupted")
    return values


def compared_activation_patching(values: Fields) -> Fields:
    """The exact result was two fields of the approximate one. Of several pairs, neither its interval nor its
    values of each pair were kept: both ends are the mean, and there are no values."""
    agreement = {name: values.pop(name) for name in _AGREEMENT}
    mean, path = np.asarray(values.pop("exact_recovery")), values.pop("exact_path")
    n_pairs = len(values["clean"])
    approximate = {
        "kind": "activation_patching",
        **with_arrays("activation_patching", activation_patching(values)),
    }
    each = mean[None] if n_pairs == 1 else np.zeros((0, *mean.shape))
    recovery = Estimate(mean=mean, low=mean, high=mean, each=each).to_dict()
    exact = approximate | {"method": "exact", "steps": 0, "path": path, "recovery": recovery}
    nested = {"approximate": approximate, "exact": exact}
    return {"provenance": values["provenance"], **nested, **agreement}


def path_patching(values: Fields) -> Fields:
    values["pairs"] = pairs(values, corrupted="corrupted")
    for name in ("direct", "total"):
        values[name] = estimate(values, name, f"{name}_low", f"{name}_high", f"{name}_by_pair")
    return values


CHANGES = {
    "activation_patching": activation_patching,
    "compared_activation_patching": compared_activation_patching,
    "path_patching": path_patching,
}
