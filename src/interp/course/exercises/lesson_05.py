"""Exercises of lesson 05: induction heads."""

from __future__ import annotations

import numpy as np

from interp.course.checking import Exercise
from interp.course.kinds import Heads, Number
from interp.methods.common.names import Head
from interp.methods.heads.head_scores import head_scores
from interp.models.base import Model


def previous_token_head(model: Model) -> Head:
    return head_scores(model, n_ablated=0).heads("previous_token", at_least=0)[0]


def costliest_head(model: Model) -> Head:
    found = head_scores(model).cost
    assert found is not None  # the models of the course predict the tokens that they read
    layer, head = np.unravel_index(found.mean.argmax(), found.shape)
    return int(layer), int(head)


def short_copies(model: Model) -> float:
    return head_scores(model, length=10, n_ablated=0).second_copy_loss


EXERCISES = (
    Exercise(
        asks=Heads(),
        answer=previous_token_head,
        hint="`scores.heads('previous_token', at_least=0)` lists the heads, the highest first.",
    ),
    Exercise(
        asks=Heads(),
        answer=costliest_head,
        hint="`scores.cost.mean` is [layer, head]; what is lost is positive.",
    ),
    Exercise(
        asks=Number(2),
        answer=short_copies,
        hint="`second_copy_loss` of the new scores; leave `n` and `seed` as they are.",
    ),
)
