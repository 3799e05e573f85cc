"""Exercises of lesson 04: attention."""

from __future__ import annotations

import numpy as np

from interp.course.checking import Exercise
from interp.course.kinds import Heads, Number, YesOrNo
from interp.methods.common.names import Head
from interp.methods.heads.attention_by_role import Side, attention_by_role
from interp.methods.heads.attention_patterns import attention_patterns
from interp.models.base import Model
from interp.tasks.datasets import make_dataset

PROMPT = "When John and Mary went to the store, John gave a drink to"


def looks_most(model: Model, query: str, key: str, side: Side = "clean") -> Head:
    pairs = make_dataset("indirect_objects", model, n=60 if model.arch.n_layers <= 6 else 30)
    attention = attention_by_role(model, pairs, between=[(query, key)], side=side).of(query, key).mean
    layer, head = np.unravel_index(attention.argmax(), attention.shape)
    return int(layer), int(head)


def back_to_s1(model: Model) -> Head:
    return looks_most(model, "S2", "S1")


def to_itself(model: Model) -> float:
    return float(attention_patterns(model, PROMPT, heads=["0.0"]).patterns[0, -1, -1])


def same_on_both_sides(model: Model) -> bool:
    return looks_most(model, "END", "S2") == looks_most(model, "END", "S2", "corrupted")


EXERCISES = (
    Exercise(
        asks=Heads(),
        answer=back_to_s1,
        hint="`.of('S2', 'S1').mean` is [layer, head]; `argmax` counts along the rows.",
    ),
    Exercise(
        asks=Number(2),
        answer=to_itself,
        hint="A pattern is [query, key]; both are the last token here.",
    ),
    Exercise(
        asks=YesOrNo(),
        answer=same_on_both_sides,
        hint="Compare the `argmax` of `.of('END', 'S2').mean` on either side.",
    ),
)
