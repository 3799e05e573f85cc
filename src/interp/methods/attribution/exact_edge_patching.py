"""Exact edge patching: what patching one edge, or one node, changes in the metric, for each of all.

For one pair, every edge is a branch of one base run (`interp.models.branching`). What a receiver is, if one
sender's output is the donor's, is found for many senders at once by running its layer alone; the branch edits
that one q, k, v or MLP output. An edge into the logits needs no run. A node is patched as a whole. Where an
answer of several tokens is read in several runs, an edge or node is patched in all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.edits import Edit
from interp.methods.common.graph import Graph
from interp.methods.common.names import Component
from interp.methods.common.sender_runs import PairRuns, SenderRuns
from interp.models.base import Exact

# ---- edges ----


def exact_edge_scores(
    graph: Graph, runs: PairRuns, *, exact: Exact, batch_size: int
) -> tuple[Float[np.ndarray, " edge"], str]:
    """The score of every edge of one pair, and how the runs were computed.

    An edge that carries the same in both runs, or of which the receiver's activation does not change, bit for
    bit, is 0 and costs nothing.
    """
    scores = np.zeros(graph.mask.shape)
    paths = set()
    for layer in range(graph.n_layers):
        patched = [dict(_patched_edges(graph, run, layer, batch_size)) for run in runs.each]
        places = list(dict.fromkeys(place for of_run in patched for place in of_run))
        read = []
        for run, edits in zip(runs.each, patched, strict=True):
            # the first branch changes nothing; nor do those of edges that change nothing in this run
            branches = [[], *([edits[place]] if place in edits else [] for place in places)]
            swept = run.model.sweep(run.tokens, branches, run.readout, batch_size=batch_size, exact=exact)
            read.append(swept.values)
            paths.add(swept.path)
        values = runs.joined(read).double().numpy()
        scores[tuple(np.array(places, dtype=int).reshape(-1, 2).T)] = values[1:] - values[0]
    scores[:, graph.receiver_index["logits"]] = _into_logits(graph, runs, batch_size)
    return scores.T[graph.mask.T], " and ".join(sorted(paths))


def _into_logits(graph: Graph, runs: PairRuns, batch_size: int) -> Float[np.ndarray, " sender"]:
    """The scores of the edges into the logits: the readout of the last residual stream, patched."""
    scores = np.zeros(len(graph.senders))
    unchanged = runs.joined([run.logits_read(torch.zeros_like(run.last_resid)) for run in runs.each])
    for senders in _differing_senders(runs.each, len(graph.senders), batch_size):
        patched = runs.joined([run.logits_read(run.delta[senders]) for run in runs.each])
        scores[senders] = (patched - unchanged).double().cpu().numpy()
    return scores


def _patched_edges(
    graph: Graph, runs: SenderRuns, layer: int, batch_size: int
) -> Iterator[tuple[tuple[int, int], Edit]]:
    """For each edge into a layer: its (sender, receiver), and the receiver's activation if it is patched."""
    queries = Component(kind="head", layer=layer, index=0, reads="q")
    for senders in _differing_senders([runs], graph.n_read(queries), batch_size):
        for site, values in runs.heads_read(layer, _from_each(runs, senders)).items():
            for head in range(values.shape[2]):
                receiver = graph.receiver_index[f"a{layer}.h{head}<{site}>"]
                of_head = values[:, :, head : head + 1]
                for sender, edit in _edits(runs, senders, (site, layer, head), of_head):
                    yield (sender, receiver), edit
    mlp = Component(kind="mlp", layer=layer)
    for senders in _differing_senders([runs], graph.n_read(mlp), batch_size):
        values = runs.mlp_writes(layer, _from_each(runs, senders))
        for sender, edit in _edits(runs, senders, ("mlp_out", layer, None), values):
            yield (sender, graph.receiver_index[str(mlp)]), edit


def _differing_senders(each: Sequence[SenderRuns], n: int, batch_size: int) -> Iterator[list[int]]:
    """Those of the first `n` senders whose outputs differ between base and donor in any of these runs, some
    at a time."""
    found = torch.stack([run.delta[:n].flatten(1).any(1) for run in each]).any(0)
    differ = found.nonzero()[:, 0].tolist()
    return (differ[start : start + batch_size] for start in range(0, len(differ), batch_size))


def _from_each(runs: SenderRuns, senders: list[int]) -> Float[Tensor, "row pos d_model"]:
    """What arrives from each sender; before them a row in which nothing does."""
    nothing = torch.zeros_like(runs.delta[:1])
    return torch.cat([nothing, runs.delta[senders]])


def _edits(
    runs: SenderRuns,
    senders: list[int],
    place: tuple[str, int, int | None],
    values: Float[Tensor, "row pos ..."],
) -> list[tuple[int, Edit]]:
    """The activation at `place` (site, layer, head) as an edit, for each sender that changes it.

    `values` are as `_from_each` has its rows. Edits are at the positions where the sender changes something
    and something reads it.
    """
    site, layer, head = place
    # [sender, pos]; q, k, v and MLPs see their own position alone
    arrives = (runs.delta[senders] != 0).any(-1)
    changes = ((values[1:] != values[0]).flatten(2).any(-1) & arrives).cpu()
    if layer == runs.model.arch.n_layers - 1 and site in ("q", "mlp_out"):
        read = [position % runs.n_pos for position in runs.readout.positions]
        changes[:, [position for position in range(runs.n_pos) if position not in read]] = False
    edits = []
    for row, sender in enumerate(senders):
        positions = changes[row].nonzero()[:, 0].tolist()
        if positions:
            value = values[1 + row, positions][None]
            edits.append((sender, Edit.set(site, layer, value=value, positions=positions, heads=head)))
    return edits


# ---- nodes ----


def exact_node_scores(
    graph: Graph, runs: PairRuns, *, exact: Exact, batch_size: int
) -> tuple[Float[np.ndarray, " node"], str]:
    """The score of every node of one pair, and how the runs were computed."""
    swept = []
    for run in runs.each:
        branches: list[list[Edit]] = [[], *([run.donor_edit(node)] for node in graph.sender_nodes)]
        swept.append(run.model.sweep(run.tokens, branches, run.readout, batch_size=batch_size, exact=exact))
    values = runs.joined([one.values for one in swept]).double().numpy()
    return values[1:] - values[0], " and ".join(sorted({one.path for one in swept}))
