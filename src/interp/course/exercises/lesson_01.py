"""Exercises of lesson 01: lenses."""

from __future__ import annotations

from interp.course.checking import Exercise
from interp.course.kinds import Number
from interp.methods.lens.logit_lens import logit_lens
from interp.models.base import Model

PROMPT, ANSWER = "Water is made of hydrogen and", " oxygen"


def rank(model: Model) -> int:
    return int(logit_lens(model, PROMPT, ANSWER).answer_rank[1])


def crossover(model: Model) -> int:
    layer = logit_lens(model, "The Eiffel Tower is in the city of", " Paris").crossover_layer
    return -2 if layer is None else layer


def by_patchscope(model: Model) -> float:
    before_the_middle = model.arch.n_layers // 2 - 1
    return float(logit_lens(model, PROMPT, ANSWER, lens="patchscope").answer_prob[before_the_middle + 1])


EXERCISES = (
    Exercise(
        asks=Number(0),
        answer=rank,
        hint="`lens.answer_rank` has a row for the embedding first, and then one for each layer.",
    ),
    Exercise(
        asks=Number(0),
        answer=crossover,
        hint="Run `interp.logit_lens` on the new prompt, and look at `crossover_layer`.",
    ),
    Exercise(
        asks=Number(2),
        answer=by_patchscope,
        hint="Give `lens='patchscope'` to `interp.logit_lens`; its first row is the embedding.",
    ),
)
