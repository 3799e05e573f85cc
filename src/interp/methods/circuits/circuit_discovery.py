"""Finding a circuit: score every edge or node, and build a circuit from the largest scores.

As in EAP-IG (Hanna et al. 2024, https://arxiv.org/abs/2403.17806, sec. 3 and its package):

- ``top``: the n edges (or nodes) of the largest scores. Many of them may lead nowhere.
- ``greedy``: from the logits backwards. Of all edges into what the circuit has so far, the one of the largest
  score joins, until there are n; with the first edge from a sender, all edges into it become candidates. So
  every edge reaches the logits. Over edges alone.

Then edges without a path from the input or to the logits are pruned, so that a circuit may have fewer than n.

Scores of single edges add up to what a set of them does in a linear model alone. Where heads step in for
each other, each by itself matters little and is missed. A circuit is to be measured (`interp.faithfulness`),
on other pairs than those that it was found on.
"""

from __future__ import annotations

import heapq
from dataclasses import fields, replace
from typing import Unpack

from interp.errors import InputError, check_choice
from interp.methods.attribution.edge_attribution import ScoringOptions, edge_attribution, node_attribution
from interp.methods.circuits.results import CONSTRUCTIONS, CircuitDiscoveryResult, Construction
from interp.methods.common.circuit import LEVELS, Circuit
from interp.methods.common.graph import Graph, Level
from interp.methods.common.names import edge_ends
from interp.models.base import Model
from interp.tasks.base import PairDataset


def circuit_discovery(
    model: Model,
    dataset: PairDataset,
    *,
    n: int,
    level: Level = "edge",
    construction: Construction = "greedy",
    absolute: bool = True,
    **scoring: Unpack[ScoringOptions],
) -> CircuitDiscoveryResult:
    """Find a circuit of `n` edges or nodes (fewer where some lead nowhere) on a dataset of pairs.

    Args:
        level: ``edge`` or ``node``; at the level of nodes, the construction is ``top``.
        construction: ``greedy`` or ``top``.
        absolute: take scores by their size, whatever their sign; else the highest.
        scoring: the arguments of `interp.edge_attribution` (`method`, `direction`, `metric`, `steps`, ...).

    Raises:
        InputError: an unknown choice, or more edges or nodes than there are; and what
            `interp.edge_attribution` raises.
    """
    for kind, value, valid in (("level", level, LEVELS), ("construction", construction, CONSTRUCTIONS)):
        check_choice(kind, value, valid)
    if level == "node" and construction == "greedy":
        raise InputError("Circuits of nodes have no edges to follow from the logits; use construction='top'.")
    most = len(Graph.of(model).edges)
    if not 0 <= n <= most:
        raise InputError(f"The model has {most} edges, so there is no circuit of {n}.")
    attribution = edge_attribution if level == "edge" else node_attribution
    scores = attribution(model, dataset, **scoring)
    build = greedy if construction == "greedy" else Circuit.top
    circuit = build(scores.scored, n, absolute=absolute).pruned()
    return CircuitDiscoveryResult(
        **{f.name: getattr(scores, f.name) for f in fields(scores)},
        construction=construction,
        n=n,
        absolute=absolute,
        members=circuit.names,
    )


def greedy(scored: Circuit, n: int, *, absolute: bool = True) -> Circuit:
    """The circuit of `n` edges that grows from the logits backwards, by the scores of `scored`.

    Edges of equal score join in the order of the graph. Raises `InputError` where there are fewer scores than
    `n`.
    """
    if not 0 <= n <= len(scored.scores):
        raise InputError(f"There are {len(scored.scores)} scores of edges, so there is no circuit of {n}.")
    graph = scored.graph
    into: dict[str, list[tuple[float, int, str]]] = {}  # by receiver: (-size, place in the graph, edge)
    for place, edge in enumerate(graph.edges):
        score = scored.scores[edge]
        entry = (-abs(score) if absolute else -score, place, edge)
        into.setdefault(edge_ends(edge)[1], []).append(entry)
    candidates = into["logits"]
    heapq.heapify(candidates)
    chosen, reached = set[str](), {"input"}
    while len(chosen) < n:
        _, _, edge = heapq.heappop(candidates)
        chosen.add(edge)
        sender = edge_ends(edge)[0]
        if sender not in reached:
            reached.add(sender)
            for receiver in graph.receivers_of(graph.sender_nodes[graph.sender_index[sender]]):
                for entry in into.pop(str(receiver), []):
                    heapq.heappush(candidates, entry)
    return replace(scored, members=frozenset(chosen))
