"""Runs written in the first format, read today.

In FORMAT 1 a result was flat: arrays were bare lists, and a mean, its interval and what it is the mean of
were fields beside each other. `upgraded` brings the JSON of such a result into today's form. What changed
in the results of a room of `interp.methods` stands in the module of the same name here: its `CHANGES` has a
function for each kind of result, which is given the old fields and returns the new ones.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import fields
from importlib import import_module
from typing import Any

import numpy as np

from interp.results import Dropped, Estimate, Interval, Pairs, encoded, kind_of

Fields = dict[str, Any]

#: Kinds of results that were called otherwise.
RENAMED = {
    "circuit_parts": "completeness",
    "compared_patch_sweep": "compared_activation_patching",
    "discovery": "circuit_discovery",
    "knock_out": "head_ablation",
    "patch_sweep": "activation_patching",
    "sae_reading": "prompt_features",
    "size_curve": "faithfulness_curve",
}


def upgraded(data: Fields) -> Fields:
    """The JSON of a result of FORMAT 1, as `interp.results.Result.to_dict` writes it today. `KeyError`,
    `TypeError` or `ValueError` where it is damaged; as it is where its kind is unknown today."""
    kind = RENAMED.get(str(data["kind"]), str(data["kind"]))
    try:
        kind_of(kind)
    except KeyError:
        return data  # `interp.results.read_result` says which kinds there are
    values = {name: _nested(value) for name, value in data.items() if name != "kind"}
    values["provenance"] = {"kind": "provenance", **values["provenance"]}
    change = changes().get(kind)
    values = change(values) if change else values
    return {"kind": kind, **with_arrays(kind, values)}


def changes() -> dict[str, Callable[[Fields], Fields]]:
    """What changed in each kind of result."""
    found: dict[str, Callable[[Fields], Fields]] = {}
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        found |= import_module(module.name).CHANGES
    return found


def _nested(value: Any) -> Any:
    return upgraded(value) if isinstance(value, dict) and "kind" in value else value


def with_arrays(kind: str, values: Fields) -> Fields:
    """Bare lists become arrays, where the field is one today."""
    dtypes = {"Float": np.float64, "Int": np.int64, "Bool": np.bool_}
    annotated = {field.name: str(field.type) for field in fields(kind_of(kind))}  # type: ignore[arg-type]
    return {
        name: encoded(np.asarray(value, dtype=dtypes[annotated[name].split("[")[0]]))
        if isinstance(value, list) and "ndarray" in annotated.get(name, "")
        else value
        for name, value in values.items()
    }


# ---- for the rooms' modules: all take the old fields away ----


def estimate(values: Fields, mean: str, low: str, high: str, each: str | None, *, prompts: int = 0) -> Fields:
    """An `interp.results.Estimate` of four old fields; `prompts` is the axis of `each` that they were on.
    Where the first format did not keep the values of single prompts, `each` is None, and then empty."""
    arrays: dict[str, Any] = {
        name: np.asarray(values.pop(key), dtype=float)
        for name, key in {"mean": mean, "low": low, "high": high}.items()
    }
    if each is None:
        return Estimate(**arrays, each=np.zeros((0, *arrays["mean"].shape))).to_dict()
    by_prompt = np.asarray(values.pop(each), dtype=float)
    return Estimate(**arrays, each=np.moveaxis(by_prompt, prompts, 0)).to_dict()


def interval(values: Fields, value: str, low: str, high: str) -> Fields:
    """An `interp.results.Interval` of three old fields."""
    ends = {"value": value, "low": low, "high": high}
    arrays: dict[str, Any] = {name: np.asarray(values.pop(key), dtype=float) for name, key in ends.items()}
    return Interval(**arrays).to_dict()


def pairs(values: Fields, *, prompts: str = "prompts", corrupted: str | None = None) -> Fields:
    """`interp.results.Pairs` of the old fields task, prompts, answers, foils and dropped, as far as they are
    there. The first format did not keep the corrupted prompts of every result; there they are empty."""
    foils = values.pop("foils", None)
    return Pairs(
        task=values.pop("task", None),
        prompts=tuple(values.pop(prompts)),
        corrupted=() if corrupted is None else tuple(values.pop(corrupted)),
        answers=tuple(values.pop("answers")),
        foils=None if foils is None else tuple(foils),
        dropped=tuple(Dropped(what, why) for what, why in values.pop("dropped", ())),
    ).to_dict()
