"""What changed in the results of studies since the first format."""

from __future__ import annotations

from typing import Any

import numpy as np

from interp.format_1 import Fields
from interp.methods.studies.results import CircuitAlone, ClassAblation, IOIBaseline, RoleSwap
from interp.results import Dropped, Interval, Pairs, encoded


def ioi(values: Fields) -> Fields:
    """Every part was arrays beside each other. Answers and corrupted prompts were not kept: none here."""
    classes = {name: tuple(heads) for name, heads in values["classes"]}
    new = {
        "pairs": Pairs(
            task="indirect_objects",
            prompts=tuple(values["prompts"]),
            corrupted=(),
            answers=(),
            foils=(),
            dropped=tuple(Dropped(what, why) for what, why in values["dropped"]),
        ),
        "baseline": _baseline(values),
        "maps": dict(zip(values["maps"], _intervals(values, "values", "low", "high"), strict=True)),
        "classes": classes,
        "ablations": _ablations(values, classes),
        "circuits": _circuits(values),
    }
    kept = {name: values[name] for name in ("provenance", "least", "attends", "path")}
    return kept | {name: encoded(value) for name, value in new.items()}


def _baseline(values: Fields) -> IOIBaseline:
    swaps = zip(values["swap_prompts"], values["swap_answers"], values["swap_values"], strict=True)
    return IOIBaseline(
        logit_diff=_array(values["clean_values"]),
        corrupted_logit_diff=_array(values["corrupted_values"]),
        prob=_array(values["clean_probs"]),
        swaps=tuple(RoleSwap(prompt=prompt, answer=answer, logit_diff=d) for prompt, answer, d in swaps),
    )


def _ablations(values: Fields, classes: dict[str, tuple[str, ...]]) -> tuple[ClassAblation, ...]:
    """The interval of the change was kept; the change is what is after, less what is before."""
    every = tuple(head for heads in classes.values() for head in heads)
    before = _array(values["clean_values"]).mean()
    values = values | {"change": (_array(values["after"]) - before).tolist()}
    changes = _intervals(values, "change", "change_low", "change_high")
    return tuple(
        ClassAblation(name=name, heads=classes.get(name, every), after=after, change=change)
        for name, after, change in zip(values["knocked_out"], values["after"], changes, strict=True)
    )


def _circuits(values: Fields) -> tuple[CircuitAlone, ...]:
    faithful = _intervals(values, "faithful", "faithful_low", "faithful_high")
    return tuple(
        CircuitAlone(heads=tuple(heads), faithfulness=share, gap=gap, random=_array(random))
        for heads, share, gap, random in zip(
            values["circuits"], faithful, values["gap"], values["random"], strict=True
        )
    )


def _intervals(values: Fields, value: str, low: str, high: str) -> list[Interval]:
    """An interval for each item of three lists."""
    items = zip(values[value], values[low], values[high], strict=True)
    return [Interval(value=_array(a), low=_array(b), high=_array(c)) for a, b, c in items]


def _array(value: Any) -> np.ndarray:
    return np.asarray(value, dtype=float)


CHANGES = {"ioi": ioi}
