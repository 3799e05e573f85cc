"""Does a circuit do what the model does? Faithfulness, beside random circuits and other kinds of ablation.

m is the metric's mean over pairs, with all but a circuit ablated (`interp.methods.circuits.runs`). M is the
whole model, C the circuit; in the empty circuit nothing is left (at the level of nodes: the input alone).

- *Faithfulness*, of MIB (Mueller et al. 2025, https://arxiv.org/abs/2504.13151):
  ``(m(C) - m(empty)) / (m(M) - m(empty))``, a ratio of means; 1 for M, 0 for nothing; it can lie outside.
- *Gap*, the faithfulness of Wang et al. 2022 (https://arxiv.org/abs/2211.00593): ``|E[m(M) - m(C)]|``, in the
  metric's unit; 0 is best. They also report ``m(C) / m(M)`` (`share`), which depends on what 0 means for the
  metric.

When it misleads: figures change with the ablation (Miller et al. 2024, https://arxiv.org/abs/2407.08734), so
others stand beside. A large random circuit is faithful, too: what counts is the distance to random ones of
the same size. Circuits that were found on the same pairs look better than they are. And a faithful circuit
may still lack parts that the model falls back on, and hold parts that do nothing: see
`interp.methods.circuits.completeness`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float

from interp.errors import DegeneratePairError, InputError
from interp.methods.circuits.measures import MeasuredCircuit, check_full_and_empty
from interp.methods.circuits.results import ABLATIONS, BASELINES, Ablation, FaithfulnessResult
from interp.methods.circuits.runs import circuit_values
from interp.methods.common.circuit import Circuit
from interp.methods.common.first_choice import pairs_with_choices
from interp.methods.common.intervals import Clusters, magnitude, mean_interval, ratio_interval
from interp.methods.common.outliers import outliers_under
from interp.metrics import MetricKind
from interp.models.base import Exact, Model
from interp.provenance import Provenance
from interp.results import Interval
from interp.tasks.base import PairDataset, check_count


def faithfulness(
    model: Model,
    dataset: PairDataset,
    circuit: Circuit,
    *,
    ablation: Ablation = "resample",
    compare: Sequence[Ablation] | Literal["all"] = "all",
    metric: MetricKind = "logit_diff",
    keep_mlps: bool = False,
    n_random: int = 5,
    batch_size: int = 64,
    exact: Exact = "auto",
    include_outliers: bool = False,
    seed: int = 0,
) -> FaithfulnessResult:
    """Measure how much of a behaviour a circuit carries by itself.

    Args:
        circuit: of nodes or of edges; see `interp.Circuit.of` and `interp.read_circuit`.
        ablation: ``resample``, ``mean``, ``mean_by_position``, ``mean_by_template`` or ``zero``; see
            `interp.methods.ablation.ablation`. The corrupted prompts are the reference.
        compare: further kinds of ablation to show beside it. ``all`` takes those that can be had, and records
            the others in ``left_out``; one that is named and cannot be had is an error.
        metric: ``logit_diff``, ``prob`` or ``kl``.
        keep_mlps: never ablate MLPs (as Wang et al. do); for circuits of nodes.
        n_random: random circuits of the same size.
        batch_size, exact: see `interp.methods.circuits.runs.circuit_values`.
        include_outliers: put zeros and means also at positions of outlying norm; see `interp.ablation`.
        seed: of the random circuits and the bootstrap.

    Raises:
        InputError: an unknown choice, a circuit of another model, means that these prompts do not have.
        DegeneratePairError: full and empty circuit hardly differ, so faithfulness would divide by nothing.
        SiteError: the backend cannot reach q, k, v, which circuits of edges need.
    """
    check_count(n_random, of="n_random", least=0)
    measured = MeasuredCircuit.of(circuit, keep_mlps=keep_mlps)
    randoms = [measured.circuit.random(seed + i, among=measured.candidates) for i in range(n_random)]
    circuits = [measured.full, measured.empty, measured.circuit, *randoms]

    kinds = (ablation, *(ABLATIONS if compare == "all" else compare))
    outliers = outliers_under(model, dataset.clean, kinds, include=include_outliers)

    def measure(kind: Ablation) -> Float[np.ndarray, "run pair"]:
        found = circuit_values(
            model,
            dataset,
            circuits,
            ablation=kind,
            metric=metric,
            batch_size=batch_size,
            exact=exact,
            outliers=outliers,
        )
        check_full_and_empty(model, dataset, found[0], found[1], metric, kind)
        return found

    by_ablation, left_out = _by_ablation(measure, ablation, compare)
    values = np.stack(list(by_ablation.values()))  # [ablation, run, pair]
    by_pair = np.moveaxis(values, -1, 0)
    scores = [circuit.scores[name] for name in measured.members if name in circuit.scores]
    return FaithfulnessResult(
        provenance=Provenance.of(model, seed=seed),
        pairs=pairs_with_choices(model, dataset),
        outliers=outliers,
        level=circuit.level,
        metric=metric,
        circuit=measured.members,
        scores=np.array(scores if len(scores) == len(measured.members) else [], dtype=float),
        n_candidates=len(measured.candidates),
        kept=measured.kept,
        ablations=tuple(by_ablation),
        runs=(*BASELINES, *(f"random {i}" for i in range(n_random))),
        values=values,
        faithfulness=_faithfulness(values, seed, dataset.clusters),
        gap=magnitude(mean_interval(by_pair[..., :1] - by_pair, seed, dataset.clusters)),
        left_out=left_out,
    )


def _by_ablation(
    measure: Callable[[Ablation], Float[np.ndarray, "run pair"]],
    ablation: Ablation,
    compare: Sequence[Ablation] | Literal["all"],
) -> tuple[dict[Ablation, Float[np.ndarray, "run pair"]], tuple[tuple[str, str], ...]]:
    """What is measured by each kind of ablation, the one that was asked for first; and those that cannot be
    had, with the reason."""
    values = {ablation: measure(ablation)}
    left_out: list[tuple[str, str]] = []
    for kind in ABLATIONS if compare == "all" else compare:
        if kind == ablation:
            continue
        try:
            values[kind] = measure(kind)
        except (InputError, DegeneratePairError) as error:
            if compare != "all":
                raise
            left_out.append((kind, str(error)))
    return values, tuple(left_out)


def _faithfulness(
    values: Float[np.ndarray, "ablation run pair"], seed: int, clusters: Clusters | None
) -> Interval:
    """Of each ablation and run, a ratio of means over pairs."""
    by_pair = np.moveaxis(values, -1, 0)  # [pair, ablation, run]
    full, empty = by_pair[..., :1], by_pair[..., 1:2]
    return ratio_interval(by_pair - empty, full - empty, seed, clusters)
