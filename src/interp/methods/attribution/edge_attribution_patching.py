"""Edge attribution patching (EAP) and EAP with integrated gradients (EAP-IG): scores of all edges or nodes
of one pair, estimated to first order.

The estimate is ``(donor's - base's output of the sender) . d metric / d (what the receiver reads of it)``,
with the gradient of the base run (EAP, Syed et al. 2023) or averaged over runs between base and donor
(EAP-IG, Hanna et al. 2024). `interp.methods.attribution.edge_attribution` says when they mislead.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.edits import Edit
from interp.methods.common.graph import Graph
from interp.methods.common.names import Component
from interp.methods.common.sender_runs import PairRuns
from interp.models.base import Cache, Model
from interp.readout import AnyReadout, widened
from interp.tokens import Tokens


def runs_between(runs: PairRuns, method: str, steps: int) -> list[list[Edit]]:
    """The runs over which a method averages gradients, each as edits of the base run."""
    if method == "eap":
        return [[]]
    last = runs.model.arch.n_layers
    places = [("resid_pre", 0)]
    if method == "eap-ig-activations":
        places += [(site, layer) for layer in range(last) for site in ("attn_out", "mlp_out")]
    shares = [(step + 0.5) / steps for step in range(steps)]
    return [
        [Edit.set(*place, value=torch.lerp(runs.cache[place], runs.donor_cache[place], share))]
        for place in places
        for share in shares
    ]


# ---- edges ----


def edge_scores_by_gradients(
    graph: Graph, runs: PairRuns, between: list[list[Edit]]
) -> Float[np.ndarray, " edge"]:
    """The estimated score of every edge of one pair."""
    total = [torch.zeros_like(run.delta[:1]).repeat(len(graph.receivers), 1, 1) for run in runs.each]
    for edits in between:
        found = receiver_gradients(runs.model, graph, runs.question.base, runs.question.readout, edits)
        for of_run, gradients in zip(total, found, strict=True):
            for edit in edits:  # an MLP whose output is given reads nothing
                if edit.address.site == "mlp_out":
                    gradients[graph.receiver_index[f"m{edit.address.layer}"]] = 0.0
            of_run += gradients
    each = [
        torch.einsum("spd,rpd->sr", widened(run.delta), widened(of_run))
        for run, of_run in zip(runs.each, total, strict=True)
    ]
    scores = torch.stack(each).sum(0) / len(between)
    return scores.cpu().numpy().T[graph.mask.T]


def receiver_gradients(
    model: Model, graph: Graph, prompt: Tokens, readout: AnyReadout, edits: Sequence[Edit] = ()
) -> list[Float[Tensor, "receiver pos d_model"]]:
    """The gradient of a readout with respect to what each receiver reads of the residual stream, in each of
    the runs that it reads, with `edits`: along the paths through this receiver alone.

    One backward pass of the model, and for each layer one of as many rows as it has q, k and v.
    """
    last = graph.n_layers - 1
    runs = readout.runs(prompt)
    streams = ["resid_pre"] if graph.parallel_attention else ["resid_pre", "resid_mid"]
    cache = model.run_with_cache(runs, streams, edits)
    places = [(site, layer) for layer in range(last + 1) for site in ("q", "k", "v", "mlp_out")]
    found = model.gradients(prompt, [*places, ("resid_post", last)], readout, edits)
    gradients: dict[tuple[str, int | None], Tensor] = {}
    gradients.update(zip([*places, ("resid_post", last)], found, strict=True))
    batch = Cache(gradients, logits=cache.logits, tokens=runs)
    return [_gradients_of_run(model, graph, cache.row(run), batch.row(run)) for run in range(len(runs))]


def _gradients_of_run(
    model: Model, graph: Graph, cache: Cache, gradients: Cache
) -> Float[Tensor, "receiver pos d_model"]:
    """Those of one run, given its residual streams, and the gradients with respect to q, k, v, mlp_out and
    the last residual stream."""
    last, parallel, tokens = graph.n_layers - 1, graph.parallel_attention, cache.tokens
    rows = []
    for layer in range(last + 1):
        before = cache["resid_pre", layer]
        weights = _one_head_a_row({site: gradients[site, layer] for site in ("q", "k", "v")})
        stream = before.expand(len(weights["q"]), -1, -1)
        rows.append(model.layer_gradients(tokens, layer, stream, "resid_pre", weights))
        mlp = {"mlp_out": gradients["mlp_out", layer]}
        if parallel:
            rows.append(model.layer_gradients(tokens, layer, before, "resid_pre", mlp))
        else:
            reads = Edit.set("resid_mid", layer, value=cache["resid_mid", layer])
            rows.append(model.layer_gradients(tokens, layer, before, "resid_mid", mlp, [reads]))
    return torch.cat([*rows, gradients["resid_post", last]])


def _one_head_a_row(gradients: dict[str, Tensor]) -> dict[str, Tensor]:
    """Gradients [1, pos, head, d_head] of several sites, with a row for each head of each: its own alone."""
    n_rows = sum(gradient.shape[2] for gradient in gradients.values())
    weights, start = {}, 0
    for site, gradient in gradients.items():
        weights[site] = gradient.new_zeros(n_rows, *gradient.shape[1:])
        for head in range(gradient.shape[2]):
            weights[site][start + head, :, head] = gradient[0, :, head]
        start += gradient.shape[2]
    return weights


# ---- nodes ----


def node_scores_by_gradients(
    graph: Graph, runs: PairRuns, between: list[list[Edit]]
) -> Float[np.ndarray, " node"]:
    """The estimated score of every node of one pair."""
    written = [_written_at(node) for node in graph.sender_nodes]
    places = list(dict.fromkeys(written))
    prompt, readout = runs.question.base, runs.question.readout
    found = [torch.stack(runs.model.gradients(prompt, places, readout, edits)) for edits in between]
    of_each = sum(found[1:], found[0])[
        [places.index(place) for place in written]
    ]  # [sender, run, pos, d_model]
    each = [
        torch.einsum("spd,spd->s", widened(run.delta), widened(of_each[:, i, : run.n_pos]))
        for i, run in enumerate(runs.each)
    ]
    return (torch.stack(each).sum(0) / len(between)).cpu().numpy()


def _written_at(sender: Component) -> tuple[str, int]:
    """The site at which what a sender writes is a part of what is added to the residual stream."""
    sites = {"input": "resid_pre", "head": "attn_out", "mlp": "mlp_out"}
    return sites[sender.kind], sender.layer
