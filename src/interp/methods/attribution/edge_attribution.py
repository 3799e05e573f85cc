"""How much does each edge matter? Exactly, or by gradients; and the same for nodes.

The score of an edge is the effect of patching it alone: what its receiver reads of its sender is the donor's,
everything downstream follows, and

    score = metric unpatched - metric with the edge patched    (noising)
    score = metric with the edge patched - metric unpatched    (denoising)

so that positive supports the clean answer: corrupting the edge lowers the metric, or restoring it raises it.
(Of a divergence, which is lower where the run is as clean, the signs are the other way round.) The highest
scores then make the circuit, and the lowest what works against it. EAP-IG's examples hand the metric in as a
loss, -logit_diff, of which this is the sign, too.

Methods:

- ``exact``: exact edge patching (`interp.methods.attribution.exact_edge_patching`). Every edge is patched and
  the model run from there.
- ``eap``: edge attribution patching (EAP, Syed et al. 2023, https://arxiv.org/abs/2310.10348), which is
  attribution patching of edges: the first-order estimate
  ``(donor's - base's output of the sender) . d metric / d (its reading)`` at the base run.
  It misleads where the metric is far from linear in the edge: where attention or the softmax saturates.
- ``eap-ig-inputs``: EAP with integrated gradients (EAP-IG, Hanna et al. 2024,
  https://arxiv.org/abs/2403.17806): the gradient averaged over runs whose input goes from the base to the
  donor, here at the midpoints of ``steps`` equal parts.
- ``eap-ig-activations``: the gradient averaged over runs in which the output of the input node, of all heads
  of a layer, or of an MLP goes from base to donor, each in turn (the MIB benchmark's, Mueller et al. 2025,
  https://arxiv.org/abs/2504.13151). By its published definition all these runs count alike for every edge,
  also those in which nothing flows through its receiver. So it underestimates, even in a linear model.

The score of a node is the effect of patching its whole output, which all its readers see.

Where a norm stands behind attention (Gemma 2 and 3, OLMo-2), the output of a head is what it adds to the
residual stream, with the norm's scale frozen at that of the run which it is from, base or donor
(`interp.methods.common.senders`), for edges and nodes alike. Patching z (`interp.activation_patching`)
computes the norm anew, so that the other heads of the layer are rescaled: the effect of a head is another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict, Unpack

import numpy as np

from interp.errors import InputError, check_choice
from interp.methods.attribution.edge_attribution_patching import (
    edge_scores_by_gradients,
    node_scores_by_gradients,
    runs_between,
)
from interp.methods.attribution.exact_edge_patching import exact_edge_scores, exact_node_scores
from interp.methods.attribution.results import EDGE_METHODS, EdgeMethod, ScoresResult, orientation
from interp.methods.common.graph import Graph, Level
from interp.methods.common.intervals import mean_interval
from interp.methods.common.pairs import Direction
from interp.methods.common.question import check_first_order, check_metric_and_direction
from interp.methods.common.sender_runs import PairRuns, over_sender_runs
from interp.metrics import MetricKind
from interp.models.base import Exact, Model
from interp.models.modes import outside_inference_mode
from interp.parts import Arrays
from interp.provenance import Provenance
from interp.tasks.base import PairDataset, pairs_in_words


class ScoringOptions(TypedDict, total=False):
    """The keyword arguments of `edge_attribution`, any of them."""

    method: EdgeMethod
    direction: Direction
    metric: MetricKind
    steps: int
    exact: Exact
    batch_size: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class _Scoring:
    """How to score; `edge_attribution` says what each field means.

    Raises `InputError` for an unknown method, metric or direction, and for less than one step.
    """

    method: EdgeMethod = "exact"
    direction: Direction = "noising"
    metric: MetricKind = "logit_diff"
    steps: int = 5
    exact: Exact = "auto"
    batch_size: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("method", self.method, EDGE_METHODS)
        check_metric_and_direction(self.metric, self.direction)
        if self.steps < 1:
            raise InputError(f"steps must be at least 1; got {self.steps}.")
        if self.method == "eap":
            check_first_order(
                self.metric,
                base_is_clean=self.direction == "noising",
                instead="method 'exact', 'eap-ig-inputs' or 'eap-ig-activations'",
            )

    @property
    def steps_taken(self) -> int:
        """The steps of integrated gradients; 0 for methods without."""
        return self.steps if "ig" in self.method else 0


@outside_inference_mode
def edge_attribution(
    model: Model,
    dataset: PairDataset,
    *,
    method: EdgeMethod = "exact",
    direction: Direction = "noising",
    metric: MetricKind = "logit_diff",
    steps: int = 5,
    exact: Exact = "auto",
    batch_size: int = 64,
    seed: int = 0,
) -> ScoresResult:
    """Score every edge of the model's graph over a dataset of pairs.

    Args:
        method: ``exact``, ``eap``, ``eap-ig-inputs`` or ``eap-ig-activations``; see the module.
        direction: ``noising`` (base clean; what the answer needs) or ``denoising`` (base corrupted; what
            brings it back). One edge by itself seldom brings anything back.
        metric: ``logit_diff``, ``prob``, ``log_prob`` or ``kl``.
        steps: of integrated gradients; for activations, of each node in turn.
        exact: see `interp.Model.sweep`; the result records in ``path`` how the exact scores were computed.
        batch_size: rows at once, where layers run by themselves or sweeps take the plain way.
        seed: of the bootstrap.

    Within `interp.resume.resuming`, pairs that were scored before it was stopped are not scored again.

    Raises:
        InputError: unknown choices; noising by ``eap`` with ``kl``, which has no gradient at the clean run.
        SiteError: a backend that does not reach q, k and v; a norm behind attention that is no RMSNorm.
        DegeneratePairError: clean and corrupted values that hardly differ on average.
    """
    scoring = _Scoring(
        method=method,
        direction=direction,
        metric=metric,
        steps=steps,
        exact=exact,
        batch_size=batch_size,
        seed=seed,
    )
    return _attribution(model, dataset, "edge", scoring)


@outside_inference_mode
def node_attribution(model: Model, dataset: PairDataset, **options: Unpack[ScoringOptions]) -> ScoresResult:
    """Score every head, every MLP and the input, each patched as a whole, on any architecture.

    The options, and what is raised, are those of `edge_attribution`.
    """
    return _attribution(model, dataset, "node", _Scoring(**options))


def _attribution(model: Model, dataset: PairDataset, level: Level, scoring: _Scoring) -> ScoresResult:
    """The score of every edge or node, the mean over pairs."""
    graph = Graph.of(model)
    for site in ("q", "k", "v") if level == "edge" else ():
        model.check_site(site)
    parts = over_sender_runs(
        model,
        dataset,
        lambda runs: _scores_of_pair(graph, level, runs, scoring),
        direction=scoring.direction,
        metric=scoring.metric,
        options={"scores": [level, scoring.method, scoring.steps_taken, str(scoring.exact)]},
    )
    sign = orientation(scoring.direction, scoring.metric)
    scores = sign * parts.stacked("scores")  # [pair, component]
    return ScoresResult(
        provenance=Provenance.of(model, seed=scoring.seed),
        pairs=pairs_in_words(model, dataset, parts.stacked("said").tolist()),
        graph=graph,
        level=level,
        method=scoring.method,
        steps=scoring.steps_taken,
        direction=scoring.direction,
        metric=scoring.metric,
        path=parts.path,
        names=graph.edges if level == "edge" else graph.senders,
        scores=mean_interval(scores, scoring.seed, dataset.clusters),
        clean_values=parts.stacked("clean_value"),
        corrupted_values=parts.stacked("corrupted_value"),
        oriented=True,
    )


def _scores_of_pair(graph: Graph, level: Level, runs: PairRuns, scoring: _Scoring) -> Arrays:
    """The score of every edge or node of one pair, and how it was computed."""
    if scoring.method == "exact":
        exactly = exact_edge_scores if level == "edge" else exact_node_scores
        scores, path = exactly(graph, runs, exact=scoring.exact, batch_size=scoring.batch_size)
    else:
        by_gradients = edge_scores_by_gradients if level == "edge" else node_scores_by_gradients
        scores = by_gradients(graph, runs, runs_between(runs, scoring.method, scoring.steps))
        path = "gradients"
    return {"scores": scores, "path": np.array(path)}
