"""Circuits as JSON files of EAP-IG (hannamw/EAP-IG, `Graph.to_json`) and of MIB's circuit track.

    {"cfg": {"n_layers": 12, "n_heads": 12, "parallel_attn_mlp": false, "d_model": 768},
     "nodes": {"a0.h1": {"in_graph": true, "score": 0.5}, ...},
     "edges": {"input->a0.h1<q>": {"score": 0.1, "in_graph": true}, ...}}

All nodes and edges stand in the file. Three things about it:

- EAP-IG knows no grouped queries: it gives every query head keys and values of its own. A key-value head's
  edge ``m0->a1.h0<k>`` is written as one edge for each of its query heads, with the same score. A file from
  elsewhere may hold different scores for these, which are then added up (to first order, the effect of all
  together); where only some of them are in the circuit, there is no such circuit of this graph, and reading
  is refused.
- EAP-IG wants a score for each edge. Where a circuit has none, 0 is written.
- Scores are positive where they support the clean answer, here and in files of EAP-IG and MIB, whose metric
  is handed in as a loss (-logit_diff): corrupting the edge raises it. With a metric that is no loss they are
  the other way round; say so by `scores_are` on reading, and on writing for a reader that expects it.
  Files that this library wrote before (format 1) held changes of the metric by noising, and are turned.
- The further key ``interp`` says which level is meant and whether the edges' scores are any. EAP-IG passes
  over it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

from interp.architecture import HasArchitecture
from interp.errors import InputError, check_choice, nearest
from interp.methods.common.circuit import Circuit
from interp.methods.common.graph import Graph, Level
from interp.methods.common.names import edge_ends

Grouped = Literal["refuse", "any", "all"]
FORMAT = 2  # of the key ``interp``; 1 held scores of which negative ones support the answer
ScoresAre = Literal["support", "changes"]  # what a positive score says: it supports the answer, or it is lost


def write_circuit(
    circuit: Circuit, path: str | Path, model: HasArchitecture, *, scores_are: ScoresAre = "support"
) -> None:
    """Write a circuit of `model` as EAP-IG's JSON, its scores as support of the answer (of a loss, as EAP-IG
    has them) or as changes of a metric that is no loss. Raises `InputError` where it is none of this model's,
    or where the file cannot be written.
    """
    check_choice("meaning of scores", scores_are, get_args(ScoresAre))
    sign = 1 if scores_are == "support" else -1
    turned = replace(circuit, scores={name: sign * score for name, score in circuit.scores.items()})
    text = circuit_text(turned, model, scores_are=scores_are)
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"Cannot write the circuit {str(path)!r} ({error.strerror}).") from None


def circuit_text(circuit: Circuit, model: HasArchitecture, *, scores_are: ScoresAre = "support") -> str:
    """What `write_circuit` writes, the scores as they are here and said to be `scores_are`.
    Raises `InputError` where the circuit is none of this model's."""
    graph = circuit.graph
    if graph != Graph.of(model):
        raise InputError(f"This circuit is of another architecture than {model.identity.name}.")
    of_nodes = circuit.level == "node"
    inside = circuit.members if of_nodes else _nodes_of(circuit)
    nodes: dict[str, dict[str, Any]] = {}
    for name in (*graph.senders, "logits"):
        nodes[name] = {"in_graph": name in inside or name in ("input", "logits")}
        if of_nodes and name in circuit.scores:
            nodes[name]["score"] = circuit.scores[name]
    edges = {}
    for edge in graph.edges:
        sender = edge_ends(edge)[0]
        for name, receiver in _ungrouped(edge, graph):
            both = sender in {*inside, "input"} and receiver in {*inside, "logits"}
            edges[name] = {
                "score": 0.0 if of_nodes else circuit.scores.get(edge, 0.0),
                "in_graph": both if of_nodes else edge in circuit.members,
            }
    data = {
        "cfg": _cfg(model),
        "nodes": nodes,
        "edges": edges,
        "interp": {
            "format": FORMAT,
            "level": circuit.level,
            "scored": bool(circuit.scores),
            "scores_are": scores_are,
        },
    }
    return json.dumps(data)


