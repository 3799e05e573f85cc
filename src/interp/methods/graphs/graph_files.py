"""Attribution graphs as the JSON file that circuit-tracer's viewer and Neuronpedia read, both ways.

The fields are those of Neuronpedia's schema (https://github.com/hijohnnylin/neuronpedia, graph-schema.json):
``metadata``, ``qParams`` (what is pinned, grouped and clicked), ``nodes`` and ``links``. A feature's node is
``LAYER_FEATURE_POSITION``, an error's ``LAYER_-1_POSITION``, a token's ``E_TOKEN_POSITION``, a logit's
``(layers + 1)_TOKEN_POSITION``. Ours also have the truth, in fields that other readers pass over: of a node
what the first logit loses without it (``attribution``, ``in_local_model``, ``in_model``), of a link what its
target loses without its source in the model (``in_model``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from interp.errors import InputError, first_line
from interp.methods.graphs.results import AttentionScorePartsResult, AttributionGraphResult

_LARGEST = 200 * 2**20  # bytes of a file that is read
_TYPES = {
    "feature": "cross layer transcoder",
    "error": "mlp reconstruction error",
    "token": "embedding",
    "logit": "logit",
}

#: A named group of nodes: its name, and their ids.
Supernodes = Mapping[str, Sequence[str]]


class _Lenient(BaseModel):
    """Other fields are kept as they are."""

    model_config = ConfigDict(extra="allow", frozen=True)


class FileNode(_Lenient):
    """A node of a file."""

    node_id: str
    feature: int | None = None
    layer: str | int
    ctx_idx: int
    feature_type: str
    jsNodeId: str = ""
    clerp: str = ""
    influence: float | None = None
    activation: float | None = None
    token_prob: float = 0.0
    is_target_logit: bool = False
    run_idx: int = 0
    reverse_ctx_idx: int = 0
    attribution: float | None = None
    in_local_model: float | None = None
    in_model: float | None = None


class FileLink(_Lenient):
    """A direct effect of one node on another."""

    source: str
    target: str
    weight: float
    in_model: float | None = None


class FileMetadata(_Lenient):
    """What graph it is."""

    slug: str
    scan: str
    prompt_tokens: list[str]
    prompt: str
    node_threshold: float | None = None
    schema_version: int | None = 1


class FileView(_Lenient):
    """What is pinned, grouped and clicked in a viewer. A supernode is a list: its name, then ids."""

    pinnedIds: list[str] = []
    supernodes: list[list[str]] = []
    linkType: str = "both"
    clickedId: str = ""
    sg_pos: str = ""


class GraphFile(_Lenient):
    """A graph as it stands in a file; links between nodes that are there."""

    metadata: FileMetadata
    qParams: FileView = FileView()
    nodes: list[FileNode]
    links: list[FileLink]

    @model_validator(mode="after")
    def _links_have_ends(self) -> GraphFile:
        ids = {node.node_id for node in self.nodes}
        if len(ids) < len(self.nodes):
            raise ValueError("two nodes have one id")
        for link in self.links:
            if not {link.source, link.target} <= ids:
                raise ValueError(f"a link from {link.source!r} to {link.target!r}, which are not both there")
        return self

    def to_json(self) -> str:
        """Its text, without what is not known."""
        data = self.model_dump(mode="json")
        for key in ("nodes", "links"):
            truth = ("attribution", "in_local_model", "in_model")
            data[key] = [
                {k: v for k, v in one.items() if v is not None or k not in truth} for one in data[key]
            ]
        return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def graph_file(
    graph: AttributionGraphResult,
    *,
    slug: str | None = None,
    supernodes: Supernodes | None = None,
) -> GraphFile:
    """An attribution graph as it stands in a file. `slug` is its short name; `supernodes` are named groups of
    nodes. Raises `InputError` for a group of nodes that are not there."""
    nodes, n_layers = graph.nodes, len(graph.transcoders)
    made = [_node(graph, number, n_layers) for number in range(len(nodes))]
    ids = [node.node_id for node in made]
    for name, members in (supernodes or {}).items():
        wrong = [member for member in members if member not in ids]
        if wrong:
            raise InputError(f"The supernode {name!r} has {wrong[0]!r}, which is no node of this graph.")
    edges = graph.edges
    links = [
        FileLink(source=ids[s], target=ids[t], weight=effect, in_model=truth)
        for s, t, effect, truth in zip(
            edges.sources.tolist(),
            edges.targets.tolist(),
            edges.effects.tolist(),
            edges.in_model.tolist(),
            strict=True,
        )
    ]
    name = graph.provenance.model
    dictionaries = "A cross-layer transcoder" if graph.cross_layer else "Transcoders"
    metadata: dict[str, Any] = {
        "slug": slug or "-".join("".join(c if c.isalnum() else " " for c in graph.prompt).split()).lower(),
        "scan": name.split("/")[-1],
        "prompt_tokens": list(graph.tokens),
        "prompt": graph.prompt,
        "node_threshold": graph.share_of_nodes,
        "info": {"generator": {"name": "interp"}, "description": f"{dictionaries} of {name}."},
        "pruning_settings": {
            "node_threshold": graph.share_of_nodes,
            "edge_threshold": graph.share_of_edges,
        },
        "replacement_score": graph.replacement_score,
        "completeness_score": graph.completeness_score,
        "node_correlation": graph.node_correlation,
        "edge_correlation": graph.edge_correlation,
        "heads": [_head(one) for one in graph.heads],
    }
    groups = [[group, *members] for group, members in (supernodes or {}).items()]
    return GraphFile(
        metadata=FileMetadata(**metadata), qParams=FileView(supernodes=groups), nodes=made, links=links
    )


def _head(one: AttentionScorePartsResult) -> dict[str, Any]:
    """Why a head attends where it does, as the page shows it."""
    pairs = zip(one.pair_queries.tolist(), one.pair_keys.tolist(), one.pair_values.tolist(), strict=True)
    return {
        "head": f"{one.layer}.{one.head}",
        "query": one.query,
        "key": one.key,
        "score": one.score,
        "attention": one.attention[0],
        "pairs": [[one.nodes[query], one.nodes[key], value] for query, key, value in pairs],
    }


def _node(graph: AttributionGraphResult, number: int, n_layers: int) -> FileNode:
    nodes = graph.nodes
    kind, layer, at, index = (
        nodes.kinds[number],
        int(nodes.layers[number]),
        int(nodes.positions[number]),
        int(nodes.indices[number]),
    )
    probability = float(nodes.activations[number])
    in_file = {"token": "E", "logit": str(n_layers + 1)}.get(kind, str(layer))
    own: dict[str, Any] = {
        "feature": {"token": at, "feature": _paired(layer, index)}.get(kind, index),
        "jsNodeId": f"{'L' if kind == 'logit' else in_file}_{index}-{0 if kind == 'feature' else at}",
        "clerp": nodes.labels[number],
    }
    if kind == "logit":
        own["clerp"] = f'Output "{nodes.labels[number]}" (p={probability:.3f})'
        own |= {"token_prob": probability, "is_target_logit": nodes.kinds[number - 1] != "logit"}
    else:
        own |= {
            "influence": float(nodes.influence[number]),
            "activation": probability,
            "attribution": float(nodes.attribution[number, 0]),
            "in_local_model": float(nodes.in_local_model[number, 0]),
            "in_model": float(nodes.in_model[number, 0]),
        }
    return FileNode(
        node_id=f"{in_file}_{index}_{at}", layer=in_file, ctx_idx=at, feature_type=_TYPES[kind], **own
    )


def _paired(layer: int, feature: int) -> int:
    """Layer and feature as one number, by Cantor's pairing."""
    return (layer + feature) * (layer + feature + 1) // 2 + feature


def write_graph(graph: AttributionGraphResult | GraphFile, path: str | Path, **options: Any) -> None:
    """Write a graph as such a file; `options` are those of `graph_file`. Raises `InputError` where it cannot
    be written."""
    made = graph if isinstance(graph, GraphFile) else graph_file(graph, **options)
    try:
        Path(path).write_text(made.to_json(), encoding="utf-8")
    except OSError as error:
        raise InputError(f"The graph cannot be written to {str(path)!r} ({first_line(error)}).") from None


def read_graph(path: str | Path) -> GraphFile:
    """The graph in such a file, of circuit-tracer, Neuronpedia or ours. `InputError` where it holds none."""
    try:
        if Path(path).stat().st_size > _LARGEST:
            raise InputError(f"{str(path)!r} is larger than a graph may be ({_LARGEST >> 20} MB).")
        return GraphFile.model_validate(json.loads(Path(path).read_text(encoding="utf-8")))
    except ValidationError as error:
        found = error.errors()[0]
        where = ".".join(map(str, found["loc"]))
        raise InputError(f"{str(path)!r} holds no attribution graph: {where} {found['msg']}.") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{str(path)!r} cannot be read as a graph ({first_line(error)}).") from None
