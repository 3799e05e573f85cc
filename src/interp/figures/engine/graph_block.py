"""A circuit as a block of a view: nodes and edges."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from interp.figures.engine.blocks import Chart, Table, check_finite, check_shown, in_sentences, number
from interp.figures.engine.chart_blocks import largest_of, left_out_note


@dataclass(frozen=True)
class Node:
    """A node of a circuit, such as ``a3.h1``, ``m2`` or ``logits``: its height, and its place among equals.

    The layer may lie between two: attention of layer 3 at 3, its MLP at 3.5, the embedding at -1.
    """

    name: str
    layer: float
    order: int = 0


@dataclass(frozen=True)
class Edge:
    """An edge between two nodes by name; `note` may say which input it is (q, k or v)."""

    source: str
    target: str
    weight: float
    _: KW_ONLY
    note: str = ""

    @property
    def name(self) -> str:
        return f"{self.source} → {self.target}" + (f" ({self.note})" if self.note else "")


@dataclass(frozen=True)
class Graph(Chart):
    """A circuit, drawn from the lowest layer up; the sign of an edge by colour, its size by width."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    unit: str
    _: KW_ONLY
    note: str = ""  # what the sign means
    most: int = 60  # of more edges, the largest are drawn, and it is said

    def __post_init__(self) -> None:
        super().__post_init__()
        names = [node.name for node in self.nodes]
        check_shown(len(set(names)) == len(names), "two nodes of one name")
        for edge in self.edges:
            check_shown(
                {edge.source, edge.target} <= set(names), f"an edge {edge.name} of a node that is not there"
            )
        check_finite([edge.weight for edge in self.edges])

    @property
    def is_empty(self) -> bool:
        return not self.nodes

    @property
    def largest_edges(self) -> list[Edge]:
        """The edges that are drawn, the largest first."""
        chosen = largest_of([edge.weight for edge in self.edges], self.most)
        return sorted((self.edges[i] for i in chosen), key=lambda edge: -abs(edge.weight))

    @property
    def joined_nodes(self) -> list[Node]:
        """All nodes; where edges are left out, those that still have one."""
        edges = self.largest_edges
        ends = {name for edge in edges for name in (edge.source, edge.target)}
        return [n for n in self.nodes if n.name in ends or len(edges) == len(self.edges)]

    @property
    def key(self) -> str:
        """What the colour and width of an edge mean, and whether all are drawn."""
        largest = max((abs(edge.weight) for edge in self.edges), default=0.0)
        widths = (
            f"Edges run upwards; warm: positive, blue: negative; the widest is {number(largest)} {self.unit}."
        )
        edges = left_out_note(len(self.largest_edges), len(self.edges), "edge")
        nodes = left_out_note(len(self.joined_nodes), len(self.nodes), "node").replace(
            "largest", "that they join"
        )
        return in_sentences(widths if self.edges else "No edges.", self.note, edges, nodes)

    @property
    def table(self) -> Table:
        """All edges, the largest first."""
        edges = sorted(self.edges, key=lambda edge: -abs(edge.weight))
        rows = tuple((edge.name, edge.weight) for edge in edges)
        return Table(("edge", self.unit), rows, title=self.title or f"{len(edges)} edges")
