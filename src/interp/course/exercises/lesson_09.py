"""Exercises of lesson 09: what a model was told, and what it makes up."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from interp.course.checking import Exercise
from interp.course.kinds import Number
from interp.models.base import Model
from interp.tasks.datasets import make_known
from interp.zoo import NAMES


def log_probs(model: Model, status: int) -> Float[Tensor, "prompt d_vocab"]:
    """The prediction after each prompt of a status of the lesson's data."""
    packaged = model.identity.name in NAMES
    data = make_known("people" if packaged else "entities", model, n=30 if packaged else 12, per_entity=1)
    prompts = [data.prompts[i].ids for i in data.of(data.statuses[status])]
    return torch.stack([model.forward(ids)[0, -1].double().log_softmax(-1) for ids in prompts])


def sure(model: Model) -> int:
    return int((log_probs(model, 0).max(-1).values.exp() >= 0.9).sum())


def entropy_of_the_last(model: Model) -> float:
    found = log_probs(model, -1)
    return float(-(found.exp() * found).sum(-1).mean())


EXERCISES = (
    Exercise(
        asks=Number(0),
        answer=sure,
        hint="`.softmax(-1).max()` at the last position of each prompt, compared with the bound.",
    ),
    Exercise(
        asks=Number(2),
        answer=entropy_of_the_last,
        hint="It is in `said.entropy`, which has a value for each status, in their order.",
    ),
)
