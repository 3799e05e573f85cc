"""Exercises of lesson 02: activation patching."""

from __future__ import annotations

from typing import Any

from interp.course.checking import Exercise
from interp.course.kinds import Number, YesOrNo
from interp.methods.patching.causal_tracing import causal_tracing
from interp.methods.patching.results import CausalTracingResult
from interp.models.base import Model

CLEAN = "The capital of France is"


def traced(model: Model, country: str = "Japan", city: str = "Tokyo", **options: Any) -> CausalTracingResult:
    corrupted = f"The capital of {country} is"
    return causal_tracing(
        model, clean=CLEAN, corrupted=corrupted, answer=" Paris", foil=f" {city}", **options
    )


def at_the_end(model: Model) -> float:
    return float(traced(model).recovery[model.arch.n_layers // 2, -1])


def fall(model: Model) -> float:
    (country,) = model.positions_of(CLEAN, " France")
    found = traced(model, direction="noising")
    return float(found.clean_value - found.values[0, country])


def same_peak(model: Model) -> bool:
    return traced(model).peak == traced(model, "Italy", "Rome").peak


EXERCISES = (
    Exercise(
        asks=Number(2),
        answer=at_the_end,
        hint="`denoised.recovery` is [layer, position]; the last word is at position -1.",
    ),
    Exercise(
        asks=Number(1),
        answer=fall,
        hint="`noised.values` has the metric after each patch, and `noised.clean_value` the one before.",
    ),
    Exercise(
        asks=YesOrNo(),
        answer=same_peak,
        hint="Run `interp.causal_tracing` on both pairs and compare their `peak`.",
    ),
)
