"""Exercises of lesson 10: causal tracing by noise."""

from __future__ import annotations

from typing import Any

from interp.course.checking import Exercise
from interp.course.kinds import Number
from interp.errors import DegeneratePairError
from interp.methods.patching.causal_tracing import causal_tracing
from interp.methods.patching.results import CausalTracingResult
from interp.models.base import Model

PROMPT, SUBJECT = "The Eiffel Tower is in the city of", "The Eiffel Tower"


def traced(model: Model, **options: Any) -> CausalTracingResult:
    return causal_tracing(
        model, clean=PROMPT, subject=SUBJECT, answer=" Paris", corruption="noise", **options
    )


def at_the_end(model: Model) -> float:
    return float(traced(model).recovery[-1, -1])


def least_noise(model: Model) -> int:
    for sigma in range(1, 6):
        try:
            if traced(model, sigma=float(sigma), samples=10, most_samples=10).corrupted_value < 0.5:
                return sigma
        except DegeneratePairError:
            continue  # nothing was corrupted
    return 6


EXERCISES = (
    Exercise(
        asks=Number(2),
        answer=at_the_end,
        hint="`noise.recovery` is [layer, position].",
    ),
    Exercise(
        asks=Number(0),
        answer=least_noise,
        hint="Try `sigma` from the lowest on, with `samples` and `most_samples` of ten.",
    ),
)