def read_circuit(
    path: str | Path,
    model: HasArchitecture,
    *,
    level: Level | None = None,
    grouped: Grouped = "refuse",
    scores_are: ScoresAre | None = None,
) -> Circuit:
    """Read a circuit of `model` from EAP-IG's JSON.

    Args:
        level: whether its nodes or its edges are meant; by default what the file says that this library
            wrote, and edges for any other, where their scores are not all 0.
        grouped: where a file has some of the edges of a key-value head in the circuit, and some not:
            ``refuse``, or take the edge if ``any`` or ``all`` of them are.
        scores_are: what a positive score means: ``support`` of the clean answer, as in files of EAP-IG and
            MIB whose metric is a loss; or ``changes`` of a metric that is none, which are turned. By default
            what a file of this library says, and else ``support``.

    Raises `InputError` for a file that is not there or no such JSON, that is of a model of other dimensions,
    that names an unknown node or edge or lacks one, or that holds single neurons.
    """
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"Cannot read the circuit {str(path)!r} ({error.strerror}).") from None
    return parse_circuit(text, model, name=str(path), level=level, grouped=grouped, scores_are=scores_are)


def parse_circuit(
    text: bytes,
    model: HasArchitecture,
    *,
    name: str,
    level: Level | None = None,
    grouped: Grouped = "refuse",
    scores_are: ScoresAre | None = None,
) -> Circuit:
    """The circuit in the bytes of a file that is called `name`; the rest is as in `read_circuit`."""
    name = repr(name)
    data = _load(text, name)
    _check_cfg(data["cfg"], model, name)
    ours = data.get("interp") or {}
    level = level or ours.get("level") or _guessed_level(data, name)
    graph, sign = Graph.of(model), _sign(ours, scores_are)
    _check_names(data["nodes"], (*graph.senders, "logits"), "node", name)
    if level == "node":
        return _read_nodes(data["nodes"], graph, name, sign)
    groups = {edge: [n for n, _ in _ungrouped(edge, graph)] for edge in graph.edges}
    _check_names(data["edges"], [n for names in groups.values() for n in names], "edge", name)
    found = {edge: [_entry(data["edges"], n, name) for n in names] for edge, names in groups.items()}
    members = frozenset(edge for edge, entries in found.items() if _is_in(edge, entries, grouped, name))
    scores = {}
    if ours.get("scored", True):
        for edge, entries in found.items():
            values = [_score(entry, edge, name) for entry in entries]
            scores[edge] = sign * (values[0] if ours else math.fsum(values))
    return Circuit(graph=graph, level="edge", members=members, scores=scores)


# ---- the parts of a file ----


def _sign(ours: Mapping[str, Any], scores_are: ScoresAre | None) -> int:
    """The factor that makes a file's scores those of support."""
    if scores_are is not None:
        check_choice("meaning of scores", scores_are, get_args(ScoresAre))
    before = "changes" if ours.get("format") == 1 else "support"
    return 1 if (scores_are or ours.get("scores_are") or before) == "support" else -1


