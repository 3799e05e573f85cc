"""A circuit of edges as a drawn graph: the input below, the logits on top, layers between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from interp.figures.engine.view import Edge, Graph, Node
from interp.methods.common.names import Component, parse_edge


def circuit_graph(
    edges: Sequence[str], weights: Sequence[float], title: str, *, unit: str = "score"
) -> Graph:
    """The graph of edges such as ``a0.h1->a3.h1<q>``; without weights, all are drawn alike.

    What an edge is read as, q, k or v, is a note at the edge; the nodes are whole heads.
    """
    parsed = [parse_edge(edge) for edge in edges]
    drawn = tuple(
        Edge(str(edge.sender), str(_whole(edge.receiver)), weight, note=edge.receiver.reads or "")
        for edge, weight in zip(parsed, weights or [1.0] * len(parsed), strict=True)
    )
    parts = list(dict.fromkeys(end for edge in parsed for end in (edge.sender, _whole(edge.receiver))))
    top = 1 + max((_height(part) for part in parts if part.kind != "logits"), default=0.0)
    nodes = tuple(
        Node(str(part), top if part.kind == "logits" else _height(part), part.index or 0) for part in parts
    )
    return Graph(
        name="circuit",
        nodes=nodes,
        edges=drawn,
        unit=unit if weights else "",
        title=title,
        note="" if weights else "The edges have no scores; all are drawn alike.",
    )


def _whole(receiver: Component) -> Component:
    return replace(receiver, reads=None)


def _height(part: Component) -> float:
    """By layer; MLPs stand half a layer above the heads, the input below all."""
    if part.kind == "input":
        return -1.0
    return part.layer + 0.5 if part.kind == "mlp" else float(part.layer)
