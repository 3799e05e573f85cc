"""What discovery shows: the circuit that was built, as a graph, and the scores that it was built from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from interp.figures.engine.notation import count, decimal
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Bars, Block, View, Words
from interp.figures.views.chance_text import chance_sentence
from interp.figures.views.circuit_graph import circuit_graph
from interp.figures.views.circuit_text import members_text
from interp.figures.views.norms_text import norms_sentences
from interp.figures.views.pairs_text import (
    doubts,
    intervals_sentence,
    metric_sentence,
    pairs_sentences,
    weak_sentence,
)
from interp.methods.circuits.results import CircuitDiscoveryResult
from interp.methods.common.names import NODES, edge_ends, parse
from interp.metrics import METRICS

_NAMED, _LISTED = 4, 25
_METHODS = {
    "exact": "Every {level} was patched by itself and run",
    "eap": "Scores are first-order estimates at the base run (EAP): they mislead where the metric is far "
    "from linear, as where attention saturates; method 'exact' checks them. Computed",
    "eap-ig-inputs": "Scores are estimates by gradients over {steps} steps from the base run's input to the "
    "other's (EAP-IG inputs); method 'exact' checks them. Computed",
    "eap-ig-activations": "Scores are estimates by gradients over {steps} steps from the base run's "
    "activations to the other's, each in turn (EAP-IG activations); method 'exact' checks them. Computed",
}
_PATHS = {
    "branching": "as branches of one run",
    "plain": "by whole forward passes",
    "gradients": "by gradients",
}
_SUPPORT = {
    "noising": "how far its corrupted output in the clean run moves the metric away",
    "denoising": "how far its clean output in the corrupted run moves the metric",
}
_FROM_TO = {"noising": "from", "denoising": "towards"}
_BUILT = {
    "greedy": "grown from the logits backwards, the largest score first",
    "top": "the largest scores",
}


def view(result: CircuitDiscoveryResult) -> View:
    """The circuit as a graph of edges, and the largest scores."""
    n, what = len(result.members), f"{result.level}s"
    pruned = result.n - n
    return View(
        title="Which circuit carries the answer?",
        above=(
            *doubts(result.pairs, result.metric, result.clean_values),
            *pairs_sentences(result.pairs),
            *weak_sentence(result.metric, result.clean_values, result.corrupted_values),
            f"Score of {'an edge' if result.level == 'edge' else 'a node'}: {_SUPPORT[result.direction]} "
            f"{_FROM_TO[result.direction]} the clean answer. "
            + metric_sentence(result.metric, result.clean_values, result.corrupted_values),
            f"Circuit: {n} of {len(result.names):,} {what}, {_BUILT[result.construction]}"
            + ("" if result.absolute else ", negative ones last")
            + (
                f"; {pruned} of {count(result.n, result.level)} led nowhere and were pruned."
                if pruned
                else "."
            ),
        ),
        blocks=(Words(_verdict(result), strong=True, name="verdict"), *_graph(result), _bars(result)),
        below=(
            f"{_METHODS[result.method].format(level=result.level, steps=result.steps)} "
            f"{' and '.join(_PATHS[path] for path in result.path.split(' and '))}.",
            "Positive supports the clean answer; negative works against it.",
            "Scores are of single parts: a circuit is tested by experiment 'faithfulness', on other pairs.",
            *(
                (
                    "Keys and values are shared by several heads and counted by themselves (a0.h1<v>: the "
                    "second ones of layer 0); an edge to them is drawn to each head that reads them.",
                )
                if result.level == "edge" and result.graph.n_kv_heads < result.graph.n_heads
                else ()
            ),
            *chance_sentence(result.scores, f"{result.level}s"),
            intervals_sentence(result.pairs, result.scores),
            *norms_sentences(result.provenance, "frozen"),
        ),
    )


figure, table, report = presentation(view)


def _verdict(result: CircuitDiscoveryResult) -> str:
    if not result.members:
        return "Nothing leads from the input to the logits: take more."
    best = [f"{name} ({decimal(score)})" for name, score in result.strongest(_NAMED)]
    largest = f"Largest scores, in {METRICS[result.metric].unit}: {', '.join(best)}."
    return largest if result.level == "edge" else f"{largest} Circuit: {members_text(result.members)}."


def _graph(result: CircuitDiscoveryResult) -> list[Block]:
    if result.level != "edge" or not result.members:
        return []
    scores = result.by_name()
    edges, weights = [], []
    for name in result.members:
        sender, receiver = edge_ends(name)
        node = parse(receiver, NODES)
        for reader in result.graph.sender_of(node) or (node,):
            edges.append(f"{sender}->{replace(reader, reads=node.reads)}")
            weights.append(scores[name])
    return [circuit_graph(edges, weights, "The circuit", unit=METRICS[result.metric].unit)]


def _bars(result: CircuitDiscoveryResult) -> Bars:
    chosen = np.argsort(-np.abs(result.scores.value), kind="stable")[:_LISTED]
    scores = result.scores[chosen]
    return Bars(
        name="scores",
        labels=tuple(result.names[i] for i in chosen),
        values=tuple(scores.value.tolist()),
        unit=METRICS[result.metric].unit,
        title=f"The {len(chosen)} largest scores of all {len(result.names):,} {result.level}s",
        low=tuple(scores.low.tolist()),
        high=tuple(scores.high.tolist()),
        note=f"Also {result.level}s that are not in the circuit.",
    )
