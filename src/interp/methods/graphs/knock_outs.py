"""The truth about the nodes and edges of a graph: each node knocked out, exactly.

To knock a node out is to take what it writes (a feature's activation times its direction, an error, a token's
embedding) off the residual stream where it is written; of a cross-layer transcoder's feature, at every MLP to
whose output it adds. What a target loses by that is

- **in the local replacement model**, all paths: later features respond through their activation function, and
  attention patterns and norms are frozen as they are in the graph (`in_local_model`);
- **in the model**, all paths: everything responds, MLPs, attention and norms (`in_model`);
- **in the model, directly**: what all MLPs write, but for the node itself, is kept as it was; attention and
  norms respond (`in_model_directly`). That is the truth beside an edge: with patterns and norms frozen it is
  the direct effect, exactly.

All nodes are rows of the same runs.

When it misleads: a feature of a cross-layer transcoder writes to MLPs above what they may compute from what
it wrote below them. In the model that is lost twice: they no longer compute it, and it is taken off.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.edits import Edit
from interp.methods.attribution.frozen_readout import before_cap
from interp.methods.graphs.local_model import LocalModel
from interp.methods.graphs.nodes import GraphNode, written
from interp.models.base import Cache, Model
from interp.progress import report

_AT_ONCE = 512  # rows and positions of one run


@dataclass(frozen=True, eq=False)
class LogitTarget:
    """What is read at the end: a weighted sum of logits at the last position, less the mean over the
    vocabulary as often as the weights sum to."""

    weights: tuple[tuple[int, float], ...]

    def __call__(self, logits: Float[Tensor, "*row d_vocab"]) -> Float[Tensor, "*row"]:
        """The sum, of logits before any soft cap."""
        chosen = sum(weight * logits[..., token] for token, weight in self.weights)
        return chosen - sum(weight for _, weight in self.weights) * logits.mean(-1)


def in_local_model(
    local: LocalModel,
    nodes: Sequence[GraphNode],
    directions: Float[Tensor, "logit d_model"],
) -> Float[Tensor, "node logit"]:
    """What each logit, read by a direction at the last position, loses without a node, all paths through
    features included, in the local replacement model."""
    lost = []
    for start in range(0, len(nodes), _AT_ONCE // local.n_pos + 1):
        some = nodes[start : start + _AT_ONCE // local.n_pos + 1]
        lost.append(-_changed_stream(local, some)[:, -1] @ directions.T)
    return torch.cat(lost)


def _changed_stream(local: LocalModel, nodes: Sequence[GraphNode]) -> Float[Tensor, "node pos d_model"]:
    """By how much the last residual stream changes without each node."""
    taken = _taken_off(local, nodes, features=False)
    change = taken[-1]
    moved: list[Tensor] = []  # by how much the features of each layer change
    for layer, (attention, mlp) in enumerate(zip(local.attention, local.mlps, strict=True)):
        change = change + attention(change)
        features = mlp.changed(change)
        for row, node in enumerate(nodes):
            if node.kind == "feature" and node.layer == layer:
                features[row, node.position, node.index] = 0.0
        moved.append(features - mlp.features)
        change = change + mlp.skip(change) + taken[layer]
        for source, by in enumerate(moved):
            W_dec = local.transcoders.decoder(source, layer)
            if W_dec is not None:
                change = change + by @ W_dec.to(by)
    return change


def _taken_off(
    local: LocalModel, nodes: Sequence[GraphNode], *, features: bool = True
) -> defaultdict[int, Float[Tensor, "node pos d_model"]]:
    """Minus what each node writes, by the layer at whose MLP it is added (-1: the embeddings); only that of
    tokens and errors without `features`."""
    shape = (len(nodes), *local.embedding.shape)
    found: defaultdict[int, Tensor] = defaultdict(lambda: torch.zeros(shape, dtype=torch.float64))
    for row, node in enumerate(nodes):
        if features or node.kind != "feature":
            for layer, vector in written(local, node).items():
                found[layer][row, node.position] = -vector
    return found


def in_model(
    model: Model, local: LocalModel, nodes: Sequence[GraphNode], logits: Sequence[LogitTarget]
) -> Float[Tensor, "node logit"]:
    """What each logit loses without a node in the model itself, everything responding."""
    lost = []
    for some in _chunks(local, nodes, "knock-outs"):
        cache = model.run_with_cache(local.tokens.repeat(len(some)), (), _edits(local, some))
        lost.append(_lost_logits(model, local, cache, logits))
    return torch.cat(lost)


def in_model_directly(
    model: Model,
    local: LocalModel,
    nodes: Sequence[GraphNode],
    features: Sequence[GraphNode],
    logits: Sequence[LogitTarget],
) -> Float[Tensor, "node target"]:
    """What the pre-activation of each of `features`, and then each logit, loses without a node in the model,
    what the other MLPs write being kept as it was. 0 where a feature is not after the node."""
    sites = sorted({("resid_mid", node.layer) for node in features})
    lost = []
    for some in _chunks(local, nodes, "knock-outs, other MLPs kept"):
        edits = _edits(local, some, keep_mlps=True)
        cache = model.run_with_cache(local.tokens.repeat(len(some)), sites, edits)
        of_features = _lost_pre_activations(local, cache, features, len(some))
        lost.append(torch.cat([of_features, _lost_logits(model, local, cache, logits)], 1))
    return torch.cat(lost)


def _chunks(local: LocalModel, nodes: Sequence[GraphNode], task: str) -> list[Sequence[GraphNode]]:
    """The nodes, as many at a time as a run has rows for."""
    at_once = max(1, _AT_ONCE // local.n_pos)
    report(task, len(nodes), len(nodes))
    return [nodes[start : start + at_once] for start in range(0, len(nodes), at_once)]


def _edits(local: LocalModel, nodes: Sequence[GraphNode], *, keep_mlps: bool = False) -> list[Edit]:
    """The edits that knock out each node in a row of its own; with `keep_mlps`, what every MLP writes is set
    to what it was but for that."""
    taken = _taken_off(local, nodes)
    edits = [Edit.add("resid_pre", 0, value=taken[-1])] if -1 in taken else []
    for layer, mlp in enumerate(local.mlps):
        if keep_mlps:
            edits.append(Edit.set("mlp_out", layer, value=mlp.out + taken[layer]))
        elif layer in taken:
            edits.append(Edit.add("mlp_out", layer, value=taken[layer]))
    return edits


def _lost_pre_activations(
    local: LocalModel, cache: Cache, features: Sequence[GraphNode], n_rows: int
) -> Float[Tensor, "row feature"]:
    lost = torch.zeros(n_rows, len(features), dtype=torch.float64)
    for layer in {node.layer for node in features}:
        mlp = local.mlps[layer]
        here = [number for number, node in enumerate(features) if node.layer == layer]
        positions = [features[number].position for number in here]
        which = [features[number].index for number in here]
        x = mlp.transcoder.norm(cache["resid_mid", layer].double().cpu())[:, positions]
        pre = torch.einsum("rfd,df->rf", x, mlp.transcoder.W_enc[:, which]) + mlp.transcoder.b_enc[which]
        lost[:, here] = mlp.pre[positions, which] - pre
    return lost


def _lost_logits(
    model: Model, local: LocalModel, cache: Cache, logits: Sequence[LogitTarget]
) -> Float[Tensor, "row logit"]:
    cap = model.arch.logit_soft_cap
    clean, found = (before_cap(x, cap) for x in (local.logits, cache.logits[:, -1].double().cpu()))
    return torch.stack([target(clean) - target(found) for target in logits], 1)
