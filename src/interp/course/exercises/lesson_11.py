"""Exercises of lesson 11: attribution graphs."""

from __future__ import annotations

import numpy as np

from interp.course.checking import Exercise
from interp.course.kinds import Number
from interp.errors import InputError
from interp.methods.graphs.attribution_graph import attribution_graph
from interp.methods.graphs.results import GraphNodes
from interp.models.base import Model
from interp.saes.sources import load_transcoders
from interp.zoo import NAMES

PROMPT, SUBJECT = "The capital of France is", " France"


def nodes_left(model: Model) -> GraphNodes:
    if model.identity.name not in NAMES:
        raise InputError(f"These exercises need transcoders of the package; load {' or '.join(NAMES)}.")
    return attribution_graph(model, load_transcoders(model.identity.name, model), PROMPT).nodes


def errors_left(model: Model) -> int:
    return int(nodes_left(model).of_kind("error").sum())


def lost_without_the_subject(model: Model) -> float:
    nodes = nodes_left(model)
    tokens = np.flatnonzero(nodes.of_kind("token"))
    (subject,) = [i for i in tokens.tolist() if nodes.labels[i] == SUBJECT]
    return float(nodes.in_model[subject, 0])


EXERCISES = (
    Exercise(
        asks=Number(0),
        answer=errors_left,
        hint="`graph.nodes.of_kind(...)` says which nodes are of a kind; the kinds are in its docstring.",
    ),
    Exercise(
        asks=Number(1),
        answer=lost_without_the_subject,
        hint="`graph.nodes.in_model` is [node, logit]; find the token by its label.",
    ),
)
