"""How large must a circuit be? Faithfulness by size, with CPR and CMD of the MIB benchmark.

Mueller et al. 2025, https://arxiv.org/abs/2504.13151, by the definitions of its evaluation code
(`evaluate_area_under_curve` of its circuit track):

1. Of n scored edges (or nodes), the top ``int(fraction * n)`` make a circuit, for each of the fractions .001,
   .002, .005, .01, .02, .05, .1, .2, .5 and 1; what no path from input to logits takes is pruned.
2. Its faithfulness is ``(m(C) - m(empty)) / (m(M) - m(empty))``, m being means over pairs. The whole graph
   scores 1.
3. *CPR* (circuit performance ratio, higher is better) is the area under faithfulness over the fractions, by
   trapezoids; *CMD* (circuit-model distance, lower is better; 0 is best) that under ``|1 - faithfulness|``.

The x axis is the nominal fraction, not the number of edges that pruning leaves (which `edges_left` has), and
it is linear. The area begins at .001 and is divided by nothing, so that a perfect curve has CPR .999, and the
half between .5 and 1 weighs half. CPR rewards circuits that do better than the model; CMD does not.

At the level of nodes, MIB counts and ablates in the same way; here the input belongs to every circuit and is
not counted. Where keys and values are grouped, MIB counts an edge for each query head; here a group's edge
counts once.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from interp.errors import InputError
from interp.methods.circuits.measures import check_full_and_empty, faithfulness_of
from interp.methods.circuits.results import Ablation, FaithfulnessCurveResult
from interp.methods.circuits.runs import circuit_values
from interp.methods.common.circuit import Circuit
from interp.methods.common.first_choice import pairs_with_choices
from interp.methods.common.intervals import magnitude, ratio_interval
from interp.methods.common.outliers import outliers_under
from interp.metrics import MetricKind
from interp.models.base import Exact, Model
from interp.provenance import Provenance
from interp.results import Interval
from interp.tasks.base import PairDataset, check_count

FRACTIONS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


def faithfulness_curve(
    model: Model,
    dataset: PairDataset,
    scored: Circuit,
    *,
    build: Callable[..., Circuit] = Circuit.top,
    absolute: bool = True,
    fractions: Sequence[float] = FRACTIONS,
    n_random: int = 3,
    ablation: Ablation = "resample",
    metric: MetricKind = "logit_diff",
    batch_size: int = 64,
    exact: Exact = "auto",
    include_outliers: bool = False,
    seed: int = 0,
) -> FaithfulnessCurveResult:
    """Measure the circuits that scores make, from small to large.

    Args:
        scored: a circuit with scores; its own members do not matter here.
        build: ``build(scored, n, absolute=...)`` makes the circuit of `n` edges or nodes: those of the top
            scores, or some other way, such as greedily from the logits.
        absolute: take the scores that are largest in size; else the highest.
        fractions: growing, the last one 1. CPR and CMD compare with MIB's for the default ones alone.
        n_random: random orders of the edges or nodes, each of which makes a curve.
        ablation, metric, batch_size, exact: see `interp.faithfulness`.
        include_outliers: put zeros and means also at positions of outlying norm; see `interp.ablation`.
        seed: of the random orders and the bootstrap.

    Raises:
        InputError: no scores, fractions that do not grow to 1, and the reasons of `interp.faithfulness`.
        DegeneratePairError: full and empty circuit hardly differ.
    """
    check_count(n_random, of="n_random", least=0)
    _check_scores_and_fractions(scored, fractions)
    sizes = tuple(int(fraction * len(scored.scores)) for fraction in fractions)
    orders = [scored, *(_shuffled(scored, seed + i) for i in range(n_random))]
    circuits = [build(order, size, absolute=absolute).pruned() for order in orders for size in sizes]
    outliers = outliers_under(model, dataset.clean, [ablation], include=include_outliers)
    found = circuit_values(
        model,
        dataset,
        [scored.full, scored.empty, *circuits],
        ablation=ablation,
        metric=metric,
        batch_size=batch_size,
        exact=exact,
        outliers=outliers,
    )
    full, empty, values = found[0], found[1], found[2:]
    check_full_and_empty(model, dataset, full, empty, metric, ablation)
    curves = faithfulness_of(values.mean(-1), full.mean(-1), empty.mean(-1)).reshape(len(orders), len(sizes))
    cpr, cmd = area(fractions, curves)  # [order] each
    own, span = (values[: len(sizes)] - empty).T, full - empty  # [pair, size], [pair]
    sides = np.sign(1 - curves[0])  # of each size, whether it lies below the model or above
    distance = sides * (span[:, None] - own)  # [pair, size]: |1 - faithfulness|, the sides as they are

    def with_interval(numerators: Float[np.ndarray, " pair *size"]) -> Interval:
        return ratio_interval(numerators, span, seed, dataset.clusters)

    return FaithfulnessCurveResult(
        provenance=Provenance.of(model, seed=seed),
        pairs=pairs_with_choices(model, dataset),
        outliers=outliers,
        level=scored.level,
        metric=metric,
        ablation=ablation,
        construction=build.__name__,
        absolute=absolute,
        n_scored=len(scored.scores),
        fractions=np.array(fractions, dtype=float),
        sizes=sizes,
        edges_left=tuple(_n_edges(circuit) for circuit in circuits[: len(sizes)]),
        full_values=full,
        empty_values=empty,
        values=values[: len(sizes)],
        faithfulness=with_interval(own),
        cpr=with_interval(_trapezoids(own, fractions)),
        cmd=magnitude(with_interval(_trapezoids(distance, fractions))),
        random_faithfulness=curves[1:],
        random_cpr=cpr[1:],
        random_cmd=cmd[1:],
    )


def _check_scores_and_fractions(scored: Circuit, fractions: Sequence[float]) -> None:
    if not scored.scores:
        raise InputError(
            "The circuit has no scores, so there is no order in which to take its edges or nodes."
        )
    if list(fractions) != sorted(set(fractions)) or not fractions or fractions[0] < 0 or fractions[-1] != 1:
        raise InputError(f"The fractions must grow from 0 or more to 1; got {list(fractions)}.")


def _n_edges(pruned: Circuit) -> int:
    """How many edges a pruned circuit has; one of nodes, between them."""
    return len(pruned if pruned.level == "edge" else pruned.as_edges().pruned())


def area(
    fractions: Sequence[float], faithfulness: Float[np.ndarray, "*curve size"]
) -> tuple[Float[np.ndarray, "*curve"], Float[np.ndarray, "*curve"]]:
    """CPR and CMD: the areas under faithfulness and under its distance from 1, by trapezoids."""
    return _trapezoids(faithfulness, fractions), _trapezoids(np.abs(1 - faithfulness), fractions)


def _trapezoids(y: Float[np.ndarray, "*curve size"], x: Sequence[float]) -> Float[np.ndarray, "*curve"]:
    return np.asarray((np.diff(x) * (y[..., 1:] + y[..., :-1]) / 2).sum(-1))


def _shuffled(scored: Circuit, seed: int) -> Circuit:
    """The same scores, dealt out anew."""
    names = [name for name in scored.candidates if name in scored.scores]
    dealt = list(scored.scores.values())
    random.Random(f"random scores {seed}").shuffle(dealt)
    return replace(scored, scores=dict(zip(names, dealt, strict=True)))
