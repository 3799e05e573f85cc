"""An attribution graph as one HTML file: nodes by token and layer, to click, pin and group into supernodes.

It loads nothing from elsewhere and works without a network. Any file that circuit-tracer or Neuronpedia write
can be shown (`interp.read_graph`); ours has the truth beside every node and edge. All texts are data that the
script sets as text, so that no token can act.
"""

from __future__ import annotations

import json
from pathlib import Path

from interp.figures.dashboard.parts import embedded_json, graph_script, read_part, write_page
from interp.figures.engine.html import escaped, page
from interp.figures.engine.notation import decimal
from interp.methods.graphs.graph_files import GraphFile, Supernodes, graph_file
from interp.methods.graphs.results import AttributionGraphResult


def graph_page(
    graph: AttributionGraphResult | GraphFile, path: str | Path, *, supernodes: Supernodes | None = None
) -> None:
    """Write the page of a graph to a file. Raises `InputError` where it cannot be written."""
    made = graph if isinstance(graph, GraphFile) else graph_file(graph, supernodes=supernodes)
    write_page("page", path, page_of(made))


def page_of(graph: GraphFile) -> str:
    """The page as HTML."""
    about = graph.metadata
    body = (
        f'<div id="graph"><div id="map"><h1>{escaped(about.prompt)}</h1><p>{escaped(_said(graph))}</p>'
        '<svg id="drawing" role="group" aria-label="The graph"></svg></div>'
        '<div id="about" tabindex="-1"><noscript>The page needs JavaScript.</noscript></div></div>'
        f'<script type="application/json" id="data">{embedded_json(json.loads(graph.to_json()))}</script>'
    )
    return page(
        title=f"Attribution graph: {about.prompt}",
        body=body,
        style=read_part("graph.css"),
        script=graph_script(),
    )


def _said(graph: GraphFile) -> str:
    """Which graph it is, and how far it is true, where it says."""
    extra = graph.metadata.model_extra or {}
    scores = [
        f"{words} {decimal(extra[key])}"
        for key, words in (
            ("replacement_score", "replacement score"),
            ("completeness_score", "completeness"),
            ("node_correlation", "correlation with the truth over features"),
            ("edge_correlation", "over edges"),
        )
        if isinstance(extra.get(key), float)
    ]
    of = f"{graph.metadata.scan}: {len(graph.nodes)} nodes, {len(graph.links)} edges"
    return f"{'; '.join([of, *scores])}. Circles: features; diamonds: errors; warm: raises, blue: lowers."
