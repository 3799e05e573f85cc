"""Why a head attends where it does: an attention score as an exact sum over pairs of nodes.

    score[q, k] = sigma * query(x[q]) . key(x[k])

With the scales of norms frozen (that before attention, and those of queries and keys, where there are any),
query and key are linear in the residual stream, which is a sum of what tokens, features and errors wrote
(`interp.methods.graphs.direct_effects`, along all paths through attention of earlier layers). So the score is
a sum over pairs: what one node put into the query times what another put into the key. Biases stand as a node
of their own.

Attribution graphs freeze the patterns and leave this out. After Kamath et al. 2025,
https://transformer-circuits.pub/2025/attention-qk/index.html, who take features of the residual stream.

When it misleads: a score counts only against those of other keys; what raises all scores of a query alike
moves no attention. Compare two keys (`other_key`): the pairs then sum to the difference of their scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import DecompositionError, InputError
from interp.methods.graphs.direct_effects import direct_effects
from interp.methods.graphs.frozen_attention import TOLERANCE
from interp.methods.graphs.local_model import LocalModel
from interp.methods.graphs.nodes import GraphNode, Read, source_nodes
from interp.methods.graphs.results import AttentionScorePartsResult
from interp.models.base import Model
from interp.models.modes import outside_inference_mode
from interp.provenance import Provenance
from interp.saes.transcoder import Transcoders
from interp.tokens import Prompt


@outside_inference_mode
def attention_score_parts(
    model: Model,
    transcoders: Transcoders,
    prompt: Prompt,
    *,
    layer: int,
    head: int,
    query: int = -1,
    key: int,
    other_key: int | None = None,
    k: int = 30,
    seed: int = 0,
) -> AttentionScorePartsResult:
    """What pairs of nodes add to the score of a head between two positions of `prompt`.

    With `other_key`, to the score of `key` less that of the other: why it attends to one rather than the
    other. The `k` pairs that add or take the most are listed; the sums by node are over all pairs.

    Raises:
        InputError: a layer, head or position that is not there, or a key behind its query.
        DecompositionError: queries or keys of a kind that is not linear with norms frozen; scores that are
            capped.
        SiteError: the model or backend does not show its attention.
    """
    tokens = model.to_tokens(prompt).repeat(1)
    keys = [key] if other_key is None else [key, other_key]
    query, keys = _checked(model, tokens.lengths[0], layer, head, query, keys)
    local = LocalModel.of(model, transcoders, tokens)
    sources = source_nodes(local)
    kv_head = head * model.arch.n_kv_heads // model.arch.n_heads
    q = _parts(model, local, sources, "q", layer, head, query)
    k_parts = [_parts(model, local, sources, "k", layer, kv_head, at) for at in keys]
    sigma = _sigma(model, local, layer, head, kv_head, query)
    difference = k_parts[0] if len(keys) == 1 else k_parts[0] - k_parts[1]
    pairs = sigma * q.T @ difference  # [query node, key node], the biases last
    order = pairs.abs().flatten().argsort(descending=True)[:k]
    rows, columns = order // len(pairs), order % len(pairs)
    names = [*sources, None]
    pattern = local.attention[layer].pattern[head, query]
    return AttentionScorePartsResult(
        provenance=Provenance.of(model, seed=seed),
        prompt=model.to_text(local.tokens.row(0)),
        tokens=tuple(model.labels(local.tokens.row(0))),
        layer=layer,
        head=head,
        query=query,
        key=keys[0],
        other_key=keys[1] if len(keys) > 1 else None,
        score=float(pairs.sum()),
        attention=tuple(float(pattern[at]) for at in keys),
        nodes=tuple(_name(model, node) for node in names),
        by_query=pairs.sum(1).numpy(),
        by_key=pairs.sum(0).numpy(),
        pair_queries=rows.numpy(),
        pair_keys=columns.numpy(),
        pair_values=pairs[rows, columns].numpy(),
    )


def _checked(
    model: Model, n: int, layer: int, head: int, query: int, keys: list[int]
) -> tuple[int, list[int]]:
    """Query and keys counted from the start of a prompt of `n` tokens. `InputError` for what is not there."""
    arch = model.arch
    if not (0 <= layer < arch.n_layers and 0 <= head < arch.n_heads):
        raise InputError(
            f"There is no head {layer}.{head}; {model.identity.name} has {arch.n_layers} layers of "
            f"{arch.n_heads} heads, both from 0."
        )
    for position in (query, *keys):
        if not -n <= position < n:
            raise InputError(f"Position {position} is out of range; the prompt has {n} tokens.")
    query, keys = query % n, [key % n for key in keys]
    late = [key for key in keys if key > query]
    if late:
        raise InputError(f"Position {late[0]} comes after the query at {query}, which cannot attend to it.")
    return query, keys


def _name(model: Model, node: GraphNode | None) -> str:
    if node is None:
        return "biases"
    if node.kind == "token":
        return f"token {model.labels([node.index])[0]!r} @{node.position}"
    what = f"f{node.index}" if node.kind == "feature" else "error"
    return f"m{node.layer}.{what} @{node.position}"


@dataclass(frozen=True, eq=False)
class _Frozen:
    """A query or key at one position: ``x @ weight + constant``."""

    weight: Float[Tensor, "d_model d_head"]
    constant: Float[Tensor, " d_head"]


def _parts(
    model: Model, local: LocalModel, sources: list[GraphNode], site: str, layer: int, head: int, at: int
) -> Float[Tensor, "d_head node"]:
    """What each node puts into a query or key, the biases last."""
    frozen = _frozen(model, local, site, layer, head, at)
    reads = [
        Read("pre", layer, at, vector, float(constant))
        for vector, constant in zip(frozen.weight.T, frozen.constant, strict=True)
    ]
    found = direct_effects(local, sources, reads)
    return torch.cat([found.effects, found.constant[:, None]], 1)


def _frozen(model: Model, local: LocalModel, site: str, layer: int, head: int, at: int) -> _Frozen:
    """The linear map to a query or key, found by running the layer on unit vectors.

    Where there is no norm of queries and keys, as for values (`frozen_attention`). Where there is one (an
    RMSNorm, without biases before it), a unit vector gives the direction of its query alone; how long it is
    beside the run's own, the query of their sum says, which lies between the two.
    """
    width = model.arch.d_model
    stream = model.run_with_cache(local.tokens, [("resid_pre", layer)], logits=False)["resid_pre", layer]
    size = float(stream[0, at].norm())
    unit = torch.eye(width, device=stream.device, dtype=stream.dtype)[:, None].expand(-1, local.n_pos, -1)
    probes = torch.cat([stream, torch.zeros_like(stream), unit, stream + size * unit])
    found = model.run_layer(local.tokens, layer, probes, [site])[site][:, at, head].double().cpu()
    own, nothing, units, sums = found[0], found[1], found[2 : 2 + width], found[2 + width :]
    x = stream[0, at].double().cpu()
    for weight in (_without_norm(own - nothing, units - nothing, x), _with_norm(own, units, sums, size)):
        off = (x @ weight + nothing - own).abs().max() / own.abs().max().clamp(min=1e-300)
        if off <= TOLERANCE.get(model.dtype, 0.0):
            return _Frozen(weight, nothing)
    raise DecompositionError(
        f"With norms frozen, {site} of layer {layer} is no linear map of the residual stream; load the model "
        "with dtype='float32' or 'float64' where it is in half precision, otherwise its scores have no parts."
    )


def _without_norm(
    own: Float[Tensor, " d_head"], units: Float[Tensor, "d_model d_head"], x: Float[Tensor, " d_model"]
) -> Float[Tensor, "d_model d_head"]:
    reached = x @ units
    return units * (reached @ own / reached.square().sum().clamp(min=1e-300))


def _with_norm(
    own: Float[Tensor, " d_head"],
    units: Float[Tensor, "d_model d_head"],
    sums: Float[Tensor, "d_model d_head"],
    size: float,
) -> Float[Tensor, "d_model d_head"]:
    """a * own + b * unit = sum, for each unit vector; b / a is how long the unit's query is."""
    basis = torch.stack([own.expand_as(units), units], -1)  # [d_model, d_head, 2]
    a, b = torch.linalg.lstsq(basis, sums[..., None]).solution[..., 0].unbind(-1)
    return units * (b / a / size)[:, None]


def _sigma(model: Model, local: LocalModel, layer: int, head: int, kv_head: int, query: int) -> float:
    """By what the products of query and keys are multiplied before the softmax, as the pattern says."""
    cache = model.run_with_cache(local.tokens, [("q", layer), ("k", layer)], logits=False)
    q, keys = (cache[site, layer][0].double().cpu() for site in ("q", "k"))
    pattern = local.attention[layer].pattern[head, query]
    seen = pattern > 1e-30
    products = (keys[:, kv_head] @ q[query, head])[seen]
    scores = pattern[seen].log()
    if len(products) < 2:
        return model.arch.d_head**-0.5  # a single key, which gets all attention whatever its score
    products, scores = products - products.mean(), scores - scores.mean()
    sigma = float(products @ scores / products.square().sum().clamp(min=1e-300))
    if not (sigma * products - scores).abs().max() <= 1e-2 * scores.abs().max().clamp(min=1e-2):
        raise DecompositionError(
            f"The attention of head {layer}.{head} is no softmax of products of queries and keys (it has a "
            "soft cap or a bias), so its scores have no parts."
        )
    return sigma
