"""Exercises of lesson 06: paths and edges."""

from __future__ import annotations

from interp.course.checking import Exercise
from interp.course.kinds import Number, YesOrNo
from interp.methods.attribution.edge_attribution import edge_attribution
from interp.methods.common.graph import Graph
from interp.methods.patching.path_patching import path_patching
from interp.models.base import Model
from interp.tasks.base import PairDataset
from interp.tasks.datasets import make_dataset


def two_pairs(model: Model) -> PairDataset:
    n = 10 if model.arch.n_layers <= 6 else 2
    return make_dataset("indirect_objects", model, n=n, templates="taught")[:2]


def edges_into_logits(model: Model) -> int:
    return sum(name.endswith("->logits") for name in Graph.of(model).edges)


def last_mlp(model: Model) -> float:
    senders = [f"m{model.arch.n_layers - 1}"]
    found = path_patching(model, two_pairs(model), senders=senders, mlps="frozen", totals=False)
    return float(found.direct.mean[0])


def reaches_the_logits(model: Model) -> bool:
    strongest = edge_attribution(model, two_pairs(model), method="eap-ig-inputs").strongest(8)
    return any(name.endswith("->logits") for name, _ in strongest)


EXERCISES = (
    Exercise(
        asks=Number(0),
        answer=edges_into_logits,
        hint="Go through `graph.edges` and count the names that end so.",
    ),
    Exercise(
        asks=Number(1),
        answer=last_mlp,
        hint="`interp.path_patching` with one sender; its sign is that of patched less clean.",
    ),
    Exercise(
        asks=YesOrNo(),
        answer=reaches_the_logits,
        hint="`.strongest(8)` gives names with scores; look at how the names end.",
    ),
)
