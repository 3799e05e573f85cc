"""What presentations of circuits say alike: the pairs, the ablation, the members; and a circuit's graph."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from interp.figures.engine.notation import brief, count, decimal, show_text
from interp.figures.engine.view import Edge, Graph, Node

if TYPE_CHECKING:
    from interp.methods.attribution.patching_vs_attribution import PatchingVsAttributionResult
    from interp.methods.circuits.circuit_discovery import CircuitDiscoveryResult
    from interp.methods.circuits.completeness import CompletenessResult
    from interp.methods.circuits.faithfulness import FaithfulnessResult
    from interp.methods.circuits.faithfulness_curve import FaithfulnessCurveResult
    from interp.methods.patching.path_patching import PathPatchingResult

    CircuitResult = FaithfulnessResult | CompletenessResult | FaithfulnessCurveResult
    PairsResult = CircuitResult | PatchingVsAttributionResult | CircuitDiscoveryResult | PathPatchingResult

ABLATIONS = {
    "resample": "what is there in the corrupted run",
    "mean": "their mean over corrupted prompts and positions",
    "mean_by_position": "their mean over the corrupted prompts, by position",
    "mean_by_template": "their mean over the corrupted prompts of the template, by position",
    "zero": "zeros",
}
_NODE = re.compile(r"(?:a(\d+)\.h(\d+)|m(\d+))(?:<([qkv])>)?")


def on_pairs(result: PairsResult) -> list[str]:
    """The prompts, and how many were left out."""
    first = f"answer {brief(result.answers[0])}, foil {brief(result.foils[0])}"
    lines = [
        f"{count(len(result.prompts), 'pair')} of {show_text(result.task)}, the first of them: "
        f"{show_text(result.prompts[0])} ({first})."
    ]
    if result.dropped:
        why = "; ".join(dict.fromkeys(why for _, why in result.dropped[:3]))
        lines.append(f"Left out of the dataset: {len(result.dropped)} ({show_text(why)}).")
    return lines


def members(names: Sequence[str], most: int = 30) -> str:
    """The members of a circuit in a sentence."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more if names else "nothing"


def interval(low: float, high: float) -> str:
    return f"{decimal(low)} to {decimal(high)}"


def drawn(edges: Sequence[str], weights: Sequence[float], title: str, *, unit: str = "score") -> Graph:
    """A circuit of edges as a graph; all edges weigh the same where there are no scores."""
    parsed = [edge.split("->") for edge in edges]
    names = dict.fromkeys(end for sender, receiver in parsed for end in (sender, _bare(receiver)))
    of_edges = tuple(
        Edge(sender, _bare(receiver), weight, note=_part(receiver))
        for (sender, receiver), weight in zip(parsed, weights or [1.0] * len(edges), strict=True)
    )
    top = max((_height(name)[0] for name in names if name != "logits"), default=0.0) + 1
    nodes = tuple(
        Node(name, top if name == "logits" else _height(name)[0], _height(name)[1]) for name in names
    )
    note = "" if weights else "The edges have no scores; all are drawn alike."
    return Graph(
        name="circuit", nodes=nodes, edges=of_edges, unit=unit if weights else "", title=title, note=note
    )


def _bare(receiver: str) -> str:
    return receiver.split("<")[0]


def _part(receiver: str) -> str:
    return receiver[-2] if receiver.endswith(">") else ""


def _height(name: str) -> tuple[float, int]:
    """(layer, place in it) of a node: MLPs half a layer above the heads, the input below all."""
    match = _NODE.fullmatch(name)
    if match is None:
        return -1.0, 0
    return (float(match[1]), int(match[2])) if match[1] else (int(match[3]) + 0.5, 0)
