"""The presentation of an attribution graph: the graph, and how far it is true."""

from __future__ import annotations

import numpy as np

from interp.figures.engine.notation import (
    count,
    decimal,
    measured,
    probability,
    show_prompt,
    show_text,
    show_token,
    signed,
)
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Edge, Graph, Node, Scatter, Table, View, Words
from interp.methods.graphs.results import AttributionGraphResult

_EDGES = 45  # drawn, of the strongest
_ROWS = 24
_LABELLED = 4


def view(result: AttributionGraphResult) -> View:
    """What the graph says, what is true of it, the nodes with both, and the graph itself."""
    first = show_token(result.nodes.labels[_first_logit(result)])
    return View(
        title="Which features made the answer?",
        above=(
            f"Prompt: {show_prompt(result.tokens, bos=result.provenance.bos)}",
            f"{_about(result)}; {count(result.n_active, 'feature')} active on this prompt, pruned to the "
            f"nodes with {decimal(100 * result.share_of_nodes, 0)} % of the influence and the edges with "
            f"{decimal(100 * result.share_of_edges, 0)} %.",
        ),
        blocks=(
            Words(_verdict(result, first), strong=True, name="verdict"),
            Words(_truth(result), name="truth"),
            _graph(result),
            _scatter_of_nodes(result, first),
            _scatter_of_edges(result),
            _nodes(result, first),
            *([_heads(result)] if result.heads else []),
        ),
        below=(
            "Graph: what follows from the direct effects if each feature shrinks by the share of its input "
            "that it loses. Local model: the node knocked out where MLPs are features and errors, attention "
            "and norms held. Model: the node knocked out in the model itself.",
            "An error is what no feature explains. Of a token, its whole embedding is taken away, which no "
            "text does: its true effect is often of another kind.",
            "The graph takes patterns of attention as they are; what made them is in the table of heads."
            if result.heads
            else "The graph does not say why heads attend where they do.",
        ),
    )


def _about(result: AttributionGraphResult) -> str:
    one = result.transcoders[0]
    skip = " and a linear map" if result.skip else ""
    if result.cross_layer:
        kind = f"A cross-layer transcoder of {one.n_features} features a layer ({one.activation}){skip}"
        return f"{kind} in the place of the MLPs"
    return f"Transcoders of {one.n_features} features ({one.activation}){skip} in the place of each MLP"


def _first_logit(result: AttributionGraphResult) -> int:
    return result.nodes.kinds.index("logit")


def _verdict(result: AttributionGraphResult, first: str) -> str:
    nodes, features = result.nodes, result.nodes.of_kind("feature")
    said = f"{first} (probability {probability(float(nodes.activations[_first_logit(result)]))})"
    if not features.any():
        return f"No feature is left in the graph of {said}."
    strongest = int(np.flatnonzero(features)[np.abs(nodes.in_model[features, 0]).argmax()])
    return (
        f"{count(int(features.sum()), 'feature')} and {count(int(nodes.of_kind('error').sum()), 'error')} "
        f"are left in the graph of {said}. Without {name_of(result, strongest)} the model "
        f"loses {signed(float(nodes.in_model[strongest, 0]))} logits of it, the most of all; by the graph "
        f"{signed(float(nodes.attribution[strongest, 0]))}."
    )


def _truth(result: AttributionGraphResult) -> str:
    def said(value: float | None) -> str:
        return "none" if value is None else decimal(value)

    return (
        f"Correlation of what the graph says and what the model loses: {said(result.node_correlation)} over "
        f"features, {said(result.edge_correlation)} over edges; of the graph and the local model "
        f"{said(result.local_correlation)}, of the local model and the model "
        f"{said(result.model_correlation)}. Replacement score {decimal(result.replacement_score)}, "
        f"completeness {decimal(result.completeness_score)}. With all MLPs replaced and no "
        f"errors the likeliest token is "
        f"{show_token(result.replaced_choice)}."
    )


def name_of(result: AttributionGraphResult, number: int) -> str:
    """A node in few words, unique in its graph."""
    nodes = result.nodes
    kind, at, label = nodes.kinds[number], int(nodes.positions[number]), nodes.labels[number]
    if kind == "logit":
        return f"logit {show_token(label)}"
    token = show_token(result.tokens[at], max_chars=9)
    if kind == "token":
        return f"{token} @{at}"
    what = "error" if kind == "error" else f"f{nodes.indices[number]}"
    return f"m{nodes.layers[number]}.{what} {token}@{at}"


def _height(result: AttributionGraphResult, number: int) -> float:
    return float(result.nodes.layers[number])


