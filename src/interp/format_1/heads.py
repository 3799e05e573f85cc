"""What changed in the results of attention heads since the first format."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from interp.format_1 import Fields, estimate
from interp.results import Pairs


def _attention_by_role(values: Fields) -> Fields:
    values["attention"] = estimate(values, "attention", "low", "high", "by_prompt")
    return values | {"pairs": _prompts_alone(values, side=values["side"])}


def _copying_scores(values: Fields) -> Fields:
    for name in ("copying", "negative"):
        values[name] = estimate(values, name, f"{name}_low", f"{name}_high", None)
    return values | {"pairs": _prompts_alone(values, side="clean")}


def _head_scores(values: Fields) -> Fields:
    values["attention"] = estimate(values, "mean", "low", "high", "by_sequence")
    values["loss"] = estimate(values, "loss", "loss_low", "loss_high", None)
    return values


def _prompts_alone(values: Fields, *, side: str) -> Fields:
    """The pairs of a result that kept the prompts of one side, and no answers."""
    prompts: tuple[Any, ...] = tuple(values.pop("prompts"))
    clean, corrupted = (prompts, ()) if side == "clean" else ((), prompts)
    return Pairs(
        task=values.pop("task"), prompts=clean, corrupted=corrupted, answers=(), foils=None
    ).to_dict()


CHANGES: dict[str, Callable[[Fields], Fields]] = {
    "attention_by_role": _attention_by_role,
    "copying_scores": _copying_scores,
    "head_scores": _head_scores,
}
