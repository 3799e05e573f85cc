"""Exercises of lesson 03: attribution and patching of heads."""

from __future__ import annotations

from interp.course.checking import Exercise
from interp.course.kinds import Heads, Number
from interp.methods.attribution.direct_logit_attribution import direct_logit_attribution
from interp.methods.common.names import Head
from interp.methods.common.pairs import Direction
from interp.methods.patching.activation_patching import activation_patching
from interp.models.base import Model

PROMPT = "When John and Mary went to the store, John gave a drink to"
SWAPPED = "When John and Mary went to the store, Mary gave a drink to"


def last_mlp(model: Model) -> float:
    parts = direct_logit_attribution(model, PROMPT, " Mary", " John", views=())
    return float(parts.by_component.mean[parts.components.index(f"L{model.arch.n_layers - 1} mlp")])


def strongest_head(model: Model, direction: Direction = "denoising") -> Head:
    return activation_patching(
        model,
        clean=PROMPT,
        corrupted=SWAPPED,
        answer=" Mary",
        foil=" John",
        site="z",
        by="head",
        direction=direction,
    ).peak


def most_needed_head(model: Model) -> Head:
    return strongest_head(model, "noising")


EXERCISES = (
    Exercise(
        asks=Number(1),
        answer=last_mlp,
        hint="`by_part` has a term for each part; those of MLPs end in mlp, and layers count from zero.",
    ),
    Exercise(
        asks=Heads(),
        answer=strongest_head,
        hint="`interp.activation_patching` with site='z' and by='head' has a `peak`: the layer and the head.",
    ),
    Exercise(
        asks=Heads(),
        answer=most_needed_head,
        hint="In noising a head that is needed has a low recovery, and `peak` is the lowest one.",
    ),
)