def _load(text: bytes, name: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise InputError(f"The circuit {name} is no JSON; give a file of EAP-IG's Graph.to_json.") from None
    parts = ("cfg", "nodes", "edges")
    if not isinstance(data, dict) or not all(isinstance(data.get(part), dict) for part in parts):
        raise InputError(
            f"The circuit {name} lacks one of {', '.join(parts)}; give a file of EAP-IG's Graph.to_json."
        )
    return data


def _cfg(model: HasArchitecture) -> dict[str, Any]:
    arch = model.arch
    return {
        "n_layers": arch.n_layers,
        "n_heads": arch.n_heads,
        "parallel_attn_mlp": arch.parallel_attention,
        "d_model": arch.d_model,
    }


def _check_cfg(cfg: Mapping[str, Any], model: HasArchitecture, name: str) -> None:
    off = [
        f"{key} {cfg.get(key, 'missing')} instead of {own}"
        for key, own in _cfg(model).items()
        if cfg.get(key) != own
    ]
    if off:
        raise InputError(
            f"The circuit {name} is of another model than {model.identity.name}: {', '.join(off)}."
        )


def _check_names(found: Mapping[str, Any], wanted: Any, kind: str, name: str) -> None:
    wanted = dict.fromkeys(wanted)
    for one in found:
        if one not in wanted:
            raise InputError(f"The circuit {name} has an unknown {kind} {one!r}; {nearest(one, wanted)}")
    if missing := [one for one in wanted if one not in found]:
        raise InputError(
            f"The circuit {name} lacks {len(missing)} {kind}s, the first of them {missing[0]!r}."
        )


def _entry(entries: Mapping[str, Any], one: str, name: str) -> Mapping[str, Any]:
    entry = entries[one]
    if not isinstance(entry, dict) or not isinstance(entry.get("in_graph"), bool):
        raise InputError(
            f"The circuit {name} does not say of {one!r} whether it is 'in_graph', true or false."
        )
    return entry


def _score(entry: Mapping[str, Any], one: str, name: str) -> float:
    score = entry.get("score")
    if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
        raise InputError(
            f"The circuit {name} has for {one!r} the score {score!r}, which is no finite number."
        )
    return float(score)


def _guessed_level(data: Mapping[str, Any], name: str) -> Level:
    scored = any("score" in node for node in data["nodes"].values() if isinstance(node, dict))
    if scored and not any(edge.get("score") for edge in data["edges"].values() if isinstance(edge, dict)):
        raise InputError(
            f"The circuit {name} has scores of nodes and none of edges; say level='node' or 'edge'."
        )
    return "edge"


def _read_nodes(nodes: Mapping[str, Any], graph: Graph, name: str, sign: int) -> Circuit:
    entries = {one: _entry(nodes, one, name) for one in graph.senders}
    if partly := [one for one, entry in entries.items() if "neurons" in entry]:
        raise InputError(
            f"The circuit {name} holds single neurons (of {partly[0]}); only whole nodes can be read."
        )
    members = frozenset(one for one, entry in entries.items() if entry["in_graph"])
    if members and "input" not in members:
        raise InputError(f"The circuit {name} leaves out the input, which belongs to every circuit of nodes.")
    scores = {
        one: sign * _score(entry, one, name)
        for one, entry in entries.items()
        if one != "input" and not _is_nan(entry.get("score", math.nan))  # NaN: EAP-IG's word for no score
    }
    return Circuit(graph=graph, level="node", members=members - {"input"}, scores=scores)


def _is_nan(score: Any) -> bool:
    return isinstance(score, float) and math.isnan(score)


def _is_in(edge: str, entries: list[Mapping[str, Any]], grouped: Grouped, name: str) -> bool:
    inside = [entry["in_graph"] for entry in entries]
    if grouped == "refuse" and any(inside) != all(inside):
        raise InputError(
            f"The circuit {name} has {edge!r} for {sum(inside)} of the {len(inside)} query heads that share "
            "these keys or values; say grouped='any' or 'all' to take it for all of them or for none."
        )
    return any(inside) if grouped == "any" else all(inside)


def _ungrouped(edge: str, graph: Graph) -> list[tuple[str, str]]:
    """EAP-IG's names of an edge, one for each query head of a key-value head, and the node that reads it."""
    sender, receiver = edge_ends(edge)
    node = graph.receiver_nodes[graph.receiver_index[receiver]]
    if node.kind != "head":
        return [(edge, receiver)]
    return [(f"{sender}->{head}<{node.reads}>", str(head)) for head in graph.sender_of(node)]


def _nodes_of(circuit: Circuit) -> frozenset[str]:
    """The senders that a circuit of edges has, as EAP-IG counts them: with an edge in, and an edge out."""
    return frozenset(edge_ends(edge)[0] for edge in circuit.pruned().members) - {"input"}
