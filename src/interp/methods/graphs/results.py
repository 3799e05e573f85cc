"""The results about attribution graphs, without what computes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int

from interp.methods.common.statistics import pearson
from interp.results import Result, Stored
from interp.saes.results import SAEIdentity


@dataclass(frozen=True, eq=False, kw_only=True)
class GraphNodes(Stored):
    """The nodes that are left in a graph, in the order in which a run reaches them; the logits last.

    `kinds` are token, feature, error and logit; `layers` -1 of a token, and the number of layers of a logit;
    `indices` the number of a feature, the id of a token or logit (of a difference of two, the answer's), and
    -1 of an error. Of what a logit is lost without a node: by the graph (`attribution`), in the local
    replacement model and in the model, in logits.
    """

    kind: ClassVar[str] = "graph_nodes"
    kinds: tuple[str, ...]
    layers: Int[np.ndarray, " node"]
    positions: Int[np.ndarray, " node"]
    indices: Int[np.ndarray, " node"]
    labels: tuple[str, ...]  # the text of a token or logit, what a feature is called; "" without
    activations: Float[np.ndarray, " node"]  # of a logit, its probability
    influence: Float[np.ndarray, " node"]  # of a logit, 0
    pre_activations: Float[np.ndarray, " node"]  # what a feature or logit reads in all; 0 of others
    constants: Float[np.ndarray, " node"]  # what of that comes from biases
    attribution: Float[np.ndarray, "node logit"]
    in_local_model: Float[np.ndarray, "node logit"]
    in_model: Float[np.ndarray, "node logit"]

    def __len__(self) -> int:
        return len(self.kinds)

    def of_kind(self, *kinds: str) -> Bool[np.ndarray, " node"]:
        """Which nodes are of these kinds."""
        return np.isin(np.array(self.kinds), kinds)


@dataclass(frozen=True, eq=False, kw_only=True)
class GraphEdges(Stored):
    """The edges that are left, as numbers of nodes: the direct effect of the source on what the target reads,
    and what the target loses without the source in the model, other MLPs kept as they were."""

    kind: ClassVar[str] = "graph_edges"
    sources: Int[np.ndarray, " edge"]
    targets: Int[np.ndarray, " edge"]
    effects: Float[np.ndarray, " edge"]
    in_model: Float[np.ndarray, " edge"]

    def __len__(self) -> int:
        return len(self.sources)


@dataclass(frozen=True, eq=False, kw_only=True)
class AttentionScorePartsResult(Result):
    """What pairs of nodes add to an attention score; with `other_key`, to its lead over another key's. The
    last of `nodes` are the biases."""

    kind: ClassVar[str] = "attention_score_parts"
    prompt: str
    tokens: tuple[str, ...]
    layer: int
    head: int
    query: int
    key: int
    other_key: int | None
    score: float  # before the softmax; the sum of all pairs
    attention: tuple[float, ...]  # of the key, and of the other
    nodes: tuple[str, ...]
    by_query: Float[np.ndarray, " node"]  # the sum of a node's pairs, as part of the query
    by_key: Float[np.ndarray, " node"]
    pair_queries: Int[np.ndarray, " pair"]  # numbers of nodes; the strongest pairs first
    pair_keys: Int[np.ndarray, " pair"]
    pair_values: Float[np.ndarray, " pair"]


@dataclass(frozen=True, eq=False, kw_only=True)
class AttributionGraphResult(Result):
    """Which features at which tokens made an answer; `interp.attribution_graph` says how it is found.

    A correlation is Pearson's between what the graph says and the truth; None where one of the two has the
    same value throughout.
    """

    kind: ClassVar[str] = "attribution_graph"
    prompt: str
    tokens: tuple[str, ...]
    transcoders: tuple[SAEIdentity, ...]  # one a layer
    skip: bool
    cross_layer: bool = False  # whether features also write to the MLPs above
    nodes: GraphNodes
    edges: GraphEdges
    logit_values: Float[np.ndarray, " logit"]  # less the mean over the vocabulary
    share_of_nodes: float  # of the influence, that was asked for
    share_of_edges: float
    n_active: int  # features in the whole graph
    n_edges: int  # that are not 0 in the whole graph
    replacement_score: float  # of the whole graph
    completeness_score: float
    replaced_choice: str  # the likeliest token with all MLPs replaced, without errors
    replaced_probability: float  # of the first logit's token then
    #: Why heads that move the answer to the last position attend where they do; empty: not asked.
    heads: tuple[AttentionScorePartsResult, ...] = ()

    @property
    def node_correlation(self) -> float | None:
        """Of what the first logit loses without a feature: graph and model."""
        return self._nodes_agree(self.nodes.attribution, self.nodes.in_model)

    @property
    def local_correlation(self) -> float | None:
        """The same of the graph and the local replacement model."""
        return self._nodes_agree(self.nodes.attribution, self.nodes.in_local_model)

    @property
    def model_correlation(self) -> float | None:
        """The same of the local replacement model and the model."""
        return self._nodes_agree(self.nodes.in_local_model, self.nodes.in_model)

    @property
    def edge_correlation(self) -> float | None:
        """Of what the targets of edges lose without their sources: graph and model."""
        return _correlation(self.edges.effects, self.edges.in_model)

    def _nodes_agree(self, one: np.ndarray, other: np.ndarray) -> float | None:
        features = self.nodes.of_kind("feature")
        return _correlation(one[features, 0], other[features, 0])


@dataclass(frozen=True, eq=False, kw_only=True)
class ScaledNodesResult(Result):
    """What a model says with nodes of its graph scaled (`interp.scale_nodes`). The first factor is 1: the
    model as it is."""

    kind: ClassVar[str] = "scale_nodes"
    prompt: str
    tokens: tuple[str, ...]
    name: str  # of the supernode; "" without
    nodes: tuple[str, ...]  # as in graph files
    factors: Float[np.ndarray, " factor"]
    answer: str
    answer_probability: Float[np.ndarray, " factor"]
    top_tokens: tuple[tuple[str, ...], ...]  # of each factor, the likeliest first
    top_probability: Float[np.ndarray, "factor rank"]
    texts: tuple[str, ...]  # what the model goes on with, for each factor; "" where it was not asked to


def _correlation(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> float | None:
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return pearson(x, y)
