"""Which nodes and edges of a graph matter: influence, pruning by it, and the two scores of a whole graph.

Definitions of Ameisen et al. 2025 (https://transformer-circuits.pub/2025/attribution-graphs/methods.html), as
circuit-tracer (https://github.com/decoderesearch/circuit-tracer) computes them. Direct effects are taken
without their signs and divided by their sum over all that a target reads: shares of its input. A node's
influence is then the sum over all paths from it to the logits, of products of shares, the logits weighted by
their probabilities.

- **replacement score**: the influence of the tokens over that of tokens and errors: the share of the input of
  the logits that goes back, through features, to tokens.
- **completeness score**: the mean over features and logits of the share of their input that is no error,
  weighted by their influence. circuit-tracer counts tokens and errors, too, which read nothing, as nodes
  whose input has no error, so that its score is higher.

When it misleads: influence has no sign, so that a node whose paths cancel counts as much as one whose paths
add up; what the truth is stands beside it (`interp.methods.graphs.knock_outs`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class WholeGraph:
    """The direct effects of all nodes that write on one another and on the logits, float64.

    The nodes are in the order in which a run reaches them; rows of those that read nothing (tokens, errors)
    are 0.
    """

    between: Float[Tensor, "node node"]  # [target, source]
    on_logits: Float[Tensor, "logit node"]
    probabilities: Float[Tensor, " logit"]
    activations: Float[Tensor, " node"]
    is_token: Bool[Tensor, " node"]
    is_error: Bool[Tensor, " node"]

    @property
    def is_feature(self) -> Bool[Tensor, " node"]:
        return ~(self.is_token | self.is_error)

    def total_effects(self) -> Float[Tensor, "logit node"]:
        """What each logit would lose without a node, along all paths, if each feature that loses a share of
        its input lost as much of itself: the linear estimate of knocking it out."""
        share = self.between / torch.where(self.is_feature, self.activations, 1.0)[:, None]
        return _over_all_paths(self.on_logits, share)

    def influence(self) -> Float[Tensor, " node"]:
        """Of each node on the logits."""
        logits, between = _shares(self.on_logits), _shares(self.between)
        return _over_all_paths((self.probabilities @ logits)[None], between)[0]

    def replacement_score(self) -> float:
        """The share of the influence of what no feature explains that tokens have, not errors."""
        found = self.influence()
        tokens, errors = found[self.is_token].sum(), found[self.is_error].sum()
        return float(tokens / (tokens + errors))

    def completeness_score(self) -> float:
        """The share of what features and logits read that is no error, weighted by their influence."""
        weights = torch.cat([self.influence()[self.is_feature], self.probabilities])
        rows = torch.cat([_shares(self.between)[self.is_feature], _shares(self.on_logits)])
        return float((1 - rows[:, self.is_error].sum(1)) @ weights / weights.sum())

    def pruned(self, nodes: float, edges: float) -> Pruned:
        """The nodes with the share `nodes` of all influence, and the edges among them with the share `edges`
        of all that is left; tokens and logits stay."""
        keep = most_of(self.influence(), nodes) | self.is_token
        both = keep[:, None] & keep[None]
        between, logits = torch.where(both, self.between, 0.0), torch.where(keep, self.on_logits, 0.0)
        between, logits = _shares(between), _shares(logits)
        flow = _over_all_paths((self.probabilities @ logits)[None], between)[0]
        scores = torch.cat([between * flow[:, None], logits * self.probabilities[:, None]])
        chosen = most_of(scores.flatten(), edges).reshape(scores.shape)
        chosen &= scores > 0
        return _without_dead_ends(self, keep, chosen)


@dataclass(frozen=True, eq=False)
class Pruned:
    """Which nodes are left, and which edges: [target, source], the logits as the last targets."""

    nodes: Bool[Tensor, " node"]
    edges: Bool[Tensor, "target node"]


def most_of(scores: Float[Tensor, " n"], share: float) -> Bool[Tensor, " n"]:
    """The fewest entries that have `share` of the sum of all, and those equal to the last of them."""
    ordered = scores.sort(descending=True).values
    reached = ordered.cumsum(0) / ordered.sum()
    last = min(int(torch.searchsorted(reached, share)), len(ordered) - 1)
    return scores >= ordered[last]


def _shares(effects: Float[Tensor, "target node"]) -> Float[Tensor, "target node"]:
    """Each without its sign, over the sum of what the target reads; 0 where it reads nothing."""
    sizes = effects.abs()
    total = sizes.sum(1, keepdim=True)
    return sizes / torch.where(total > 0, total, 1.0)


def _over_all_paths(
    first: Float[Tensor, "row node"], between: Float[Tensor, "node node"]
) -> Float[Tensor, "row node"]:
    """first + first @ between + first @ between^2 + ...: `between` has entries below the diagonal alone."""
    unit = torch.eye(len(between), dtype=between.dtype)
    return torch.linalg.solve_triangular(unit - between, first, upper=False, left=False, unitriangular=True)


def _without_dead_ends(
    graph: WholeGraph, nodes: Bool[Tensor, " node"], edges: Bool[Tensor, "target node"]
) -> Pruned:
    """Without features and errors of which nothing is read, and features that read nothing."""
    n, tokens, features = len(nodes), graph.is_token, graph.is_feature
    while True:
        edges = edges & nodes
        edges[:n] &= nodes[:, None]
        left = nodes & (tokens | edges.any(0)) & (~features | edges[:n].any(1))
        if torch.equal(left, nodes):
            return Pruned(nodes, edges)
        nodes = left
