"""A circuit of edges as a drawn graph: the input below, the logits on top, layers between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from interp.figures.engine.view import Edge, Graph, Node
from interp.methods.common.graph import Node as ModelNode


def circuit_graph(
    edges: Sequence[str], weights: Sequence[float], title: str, *, unit: str = "score"
) -> Graph:
    """The graph of edges such as ``a0.h1->a3.h1<q>``; without weights, all are drawn alike.

    What an edge is read as, q, k or v, is a note at the edge; the nodes are whole heads.
    """
    ends = [tuple(map(ModelNode.parse, edge.split("->"))) for edge in edges]
    drawn_edges = tuple(
        Edge(str(sender), _whole(receiver), weight, note=receiver.part or "")
        for (sender, receiver), weight in zip(ends, weights or [1.0] * len(edges), strict=True)
    )
    nodes = dict.fromkeys(replace(node, part=None) for pair in ends for node in pair)
    top = 1 + max((_height(node) for node in nodes if node.kind != "logits"), default=0.0)
    drawn_nodes = tuple(
        Node(str(node), top if node.kind == "logits" else _height(node), node.head or 0) for node in nodes
    )
    note = "" if weights else "The edges have no scores; all are drawn alike."
    return Graph(
        name="circuit",
        nodes=drawn_nodes,
        edges=drawn_edges,
        unit=unit if weights else "",
        title=title,
        note=note,
    )


def _whole(receiver: ModelNode) -> str:
    return str(replace(receiver, part=None))


def _height(node: ModelNode) -> float:
    """By layer; MLPs stand half a layer above the heads, the input below all."""
    if node.layer is None:
        return -1.0
    return node.layer + 0.5 if node.kind == "mlp" else float(node.layer)