def _graph(result: AttributionGraphResult) -> Graph:
    nodes, edges = result.nodes, result.edges
    names = [name_of(result, number) for number in range(len(nodes))]
    return Graph(
        name="graph",
        title=f"What flows to {show_token(result.nodes.labels[_first_logit(result)])}",
        nodes=tuple(Node(names[i], _height(result, i), int(nodes.positions[i])) for i in range(len(nodes))),
        edges=tuple(
            Edge(names[s], names[t], effect)
            for s, t, effect in zip(
                edges.sources.tolist(), edges.targets.tolist(), _flows(result), strict=True
            )
        ),
        unit="logits",
        note="The direct effect of an edge as a share of its target's strength, times what the logit would "
        "lose without the target by the graph.",
        most=_EDGES,
    )


def _flows(result: AttributionGraphResult) -> list[float]:
    """What of the first logit flows along each edge, by the graph: into features and into the logit alike in
    logits, so that edges of all layers can be compared. Into other logits nothing of the first flows."""
    nodes, first = result.nodes, _first_logit(result)
    is_feature = nodes.of_kind("feature")
    each = np.zeros(len(nodes))
    each[is_feature] = nodes.attribution[is_feature, 0] / nodes.activations[is_feature]
    each[first] = 1.0
    return (result.edges.effects * each[result.edges.targets]).tolist()


def _scatter_of_nodes(result: AttributionGraphResult, first: str) -> Scatter:
    chosen = np.flatnonzero(result.nodes.of_kind("feature", "error"))
    x, y = result.nodes.attribution[chosen, 0], result.nodes.in_model[chosen, 0]
    return Scatter(
        name="truth_of_nodes",
        title=f"Nodes: logits of {first} lost without each",
        x=tuple(x.tolist()),
        y=tuple(y.tolist()),
        labels=tuple(name_of(result, i) for i in chosen.tolist()),
        x_title="by the graph",
        y_title="in the model",
        labelled=tuple(np.argsort(-np.abs(x) - np.abs(y))[:_LABELLED].tolist()),
        diagonal=True,
        note="Features and errors.",
    )


def _scatter_of_edges(result: AttributionGraphResult) -> Scatter:
    edges = result.edges
    x, y = edges.effects, edges.in_model
    names = [
        f"{name_of(result, s)} → {name_of(result, t)}"
        for s, t in zip(edges.sources.tolist(), edges.targets.tolist(), strict=True)
    ]
    return Scatter(
        name="truth_of_edges",
        title="Edges: what the target loses without the source, other MLPs held",
        x=tuple(x.tolist()),
        y=tuple(y.tolist()),
        labels=tuple(names),
        x_title="direct effect",
        y_title="in the model",
        labelled=tuple(np.argsort(-np.abs(x - y))[:2].tolist()),
        diagonal=True,
        pearson=result.edge_correlation,
        note="What lies off the line is what frozen attention and norms hide.",
        beside=True,
    )


def _nodes(result: AttributionGraphResult, first: str) -> Table:
    nodes = result.nodes
    sources = np.flatnonzero(~nodes.of_kind("logit"))
    order = sources[np.argsort(-nodes.influence[sources], kind="stable")][:_ROWS]
    rows = tuple(
        (
            name_of(result, i),
            nodes.labels[i] if nodes.kinds[i] == "feature" else "",
            measured(float(nodes.activations[i])),
            decimal(float(nodes.influence[i]), 3),
            signed(float(nodes.attribution[i, 0])),
            signed(float(nodes.in_local_model[i, 0])),
            signed(float(nodes.in_model[i, 0])),
        )
        for i in order.tolist()
    )
    shown = "" if len(order) == len(sources) else f", the {len(order)} of {len(sources)} with most influence"
    columns = ("node", "says", "strength", "influence", "graph", "local model", "model")
    return Table(columns, rows, title=f"Logits of {first} lost without each node{shown}", name="nodes")


def _heads(result: AttributionGraphResult) -> Table:
    """The heads that move the answer to the end, and the pair that does most for their attention."""
    rows = []
    for one in result.heads:
        at = f"{show_token(result.tokens[one.key])} @{one.key}"
        first = (
            (show_text(one.nodes[one.pair_queries[0]]), show_text(one.nodes[one.pair_keys[0]]))
            if len(one.pair_values)
            else ("", "")
        )
        value = signed(float(one.pair_values[0])) if len(one.pair_values) else ""
        rows.append(
            (f"{one.layer}.{one.head}", at, decimal(one.attention[0]), measured(one.score), *first, value)
        )
    columns = ("head", "attends to", "attention", "score", "in the query", "in the key", "adds")
    title = "Why the heads attend there that move most of the answer to the last token: the strongest pair"
    return Table(columns, tuple(rows), title=title, name="heads")


figure, table, report = presentation(view)
