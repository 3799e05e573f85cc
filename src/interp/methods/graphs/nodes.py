"""The nodes of an attribution graph: tokens, active features, errors and logits, in the order in which a run
reaches them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from interp.methods.graphs.local_model import LocalModel

NodeKind = Literal["token", "feature", "error", "logit"]


@dataclass(frozen=True)
class GraphNode:
    """A node: a token's embedding, a feature or what a transcoder leaves over at a position, or a logit.

    `index` is the token's id of a token or logit, the number of a feature, and -1 of an error.
    """

    kind: NodeKind
    layer: int  # -1 of a token; of a logit the number of layers
    position: int
    index: int = -1


def source_nodes(local: LocalModel) -> list[GraphNode]:
    """All nodes that write: tokens, then by layer the active features and the errors."""
    ids = local.tokens.row(0)
    nodes = [GraphNode("token", -1, position, token) for position, token in enumerate(ids)]
    for layer, mlp in enumerate(local.mlps):
        active = mlp.features.nonzero().tolist()
        nodes += [GraphNode("feature", layer, position, feature) for position, feature in active]
        nodes += [GraphNode("error", layer, position) for position in range(local.n_pos)]
    return nodes


def written(local: LocalModel, node: GraphNode) -> dict[int, Float[Tensor, " d_model"]]:
    """What a node adds to the residual stream at its position, by the layer at whose MLP it is added: -1 for
    the embedding; several of a cross-layer transcoder's feature."""
    if node.kind == "token":
        return {-1: local.embedding[node.position]}
    if node.kind == "error":
        return {node.layer: local.mlps[node.layer].error[node.position]}
    decoders = {layer: local.transcoders.decoder(node.layer, layer) for layer in range(local.n_layers)}
    strength = local.mlps[node.layer].features[node.position, node.index]
    return {
        layer: strength * W_dec[node.index].double() for layer, W_dec in decoders.items() if W_dec is not None
    }


def activation(local: LocalModel, node: GraphNode) -> float:
    """How strong a node that writes is: a feature's activation, the length of what another writes."""
    if node.kind == "feature":
        return float(local.mlps[node.layer].features[node.position, node.index])
    return float(written(local, node)[node.layer].norm())


@dataclass(frozen=True, eq=False)
class Read:
    """What a target reads of the residual stream: the product with a vector, at one place.

    `at` says of which stream of the layer: ``pre`` before attention, ``mid`` before the MLP; or ``last``, the
    last one of all.
    """

    at: Literal["pre", "mid", "last"]
    layer: int
    position: int
    vector: Float[Tensor, " d_model"]
    constant: float = 0.0  # what is added: the encoder's bias, what norms and unembedding add to a logit


def feature_reads(local: LocalModel, nodes: Sequence[GraphNode]) -> list[Read]:
    """What features read, in the order given."""
    reads: list[Read | None] = [None] * len(nodes)
    places: dict[tuple[int, int], list[int]] = {}
    for number, node in enumerate(nodes):
        places.setdefault((node.layer, node.position), []).append(number)
    for (layer, position), here in places.items():
        mlp = local.mlps[layer]
        features = [nodes[number].index for number in here]
        for number, vector, bias in zip(
            here, mlp.read(position, features), mlp.transcoder.b_enc[features].tolist(), strict=True
        ):
            reads[number] = Read("mid", layer, position, vector, bias)
    return [read for read in reads if read is not None]
