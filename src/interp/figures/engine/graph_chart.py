"""A circuit laid out as a picture: nodes in rows by layer, edges that run around the nodes between them.

1. Each layer is a row (several, where its nodes do not fit beside each other), the lowest at the bottom.
2. The edges of a node leave and enter it side by side, in the order of where they come from and go to.
3. An edge is a curve upwards; of some ways to bow it, the first that crosses the fewest other nodes is taken.
4. The strongest edges are written out at the right with their numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from interp.figures.engine.graph_block import Edge, Graph, Node
from interp.figures.engine.measured_text import fit, line_height, text_width
from interp.figures.engine.notation import measured
from interp.figures.engine.picture import Area, Label, Picture, Stroke, box

_TEXT, _SMALL = 8.0, 7.0
_BOX = 0.23  # height of a node, inches
_WIDEST = 7.5  # of a row
_BOWS = (0, 0.25, -0.25, 0.5, -0.5, 0.8, -0.8, 1.2, -1.2, 1.7, -1.7, 2.4, -2.4)
_STEPS = 28

Point: TypeAlias = tuple[float, float]
Box: TypeAlias = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """Where the nodes stand: their middles and boxes by name, on a sheet of that size."""

    at: Mapping[str, Point]
    boxes: Mapping[str, Box]
    width: float
    height: float


def graph(block: Graph) -> Picture:
    """Nodes as boxes with their names, edges by sign and size, the strongest edges written out."""
    edges = block.largest_edges
    layout = _layout(block.joined_nodes)
    heading, listed = _strongest(block, edges, layout.height)
    widths = [text_width(text, _SMALL) for text in listed] + [text_width(heading, _SMALL, bold=True)]
    list_width = max(widths) if listed else 0.0
    height = max(layout.height, (len(listed) + 1.5) * line_height(_SMALL))
    picture = Picture(layout.width + 0.3 + list_width, height)
    _draw_edges(picture, block, edges, layout)
    _draw_nodes(picture, block, layout)
    if listed:
        picture.add(Label(layout.width + 0.25, 0.1, heading, _SMALL, bold=True))
    for i, text in enumerate(listed):
        y = 0.1 + (i + 1) * line_height(_SMALL)
        picture.add(Label(layout.width + 0.25, y, text, _SMALL, _colour(edges[i])))
    return picture


def _layout(nodes: Sequence[Node]) -> _Layout:
    """Rows from the lowest layer up, with room for curves beside the nodes."""
    rows = _rows(nodes)
    cell = max(_width(node) for node in nodes) + 0.25
    side = 0.5 if len(rows) > 2 else 0.1
    width = max(cell * max(map(len, rows)), 2.6) + 2 * side
    gap = min(0.72, max(0.46, 7.5 / len(rows)))
    height = gap * (len(rows) - 1) + _BOX + 0.1
    at = {
        node.name: (
            side + (width - 2 * side) * (i + 0.5) / len(row),
            height - 0.05 - _BOX / 2 - gap * (r + _shift(i, row)),
        )
        for r, row in enumerate(rows)
        for i, node in enumerate(row)
    }
    boxes = {node.name: _box_of(node, at[node.name]) for node in nodes}
    return _Layout(at=at, boxes=boxes, width=width, height=height)


def _strongest(block: Graph, edges: Sequence[Edge], height: float) -> tuple[str, list[str]]:
    """The heading of the list of edges, and as many of them as a sheet of this height has room for."""
    most = max(int(height / line_height(_SMALL)) - 1, 3)
    listed = [fit(f"{edge.name}: {measured(edge.weight)}", _SMALL, 2.6) for edge in edges[:most]]
    some = f"strongest {len(listed)} of {len(edges)}" if len(listed) < len(edges) else "strongest"
    return f"{some} ({block.unit})", listed


def _draw_edges(picture: Picture, block: Graph, edges: Sequence[Edge], layout: _Layout) -> None:
    """The strongest on top."""
    ports = _ports(edges, layout.at, layout.boxes)
    largest = max((abs(edge.weight) for edge in edges), default=0) or 1.0
    for edge, (start, stop) in reversed(list(zip(edges, ports, strict=True))):
        others = [box for name, box in layout.boxes.items() if name not in (edge.source, edge.target)]
        share = abs(edge.weight) / largest
        picture.add(
            Stroke(
                _route(start, stop, others, layout.width),
                _colour(edge),
                0.7 + 3 * share,
                opacity=0.4 + 0.55 * share,
                tip=f"{edge.name}: {measured(edge.weight)} {block.unit}",
            )
        )


def _draw_nodes(picture: Picture, block: Graph, layout: _Layout) -> None:
    for node in block.joined_nodes:
        (x, y), (left, top, right, bottom) = layout.at[node.name], layout.boxes[node.name]
        corners = box(left, top, right - left, bottom - top)
        picture.add(Area(corners, "paper"), Stroke((*corners, corners[0]), "quiet", 0.8))
        picture.add(Label(x, y, node.name, _TEXT, anchor="middle", tip=_node_tip(node, block)))


def _colour(edge: Edge) -> str:
    return "warm" if edge.weight >= 0 else "cool"


def _rows(nodes: Sequence[Node]) -> list[list[Node]]:
    """The nodes of each layer from the lowest up, in rows that are not too wide."""
    most = max(1, int(_WIDEST / (max(_width(node) for node in nodes) + 0.25)))
    rows = []
    for layer in sorted({node.layer for node in nodes}):
        here = sorted((node for node in nodes if node.layer == layer), key=lambda n: (n.order, n.name))
        n_rows = -(-len(here) // most)
        rows += [here[i::n_rows] for i in range(n_rows)]
    return rows


def _shift(i: int, row: Sequence[Node]) -> float:
    """Neighbours stand a little higher and lower, so that edges along a row keep apart."""
    return 0.0 if len(row) < 4 else (0.1 if i % 2 else -0.1)


def _width(node: Node) -> float:
    return text_width(node.name, _TEXT) + 0.14


def _box_of(node: Node, at: Point) -> Box:
    half = _width(node) / 2
    return at[0] - half, at[1] - _BOX / 2, at[0] + half, at[1] + _BOX / 2


def _ports(
    edges: Sequence[Edge], at: Mapping[str, Point], boxes: Mapping[str, Box]
) -> list[tuple[Point, Point]]:
    """Where each edge leaves its source (above) and enters its target (below)."""
    ends: list[list[Point]] = [[(0, 0), (0, 0)] for _ in edges]
    for name, (left, top, right, bottom) in boxes.items():
        for end, y in ((0, top), (1, bottom)):
            here = [i for i, edge in enumerate(edges) if (edge.source, edge.target)[end] == name]
            here.sort(key=lambda i: (at[(edges[i].target, edges[i].source)[end]][0], edges[i].note, i))
            for place, i in enumerate(here):
                ends[i][end] = left + (right - left) * (place + 1) / (len(here) + 1), y
    return [(start, stop) for start, stop in ends]


def _route(start: Point, stop: Point, boxes: Sequence[Box], width: float) -> tuple[Point, ...]:
    """The curve from start to stop that crosses the fewest boxes; of those, the straightest."""
    curves = [_curve(start, stop, bow) for bow in _BOWS]
    return min(curves, key=lambda curve: _crossed(curve, boxes, width))  # the first of equals


def _curve(start: Point, stop: Point, bow: float) -> tuple[Point, ...]:
    """A cubic curve that leaves and arrives upright, pushed sideways by `bow`."""
    (x0, y0), (x1, y1) = start, stop
    pull = (y0 - y1) * (0.35 if bow else 0.4)
    a, b = (x0 + bow * 1.3, y0 - pull), (x1 + bow * 1.3, y1 + pull)
    points = []
    for i in range(_STEPS + 1):
        t = i / _STEPS
        w = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
        points.append(
            (
                w[0] * x0 + w[1] * a[0] + w[2] * b[0] + w[3] * x1,
                w[0] * y0 + w[1] * a[1] + w[2] * b[1] + w[3] * y1,
            )
        )
    return tuple(points)


def _crossed(curve: Sequence[Point], boxes: Sequence[Box], width: float) -> int:
    """How many boxes a curve crosses; to leave the sheet is worst."""
    if any(not 0.02 <= x <= width - 0.02 for x, _ in curve):
        return 1000
    near = 0.04
    return sum(
        any(left - near <= x <= right + near and top - near <= y <= bottom + near for x, y in curve)
        for left, top, right, bottom in boxes
    )


def _node_tip(node: Node, block: Graph) -> str:
    into = sum(edge.target == node.name for edge in block.edges)
    out = sum(edge.source == node.name for edge in block.edges)
    return f"{node.name}: {into} edges in, {out} out"
