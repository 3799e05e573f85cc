"""What attribution found: results, read and shown without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
from jaxtyping import Float

from interp.errors import InputError
from interp.methods.common.circuit import Circuit
from interp.methods.common.graph import Graph, Level
from interp.methods.common.statistics import ranks
from interp.metrics import METRICS
from interp.results import Dropped, Estimate, Interval, Pairs, Result, Stored

EdgeMethod = Literal["exact", "eap", "eap-ig-inputs", "eap-ig-activations"]
EDGE_METHODS: tuple[EdgeMethod, ...] = ("exact", "eap", "eap-ig-inputs", "eap-ig-activations")


def orientation(direction: str, metric: str) -> int:
    """The sign by which a change of the metric counts as support of the clean answer: noising, what lowers it
    was needed; denoising, what raises it helps. A divergence counts the other way round."""
    return METRICS[metric].favours * (1 if direction == "denoising" else -1)


@dataclass(frozen=True, eq=False, kw_only=True)
class ScoresResult(Result):
    """A score of every edge or node, in the metric's unit: how much it supports the clean answer, by itself.

    Positive supports it, in every direction and by every metric: noising, the metric moves away from the
    clean answer where it is corrupted; denoising, towards it where it is restored.
    """

    kind: ClassVar[str] = "scores"
    pairs: Pairs
    graph: Graph
    level: Level
    method: EdgeMethod
    steps: int  # of integrated gradients; 0 elsewhere
    direction: str  # noising | denoising
    metric: str
    path: str  # branching | plain | gradients
    names: tuple[str, ...]  # of the edges or nodes, in the order of the graph
    scores: Interval  # [component], in the order of `names`; means over pairs
    clean_values: Float[np.ndarray, " pair"]  # the metric, unpatched
    corrupted_values: Float[np.ndarray, " pair"]
    oriented: bool = False  # as runs were stored before: scores were changes; they are turned when read

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The result that was written; one from before scores were oriented has them turned."""
        found = super().from_dict(data)
        if found.oriented:
            return found
        turned = found.scores.times(orientation(found.direction, found.metric))
        return replace(found, scores=turned, oriented=True)

    @property
    def changes(self) -> Float[np.ndarray, " component"]:
        """What patching each alone changes in the metric: patched - unpatched."""
        return self.scores.value * orientation(self.direction, self.metric)

    @property
    def scored(self) -> Circuit:
        """An empty circuit with these scores, from which others are built."""
        scores = self.by_name()
        scores.pop("input", None)  # which belongs to every circuit of nodes
        return Circuit(graph=self.graph, level=self.level, members=frozenset(), scores=scores)

    def by_name(self) -> dict[str, float]:
        """Each edge's or node's score."""
        return dict(zip(self.names, self.scores.value.tolist(), strict=True))

    def matrix(self) -> Float[np.ndarray, "sender receiver"]:
        """Scores of edges in their places; 0 where there is no edge."""
        if self.level != "edge":
            raise InputError("These are scores of nodes; only edges have a sender and a receiver.")
        matrix = np.zeros(self.graph.mask.shape)
        matrix.T[self.graph.mask.T] = self.scores.value
        return matrix

    def strongest(self, n: int) -> list[tuple[str, float]]:
        """The `n` edges or nodes of the largest absolute scores, the largest first."""
        order = np.argsort(-np.abs(self.scores.value), kind="stable")[:n]
        return [(self.names[i], float(self.scores.value[i])) for i in order]


@dataclass(frozen=True, eq=False, kw_only=True)
class PatchingVsAttributionResult(Result):
    """Two numbers for each head, in logits, and how they agree."""

    kind: ClassVar[str] = "patching_vs_attribution"
    pairs: Pairs
    attribution_by: str  # direct | attribution | integrated
    direction: str  # denoising | noising
    patching: Interval  # [layer, head], in logits: the mean over pairs
    attribution: Interval  # [layer, head], in logits: the mean over pairs
    pearson: float  # over all heads
    spearman: float
    #: The logit difference of each clean run; empty in runs that were stored without.
    clean_values: Float[np.ndarray, " pair_or_none"] = field(default_factory=lambda: np.zeros(0))

    @property
    def heads(self) -> tuple[str, ...]:
        """The names of all heads, in the order of the flattened arrays."""
        layers, heads = self.patching.shape
        return tuple(f"{layer}.{head}" for layer in range(layers) for head in range(heads))

    @property
    def disagreement(self) -> Float[np.ndarray, "layer head"]:
        """|patching - attribution|, in logits."""
        return np.abs(self.patching.value - self.attribution.value)

    def disagreeing(self, n: int) -> tuple[str, ...]:
        """The `n` heads whose two numbers are farthest apart, the farthest first."""
        return self._largest(self.disagreement, n)

    def disagreeing_in_rank(self, n: int) -> tuple[str, ...]:
        """The `n` heads whose ranks by the two are farthest apart: small ones count as large ones do."""
        apart = ranks(self.patching.value.ravel()) - ranks(self.attribution.value.ravel())
        return self._largest(np.abs(apart), n)

    def _largest(self, values: Float[np.ndarray, "layer head"], n: int) -> tuple[str, ...]:
        return tuple(self.heads[i] for i in np.argsort(-values.ravel(), kind="stable")[:n])


@dataclass(frozen=True, eq=False, kw_only=True)
class NeuronParts(Stored):
    """What single neurons write of a logit (difference), in logits; means over prompts."""

    kind: ClassVar[str] = "neuron_parts"
    neurons: tuple[tuple[int, int], ...]  # (layer, neuron), the largest part first
    parts: Interval  # [neuron]
    others: Float[np.ndarray, " layer"]  # the sum of a layer's neurons that are not listed
    bias: Float[np.ndarray, " layer"]  # what an MLP adds beside its neurons


@dataclass(frozen=True, eq=False, kw_only=True)
class DirectLogitAttributionResult(Result):
    """Parts of a logit, or of a logit difference where there is a foil; each in logits (natural-log units).

    A finer view that was not asked for, or that this model or backend cannot give, is None; `left_out` says
    why.
    """

    kind: ClassVar[str] = "direct_logit_attribution"
    tokens: tuple[str, ...]  # of the first prompt, BOS included
    position: int  # that was read, in the first prompt
    pairs: Pairs  # of no task; nothing is corrupted
    soft_cap: float | None  # of the model's logits; what is decomposed here is before it
    logits: Float[np.ndarray, " prompt"]  # what is decomposed: logit(answer), less logit(foil)
    components: tuple[str, ...]  # "embed", "pos_embed", "L0 attn", "L0 mlp", ..., "constant"
    by_component: Estimate  # [component]
    states: tuple[str, ...]  # of the residual stream: "embed", "0", "1", ...
    accumulated: Interval  # [state], the constant and all parts up to this state; means over prompts
    by_head: Estimate | None  # [layer, head]
    attn_bias: Float[np.ndarray, " layer"] | None  # what attention adds beside its heads
    by_source: Float[np.ndarray, "layer head position"] | None  # a head's part, by what it attended to
    by_neuron: NeuronParts | None
    left_out: tuple[Dropped, ...]  # views that are not here
    #: What follows the prompt's positions in `by_source`: all tokens of an answer of several, taken together.
    behind: tuple[str, ...] = ()

    def by_layer(self, part: Literal["attn", "mlp"]) -> Float[np.ndarray, " layer"]:
        """The parts of all attention or all MLP layers."""
        wanted = [i for i, name in enumerate(self.components) if name.endswith(f" {part}")]
        return self.by_component.mean[wanted]
