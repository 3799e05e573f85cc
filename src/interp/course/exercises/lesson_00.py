"""Exercises of lesson 00: the metric."""

from __future__ import annotations

from interp.course.checking import Exercise
from interp.course.kinds import Number
from interp.models.base import Model
from interp.readout import Readout
from interp.tasks.datasets import make_dataset
from interp.tasks.inspection import inspect_dataset

PROMPT = "When John and Mary went to the store, John gave a drink to"
OTHER_ORDER = "When Mary and John went to the store, John gave a drink to"


def probability(model: Model) -> float:
    return Readout.prob(model.to_single_token(" Mary"))(model.forward(PROMPT)).item()


def other_order(model: Model) -> float:
    mary, john = map(model.to_single_token, (" Mary", " John"))
    return Readout.logit_diff(mary, john)(model.forward(OTHER_ORDER)).item()


def length_of_the_hardest(model: Model) -> int:
    pairs = make_dataset("indirect_objects", model, n=60)
    return len(pairs[int(inspect_dataset(model, pairs).clean_logit_diff.argmin())])


EXERCISES = (
    Exercise(
        asks=Number(3),
        answer=probability,
        hint="It is a softmax over the whole vocabulary, at the last position: look at `probabilities`.",
    ),
    Exercise(
        asks=Number(1),
        answer=other_order,
        hint="Run `model.forward` on the new sentence, and take logit(Mary) - logit(John) at its end.",
    ),
    Exercise(
        asks=Number(0),
        answer=length_of_the_hardest,
        hint="`seen.clean_logit_diff.argmin()` says which pair it is, and `len(pairs[i])` how long.",
    ),
)
