"""Runs of a model in which some edges carry something else than their sender wrote.

A receiver r reads

    resid(run) + sum over edges (s, r) outside of (instead[s] - run_out[s])

where ``run_out[s]`` is what the sender writes in this very run, so that it must be computed layer by layer:

1. Each q, k and v of a layer reads a stream of its own; those with the same edges outside share one.
2. With these, attention runs once for each run, and gives what the heads write. Where a norm stands behind
   it, the scale of what a head writes is that of this run, with the z of all heads as they are here; what an
   edge carries instead has the scale of where it comes from (`interp.methods.common.senders`).
3. The MLP reads a stream of its own.
4. What attention and MLP wrote goes on to the next layer; the logits read a stream of their own at last.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.edits import Edit
from interp.methods.common.graph import Graph
from interp.methods.common.senders import check_heads, head_outputs
from interp.models.base import Model
from interp.readout import Readout
from interp.tokens import Tokens


def edge_run_values(
    model: Model,
    tokens: Tokens,
    instead: Float[Tensor, "sender pos d_model"],
    outside: Bool[np.ndarray, "run sender receiver"],
    readout: Readout,
    *,
    batch_size: int,
) -> Float[Tensor, "run ..."]:
    """What `readout` reads in each run of one prompt (with all that follows it).

    Args:
        instead: what the edges carry that lie outside, by sender.
        outside: those edges, of each run.
        batch_size: the number of streams that a layer reads at once.
    """
    graph = Graph.of(model)
    start = model.run_with_cache(tokens, [("resid_pre", 0)], logits=False)["resid_pre", 0]
    at_once = max(1, batch_size // (graph.n_heads + 2 * graph.n_kv_heads))
    values = []
    for first in range(0, len(outside), at_once):
        chunk = torch.from_numpy(outside[first : first + at_once] & graph.mask)
        last = _last_stream(model, tokens, graph, start, instead, chunk)
        logits = model.unembed(last[:, list(readout.positions)])  # [run, position, d_vocab]
        values.append(readout.of(logits if readout.columns is None else logits[..., list(readout.columns)]))
    return torch.cat(values).cpu()


def _last_stream(
    model: Model,
    tokens: Tokens,
    graph: Graph,
    start: Float[Tensor, "1 pos d_model"],
    instead: Float[Tensor, "sender pos d_model"],
    outside: Bool[Tensor, "run sender receiver"],
) -> Float[Tensor, "run pos d_model"]:
    """What the logits read in each run."""
    resid = start.expand(len(outside), -1, -1)  # [run, pos, d_model], with what this run's own senders wrote
    shifts = (instead[0] - resid)[:, None]  # [run, sender, pos, d_model], of the senders so far
    n_qkv = graph.n_heads + 2 * graph.n_kv_heads
    receiver = 0
    for layer in range(graph.n_layers):
        of_heads, of_mlp = (slice(receiver, receiver + n_qkv), slice(receiver + n_qkv, receiver + n_qkv + 1))
        receiver = of_mlp.stop
        wrote = _attend(model, tokens, layer, resid, _streams(resid, shifts, outside[:, :, of_heads]))
        heads = head_outputs(model, layer, wrote["z"])  # [run, head, pos, d_model]
        check_heads(model, layer, heads, wrote["attn_out"])
        before, after = shifts, torch.cat([shifts, _shift(instead, shifts, heads)], 1)
        mid = resid + wrote["attn_out"]
        if graph.parallel_attention:
            stream = _stream_of_one(resid, before, outside[:, :, of_mlp])
            mlp = model.run_layer(tokens, layer, stream, ["mlp_out"])["mlp_out"]
        else:
            stream = _stream_of_one(mid, after, outside[:, :, of_mlp])
            reads = Edit.set("resid_mid", layer, value=stream)
            mlp = model.run_layer(tokens, layer, resid, ["mlp_out"], [reads])["mlp_out"]
        shifts = torch.cat([after, _shift(instead, after, mlp[:, None])], 1)
        resid = mid + mlp
    return _stream_of_one(resid, shifts, outside[:, :, receiver:])


_Streams = tuple[Float[Tensor, "stream pos d_model"], Int[Tensor, "run receiver"]]


def _attend(
    model: Model, tokens: Tokens, layer: int, resid: Float[Tensor, "run pos d_model"], reads: _Streams
) -> dict[str, Tensor]:
    """z and attn_out of each run, where q, k and v of each head read a stream of their own."""
    streams, which = reads
    if bool((which == which[:, :1]).all()):  # all of a run read the same
        return model.run_layer(tokens, layer, streams[which[:, 0]], ["z", "attn_out"])
    read = model.run_layer(tokens, layer, streams, ["q", "k", "v"])
    edits, first = [], 0
    for site in ("q", "k", "v"):
        n = read[site].shape[2]
        from_stream = which[:, first : first + n]  # [run, head]
        chosen = read[site][from_stream, :, torch.arange(n)]  # [run, head, pos, d_head]
        edits.append(Edit.set(site, layer, value=chosen.transpose(1, 2)))
        first += n
    return model.run_layer(tokens, layer, resid, ["z", "attn_out"], edits)


def _shift(
    instead: Float[Tensor, "sender pos d_model"],
    so_far: Float[Tensor, "run written pos d_model"],
    wrote: Float[Tensor, "run new pos d_model"],
) -> Float[Tensor, "run new pos d_model"]:
    """What the senders that come next would add to a reader if their edge to it lay outside."""
    n = so_far.shape[1]
    return instead[n : n + wrote.shape[1]] - wrote


def _stream_of_one(
    resid: Float[Tensor, "run pos d_model"],
    shifts: Float[Tensor, "run sender pos d_model"],
    outside: Bool[Tensor, "run all_senders 1"],
) -> Float[Tensor, "run pos d_model"]:
    """What a single receiver reads in each run."""
    streams, which = _streams(resid, shifts, outside)
    return streams[which[:, 0]]


def _streams(
    resid: Float[Tensor, "run pos d_model"],
    shifts: Float[Tensor, "run sender pos d_model"],
    outside: Bool[Tensor, "run all_senders receiver"],
) -> _Streams:
    """What the receivers read, and which stream each reads, [run, receiver]. Receivers of a run that have the
    same edges outside share a stream."""
    outside = outside[:, : shifts.shape[1]]
    found: dict[tuple[int, bytes], int] = {}
    which = torch.empty(len(outside), outside.shape[2], dtype=torch.long)
    for row, of_row in enumerate(outside.numpy()):
        for receiver, column in enumerate(of_row.T):
            which[row, receiver] = found.setdefault((row, column.tobytes()), len(found))
    columns = np.stack([np.frombuffer(column, dtype=bool) for _, column in found])  # [stream, sender]
    rows = np.array([row for row, _ in found])  # of each stream; in order
    weights = torch.from_numpy(columns).to(shifts)
    of_row = [weights[rows == row] @ shifts[row].flatten(1) for row in range(len(resid))]
    added = torch.cat(of_row).view(-1, *resid.shape[1:])  # [stream, pos, d_model]
    return resid[rows] + added, which
