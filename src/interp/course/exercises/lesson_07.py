"""Exercises of lesson 07: circuits."""

from __future__ import annotations

from interp.course.checking import Exercise
from interp.course.kinds import Number, YesOrNo
from interp.methods.attribution.edge_attribution import node_attribution
from interp.methods.circuits.faithfulness import faithfulness
from interp.methods.circuits.results import Ablation
from interp.methods.common.circuit import Circuit
from interp.models.base import Model
from interp.tasks.base import PairDataset
from interp.tasks.datasets import make_dataset


def pairs(model: Model, *, small: int, large: int, seed: int) -> PairDataset:
    n = small if model.arch.n_layers <= 6 else large
    return make_dataset("indirect_objects", model, n=n, templates="taught", seed=seed)


def faithful(model: Model, circuit: Circuit, ablation: Ablation = "resample") -> float:
    tested_on = pairs(model, small=20, large=4, seed=1)
    found = faithfulness(model, tested_on, circuit, ablation=ablation, compare=(), n_random=0)
    return float(found.faithfulness.value[0, found.runs.index("circuit")])


def five(model: Model) -> Circuit:
    return node_attribution(model, pairs(model, small=8, large=2, seed=0)).scored.top(5)


def five_resampled(model: Model) -> float:
    return faithful(model, five(model))


def five_by_zeros(model: Model) -> float:
    return faithful(model, five(model), "zero")


def heads_alone_suffice(model: Model) -> bool:
    return faithful(model, Circuit.of(model, [f"a{layer}" for layer in range(model.arch.n_layers)])) > 0.5


EXERCISES = (
    Exercise(
        asks=Number(2),
        answer=five_resampled,
        hint="`interp.faithfulness` on the new circuit; its value stands where `tested.runs` says 'circuit'.",
    ),
    Exercise(
        asks=Number(2),
        answer=five_by_zeros,
        hint="The same call with another `ablation`; the first row is that of the kind that was asked for.",
    ),
    Exercise(
        asks=YesOrNo(),
        answer=heads_alone_suffice,
        hint="`interp.Circuit.of(model, [...])` with a name for each layer makes it.",
    ),
)
