"""An attribution graph: which features at which tokens made an answer, with the truth beside every edge.

1. The prompt is run once; the MLPs are replaced by transcoder features and what these leave over
   (`local_model`), and attention patterns and the scales of norms are frozen.
2. The direct effect of every node that writes (tokens, active features, errors) on every feature and logit is
   computed, exactly (`direct_effects`).
3. The graph is pruned by influence on the logits (`influence`).
4. Each node that is left is knocked out in the local replacement model and in the model (`knock_outs`).

Ameisen et al. 2025, https://transformer-circuits.pub/2025/attribution-graphs/methods.html; the truth beside
it is ours.

When it misleads: the graph is of the local replacement model, with attention frozen, so that it does not say
why a head attends where it does (`interp.attention_score_parts` does), nor what the model would do elsewhere.
An error node is what no feature explains; where errors have much influence, the graph says little. How far
attribution and truth part is in the result: read it before the graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError
from interp.methods.attribution.frozen_readout import FrozenReadout, frozen_sum
from interp.methods.graphs.attention_score_parts import attention_score_parts
from interp.methods.graphs.direct_effects import DirectEffects, direct_effects
from interp.methods.graphs.influence import Pruned, WholeGraph
from interp.methods.graphs.knock_outs import LogitTarget, in_local_model, in_model, in_model_directly
from interp.methods.graphs.local_model import LocalModel
from interp.methods.graphs.moving_heads import moving_heads
from interp.methods.graphs.nodes import GraphNode, Read, activation, feature_reads, source_nodes
from interp.methods.graphs.results import AttributionGraphResult, GraphEdges, GraphNodes
from interp.models.base import Model
from interp.models.modes import outside_inference_mode
from interp.provenance import Provenance
from interp.saes.cross_layer import CrossLayerTranscoder
from interp.saes.metrics import counted
from interp.saes.transcoder import Transcoders
from interp.saes.transcoder_metrics import replacement_edits
from interp.tokens import Prompt

MOST_LOGITS = 10
MOST_FEATURES = 20_000
_PAIRS = 8  # listed of a head

#: What features are called, by layer and number.
FeatureNames = Mapping[tuple[int, int], str]


@outside_inference_mode
def attribution_graph(
    model: Model,
    transcoders: Transcoders,
    prompt: Prompt,
    *,
    answer: str | int | None = None,
    foil: str | int | None = None,
    mass: float = 0.95,
    nodes: float = 0.8,
    edges: float = 0.98,
    names: FeatureNames | None = None,
    heads: int = 0,
    seed: int = 0,
) -> AttributionGraphResult:
    """The attribution graph of what `model` says after `prompt`.

    Args:
        answer: whose logit is explained, of one token; with `foil`, by how much it is ahead of the foil's. By
            default the likeliest tokens that together have the probability `mass`, 10 at most. Logits are
            less their mean over the vocabulary.
        nodes, edges: the shares of influence that pruning leaves.
        names: what features are called, for the labels (`interp.methods.graphs.names.feature_names`). Those
            that are kept in the transcoders' folders come first.
        heads: of how many heads that move the answer to the last position the graph says why they attend
            there (`interp.methods.graphs.moving_heads`, `interp.attention_score_parts`).

    Raises:
        InputError: transcoders of another model, an answer of several tokens, shares that are none, more
            active features than a graph can have.
        SiteError: the model or backend does not show its attention.
        DecompositionError: norms of a kind that cannot be frozen, or half precision.
    """
    for name, share in (("mass", mass), ("nodes", nodes), ("edges", edges)):
        if not 0 < share <= 1:
            raise InputError(f"{name} is a share above 0 and at most 1; got {share!r}.")
    if foil is not None and answer is None:
        raise InputError("A foil stands beside an answer; give the answer, too.")
    asked = None if answer is None else model.encoder.single_token(answer)
    other = None if foil is None else model.encoder.single_token(foil)
    local = LocalModel.of(model, transcoders, prompt)
    logits = _logits(model, local, asked, other, mass)
    whole = _whole_graph(local, logits)
    pruned = whole.graph.pruned(nodes, edges)
    replaced = _replaced(model, transcoders, local)
    return AttributionGraphResult(
        provenance=Provenance.of(model, seed=seed),
        prompt=model.to_text(local.tokens.row(0)),
        tokens=tuple(model.labels(local.tokens.row(0))),
        transcoders=tuple(one.identity for one in transcoders),
        skip=transcoders[0].W_skip is not None,
        cross_layer=isinstance(transcoders, CrossLayerTranscoder),
        nodes=_nodes_left(model, local, whole, pruned, {**(names or {}), **transcoders.names}),
        edges=_edges_left(model, local, whole, pruned),
        logit_values=np.array([logit.readout.value for logit in logits]),
        share_of_nodes=nodes,
        share_of_edges=edges,
        n_active=sum(node.kind == "feature" for node in whole.sources),
        n_edges=int(whole.graph.between.count_nonzero() + whole.graph.on_logits.count_nonzero()),
        replacement_score=whole.graph.replacement_score(),
        completeness_score=whole.graph.completeness_score(),
        replaced_choice=model.labels([int(replaced.argmax())])[0],
        replaced_probability=float(replaced.softmax(-1)[logits[0].token]),
        heads=tuple(
            attention_score_parts(
                model, transcoders, local.tokens.row(0), layer=layer, head=head, key=key, k=_PAIRS, seed=seed
            )
            for layer, head, key in moving_heads(model, local, logits[0].readout.direction, heads)
        ),
    )


# ---- the logits ----


@dataclass(frozen=True, eq=False)
class _Logit:
    """A logit of the graph, or a difference of two."""

    token: int
    label: str
    probability: float
    target: LogitTarget
    readout: FrozenReadout


def _logits(
    model: Model, local: LocalModel, answer: int | None, foil: int | None, mass: float
) -> list[_Logit]:
    """The logits that the graph explains, the likeliest first."""
    probabilities = local.logits.softmax(-1)
    if answer is None:
        ordered = probabilities.sort(descending=True)
        n = int((ordered.values.cumsum(0) < mass).sum()) + 1
        chosen = ordered.indices[: min(n, MOST_LOGITS)].tolist()
    else:
        chosen = [answer]
    found = []
    for token in chosen:
        weights = {token: 1.0} if foil is None else {token: 1.0, foil: -1.0}
        label = " - ".join(model.labels(list(weights)))
        readout = frozen_sum(
            model, local.last[-1], local.logits, weights, centred=float(sum(weights.values()))
        )
        target = LogitTarget(tuple(weights.items()))
        found.append(_Logit(token, label, float(probabilities[token]), target, readout))
    return found


# ---- the whole graph ----


@dataclass(frozen=True, eq=False)
class _Whole:
    """All nodes, and the direct effects among them."""

    sources: list[GraphNode]
    features: list[int]  # which of them are features
    logits: list[_Logit]
    effects: DirectEffects  # of the features in their order, and then the logits
    graph: WholeGraph


def _whole_graph(local: LocalModel, logits: list[_Logit]) -> _Whole:
    sources = source_nodes(local)
    features = [number for number, node in enumerate(sources) if node.kind == "feature"]
    if len(features) > MOST_FEATURES:
        raise InputError(
            f"{len(features)} features are active on this prompt, more than the {MOST_FEATURES} that a graph "
            "can have; take a shorter prompt or sparser transcoders."
        )
    reads = feature_reads(local, [sources[number] for number in features])
    reads += [
        Read("last", 0, local.n_pos - 1, logit.readout.direction, logit.readout.constant) for logit in logits
    ]
    found = direct_effects(local, sources, reads)
    between = torch.zeros(len(sources), len(sources), dtype=torch.float64)
    between[features] = found.effects[: len(features)]
    graph = WholeGraph(
        between=between,
        on_logits=found.effects[len(features) :],
        probabilities=torch.tensor([logit.probability for logit in logits], dtype=torch.float64),
        activations=torch.tensor([activation(local, node) for node in sources], dtype=torch.float64),
        is_token=torch.tensor([node.kind == "token" for node in sources]),
        is_error=torch.tensor([node.kind == "error" for node in sources]),
    )
    return _Whole(sources, features, logits, found, graph)


def _replaced(model: Model, transcoders: Transcoders, local: LocalModel) -> Float[Tensor, " d_vocab"]:
    """The logits at the end with all MLPs replaced, and no errors."""
    keep = counted(local.tokens)
    clean = model.run_with_cache(local.tokens, ["resid_mid", "mlp_out"])
    edits = replacement_edits(model, transcoders, local.tokens, clean, keep)
    return model.forward(local.tokens, edits)[0, -1].double().cpu()


# ---- what is left of it ----


def _nodes_left(
    model: Model, local: LocalModel, whole: _Whole, pruned: Pruned, names: FeatureNames
) -> GraphNodes:
    """The nodes that are left, the logits last, and what the logits lose without each."""
    kept = pruned.nodes.nonzero()[:, 0].tolist()
    nodes, logits, n = [whole.sources[number] for number in kept], whole.logits, len(whole.logits)
    ends = [GraphNode("logit", local.n_layers, local.n_pos - 1, logit.token) for logit in logits]
    directions = torch.stack([logit.readout.direction for logit in logits])
    targets = [logit.target for logit in logits]
    of_logits = torch.zeros(n, n, dtype=torch.float64)  # nothing is read of a logit

    def each(of_nodes: Tensor, at_end: Tensor) -> np.ndarray:
        return torch.cat([of_nodes, at_end]).numpy()

    reads = [mlp.pre for mlp in local.mlps]
    pre = [float(reads[x.layer][x.position, x.index]) if x.kind == "feature" else 0.0 for x in nodes]
    constants = torch.zeros(len(whole.sources), dtype=torch.float64)
    constants[whole.features] = whole.effects.constant[: len(whole.features)]
    probabilities = whole.graph.probabilities
    return GraphNodes(
        kinds=tuple(node.kind for node in (*nodes, *ends)),
        layers=np.array([node.layer for node in (*nodes, *ends)]),
        positions=np.array([node.position for node in (*nodes, *ends)]),
        indices=np.array([node.index for node in (*nodes, *ends)]),
        labels=(*_labels(model, nodes, names), *(logit.label for logit in logits)),
        activations=each(whole.graph.activations[kept], probabilities),
        influence=each(whole.graph.influence()[kept], torch.zeros(n, dtype=torch.float64)),
        pre_activations=np.array([*pre, *(logit.readout.value for logit in logits)]),
        constants=each(constants[kept], whole.effects.constant[len(whole.features) :]),
        attribution=each(whole.graph.total_effects()[:, kept].T, of_logits),
        in_local_model=each(in_local_model(local, nodes, directions), of_logits),
        in_model=each(in_model(model, local, nodes, targets), of_logits),
    )


def _labels(model: Model, nodes: Sequence[GraphNode], names: FeatureNames) -> list[str]:
    """The text of a token, the name of a feature."""
    return [
        model.labels([node.index])[0]
        if node.kind == "token"
        else names.get((node.layer, node.index), "")
        if node.kind == "feature"
        else ""
        for node in nodes
    ]


def _edges_left(model: Model, local: LocalModel, whole: _Whole, pruned: Pruned) -> GraphEdges:
    """The edges that are left, and what their targets lose in the model."""
    kept = pruned.nodes.nonzero()[:, 0].tolist()
    n_sources = len(whole.sources)
    number_of = {node: number for number, node in enumerate(kept)}
    number_of |= {n_sources + i: len(kept) + i for i in range(len(whole.logits))}
    features = [number for number in kept if whole.sources[number].kind == "feature"]
    column_of = {number: column for column, number in enumerate(features)}
    column_of |= {n_sources + i: len(features) + i for i in range(len(whole.logits))}
    lost = in_model_directly(
        model,
        local,
        [whole.sources[number] for number in kept],
        [whole.sources[number] for number in features],
        [logit.target for logit in whole.logits],
    )
    every = torch.cat([whole.graph.between, whole.graph.on_logits])
    targets, sources = (part.tolist() for part in pruned.edges.nonzero().T)
    return GraphEdges(
        sources=np.array([number_of[source] for source in sources], dtype=int),
        targets=np.array([number_of[target] for target in targets], dtype=int),
        effects=every[targets, sources].numpy(),
        in_model=np.array(
            [float(lost[number_of[s], column_of[t]]) for s, t in zip(sources, targets, strict=True)]
        ),
    )
