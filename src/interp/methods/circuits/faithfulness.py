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

from interp.errors import DegeneratePairError, InputError, NonFiniteError
from interp.methods.circuits.results import BASELINES, FaithfulnessResult
from interp.methods.circuits.runs import ABLATIONS, Ablation, circuit_values
from interp.methods.common.circuit import Circuit
from interp.methods.common.statistics import resampled_means
from interp.metrics import METRICS, MetricKind
from interp.models.base import Exact, Model
from interp.provenance import Provenance
from interp.results import Interval
from interp.tasks.base import PairDataset, pairs_in_words


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
        seed: of the random circuits and the bootstrap.

    Raises:
        InputError: an unknown choice, a circuit of another model, means that these prompts do not have.
        DegeneratePairError: full and empty circuit hardly differ, so faithfulness would divide by nothing.
        SiteError: the backend cannot reach q, k, v, which circuits of edges need.
    """
    if n_random < 0:
        raise InputError(f"n_random must be 0 or more; got {n_random}.")
    circuit, pool, kept = with_kept(circuit, keep_mlps)
    randoms = [circuit.random(seed + i, among=pool) for i in range(n_random)]
    circuits = [circuit.full, circuit.empty.union(kept), circuit, *randoms]
    values: list[np.ndarray] = []
    left_out: list[tuple[str, str]] = []
    others = ABLATIONS if compare == "all" else compare
    wanted = (ablation, *(kind for kind in others if kind != ablation))
    for kind in wanted:
        try:
            found = circuit_values(
                model, dataset, circuits, ablation=kind, metric=metric, batch_size=batch_size, exact=exact
            )
            check_full_and_empty(found[0], found[1], metric, kind)
        except (InputError, DegeneratePairError) as error:
            if kind == ablation or compare != "all":
                raise
            left_out.append((kind, str(error)))
        else:
            values.append(found)
    measured = np.stack(values)  # [ablation, run, pair]
    members = tuple(name for name in circuit.names if name not in set(kept))
    scored = all(name in circuit.scores for name in members)
    unavailable = [kind for kind, _ in left_out]
    return FaithfulnessResult(
        provenance=Provenance.of(model, seed=seed),
        pairs=pairs_in_words(model, dataset),
        level=circuit.level,
        metric=metric,
        circuit=members,
        scores=np.array([circuit.scores[name] for name in members if scored], dtype=float),
        n_candidates=len(pool),
        kept=kept,
        ablations=tuple(kind for kind in wanted if kind not in unavailable),
        runs=(*BASELINES, *(f"random {i}" for i in range(n_random))),
        values=measured,
        faithfulness=_over_pairs(_faithfulness, measured, seed),
        gap=_over_pairs(_gap, measured, seed),
        left_out=tuple(left_out),
    )


def ratio(values: np.ndarray, full: np.ndarray, empty: np.ndarray) -> np.ndarray:
    """Faithfulness of mean values, by MIB's definition."""
    return (values - empty) / (full - empty)


def _faithfulness(means: Float[np.ndarray, "*draw run"]) -> Float[np.ndarray, "*draw run"]:
    return ratio(means, means[..., :1], means[..., 1:2])


def _gap(means: Float[np.ndarray, "*draw run"]) -> Float[np.ndarray, "*draw run"]:
    return np.abs(means[..., :1] - means)


def _over_pairs(
    of: Callable[[np.ndarray], np.ndarray], values: Float[np.ndarray, "ablation run pair"], seed: int
) -> Interval:
    """What is made of the means over pairs, for each ablation and run, with its interval."""
    drawn = resampled_means(np.moveaxis(values, -1, 0), seed)  # [resample, ablation, run]
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = np.percentile(of(drawn), [2.5, 97.5], axis=0)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise DegeneratePairError(
            "Among some of these pairs, full and empty circuit do not differ at all, so that there is no "
            "interval; give more pairs, or those that the model gets right."
        )
    return Interval(value=of(values.mean(-1)), low=low, high=high)


# ---- what measures of circuits share ----


def with_kept(circuit: Circuit, keep_mlps: bool) -> tuple[Circuit, tuple[str, ...], tuple[str, ...]]:
    """The circuit, with all MLPs where they are kept; what else may be in a circuit; and what is kept."""
    if keep_mlps and circuit.level == "edge":
        raise InputError(
            "keep_mlps is for circuits of nodes; a circuit of edges names the edges of MLPs itself."
        )
    kept = tuple(name for name in circuit.candidates if keep_mlps and name.startswith("m"))
    pool = tuple(name for name in circuit.candidates if name not in set(kept))
    return circuit.union(kept), pool, kept


def check_full_and_empty(full: np.ndarray, empty: np.ndarray, metric: str, ablation: str) -> None:
    """Raise `DegeneratePairError` where faithfulness would divide by nearly nothing, `NonFiniteError` for
    NaN."""
    values = float(full.mean()), float(empty.mean())
    if not np.isfinite(values).all():
        raise NonFiniteError("The model's logits are NaN or infinite on these prompts; check its weights.")
    if abs(values[0] - values[1]) < METRICS[metric].min_span:
        raise DegeneratePairError(
            f"The full and the empty circuit hardly differ by {ablation} ablation: "
            f"{METRICS[metric].description} is "
            f"{values[0]:.4g} and {values[1]:.4g} on average, less than {METRICS[metric].min_span} apart, so "
            "faithfulness would divide by nearly nothing; choose another corruption, ablation or metric."
        )
