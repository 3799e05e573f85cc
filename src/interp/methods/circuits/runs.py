"""What a model does when all but a circuit is ablated.

At the level of nodes, every head and MLP outside the circuit writes something else than it would: each
circuit is a branch of one sweep (`interp.Model.sweep`). The input is never ablated.

At the level of edges, every edge outside carries something else than its sender wrote: a receiver r reads

    resid(run) + sum over edges (s, r) outside of (other_out[s] - run_out[s])

where ``run_out[s]`` is what the sender writes in this very run, so that it must be computed layer by layer:

1. Each q, k and v of a layer reads a stream of its own; those with the same edges outside share one.
2. With these, attention runs once for each circuit, and gives what the heads write.
3. The MLP reads a stream of its own.
4. What attention and MLP wrote goes on to the next layer; the logits read a stream of their own at last.

What takes the place of an output outside is one of the kinds of `interp.methods.ablation.ablation`, the
corrupted prompts being the reference: ``resample`` (what it is in the pair's corrupted run: interchange),
``mean``, ``mean_by_position``, ``mean_by_template`` (Wang et al. 2022) or ``zero``. At the level of edges
this holds for the input, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interp.edits import Edit
from interp.errors import DecompositionError, InputError, check_choice
from interp.methods.ablation.reference_activations import ReferenceActivations
from interp.methods.circuits.results import ABLATIONS, Ablation
from interp.methods.common.circuit import Circuit
from interp.methods.common.graph import Graph
from interp.methods.common.senders import head_outputs, sender_outputs, sender_sites
from interp.metrics import MetricKind
from interp.models.base import Cache, Exact, Model
from interp.models.self_check import ROUNDING
from interp.progress import report
from interp.readout import Readout, metric_readout
from interp.tasks.base import Pair, PairDataset
from interp.tokens import Tokens

TOLERANCE = 10  # how many roundings a run by parts may differ from the run of the whole model


def circuit_values(
    model: Model,
    dataset: PairDataset,
    circuits: Sequence[Circuit],
    *,
    ablation: Ablation = "resample",
    metric: MetricKind = "logit_diff",
    batch_size: int = 64,
    exact: Exact = "auto",
) -> Float[np.ndarray, "circuit pair"]:
    """The metric on each clean prompt with all but each circuit ablated.

    Args:
        circuits: all of one level.
        metric: ``logit_diff``, ``prob`` or ``kl``, of the answer at the last position.
        batch_size: at the level of nodes, see `interp.Model.sweep`; at the level of edges, the number of
            streams that a layer reads at once.
        exact: at the level of nodes, see `interp.Model.sweep`.

    Raises `InputError` for an unknown choice, for circuits of different levels or of another model, and for
    means that these prompts do not have; `SiteError` where the backend cannot reach q, k, v, which edges
    need.
    """
    check_choice("ablation", ablation, ABLATIONS)
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1; got {batch_size}.")
    _check_circuits(model, circuits)
    distinct = {circuit.members: circuit for circuit in circuits}  # those that are the same are run once
    values = []
    for index, (pair, other) in enumerate(zip(dataset, _others(model, dataset, ablation), strict=True)):
        report("pairs", index, len(dataset))
        prompt = _Prompt.of(model, pair, metric)
        if circuits[0].level == "node":
            found = _by_nodes(prompt, list(distinct.values()), other, batch_size=batch_size, exact=exact)
        else:
            found = _by_edges(prompt, list(distinct.values()), other, batch_size=batch_size)
        values.append(found.double().numpy())
    report("pairs", len(dataset), len(dataset))
    row = {members: i for i, members in enumerate(distinct)}
    return np.stack(values, axis=1)[[row[circuit.members] for circuit in circuits]]


@dataclass(frozen=True, eq=False, kw_only=True)
class _Prompt:
    """A clean prompt, and what is measured on it."""

    model: Model
    tokens: Tokens
    readout: Readout
    value: float  # the metric of the whole model

    @classmethod
    def of(cls, model: Model, pair: Pair, metric: MetricKind) -> _Prompt:
        tokens = model.to_tokens([pair.clean])
        logits = model.forward(tokens)
        readout = metric_readout(metric, answer=pair.answer, foil=pair.foil, clean_logits=logits)
        return cls(model=model, tokens=tokens, readout=readout, value=float(readout(logits)[0]))


def _check_circuits(model: Model, circuits: Sequence[Circuit]) -> None:
    """Circuits of one level, and of this model."""
    if not circuits:
        raise InputError("There is no circuit to run; give at least one.")
    level, graph = circuits[0].level, circuits[0].graph
    if any(one.level != level or one.graph != graph for one in circuits):
        raise InputError("The circuits are of different levels or models; run those of one level at a time.")
    if graph != Graph.of(model, level=level):
        raise InputError(f"The circuit is of another architecture than {model.identity.name}.")
    for site in ("q", "k", "v") if level == "edge" else ():
        model.check_site(site)


# ---- what takes the place of outputs outside ----


def _others(model: Model, dataset: PairDataset, ablation: Ablation) -> Iterator[Cache]:
    """For each pair, what its senders write instead, as if it were a run: resid_pre 0, z and mlp_out."""
    sites = sender_sites(model.arch.n_layers)
    references = ReferenceActivations.of(model, dataset, sites, [ablation])
    for index, pair in enumerate(dataset):
        run = model.run_with_cache([pair.corrupted], sites)  # [1, pos, ...] each
        if ablation == "resample":
            yield run
            continue
        replace = references.for_prompt(index)
        values: dict[tuple[str, int | None], Tensor] = {
            key: torch.zeros_like(run[key])
            if ablation == "zero"
            else replace(ablation, key).to(run[key])[None].expand_as(run[key])
            for key in sites
        }
        yield Cache(values, logits=run.logits, tokens=run.tokens)


# ---- nodes ----


def _by_nodes(
    prompt: _Prompt, circuits: Sequence[Circuit], other: Cache, *, batch_size: int, exact: Exact
) -> Float[Tensor, " circuit"]:
    """The metric of one prompt, each circuit being a branch of one sweep."""
    branches = [_outside(circuit, other) for circuit in circuits]
    swept = prompt.model.sweep(prompt.tokens, branches, prompt.readout, batch_size=batch_size, exact=exact)
    return swept.values


def _outside(circuit: Circuit, other: Cache) -> list[Edit]:
    """The edits that put other outputs in the place of every head and MLP outside."""
    graph, edits = circuit.graph, []
    for layer in range(graph.n_layers):
        heads = [h for h, head in enumerate(graph.heads(layer)) if str(head) not in circuit.members]
        if heads:
            z = other["z", layer][:, :, heads]
            edits.append(Edit.set("z", layer, value=z, heads=heads))
        if f"m{layer}" not in circuit.members:
            edits.append(Edit.set("mlp_out", layer, value=other["mlp_out", layer]))
    return edits


# ---- edges ----


def _by_edges(
    prompt: _Prompt, circuits: Sequence[Circuit], other: Cache, *, batch_size: int
) -> Float[Tensor, " circuit"]:
    """The metric of one prompt, layer by layer; all edges together are run as a check."""
    model, readout, graph = prompt.model, prompt.readout, circuits[0].graph
    with_whole = [circuits[0].full, *circuits]
    start = model.run_with_cache(prompt.tokens, [("resid_pre", 0)])["resid_pre", 0]
    instead = sender_outputs(model, other)
    at_once = max(1, batch_size // (graph.n_heads + 2 * graph.n_kv_heads))
    values = []
    for first in range(0, len(with_whole), at_once):
        masks = np.stack([circuit.mask for circuit in with_whole[first : first + at_once]])
        outside = torch.from_numpy(graph.mask & ~masks)
        last = _run_edges(model, prompt.tokens, graph, start, instead, outside)
        logits = model.unembed(last[:, list(readout.positions)])  # [circuit, position, d_vocab]
        values.append(readout.of(logits if readout.columns is None else logits[..., list(readout.columns)]))
    found = torch.cat(values).cpu()
    _check_whole(model, by_parts=float(found[0]), whole=prompt.value)
    return found[1:]


def _check_whole(model: Model, *, by_parts: float, whole: float) -> None:
    """All edges together are the model; they are not where it adds up its parts in a way of its own."""
    if abs(by_parts - whole) > max(1e-3, TOLERANCE * ROUNDING[model.dtype] * max(1.0, abs(whole))):
        raise DecompositionError(
            f"With all edges, {model.identity.name} should give {whole:.6g}, but its parts give "
            f"{by_parts:.6g}; load it with dtype='float64', or run a circuit of nodes."
        )


def _run_edges(
    model: Model,
    tokens: Tokens,
    graph: Graph,
    start: Float[Tensor, "1 pos d_model"],
    instead: Float[Tensor, "sender pos d_model"],
    outside: Bool[Tensor, "circuit sender receiver"],
) -> Float[Tensor, "circuit pos d_model"]:
    """What the logits read in a run of each circuit."""
    n_heads, n_kv_heads = graph.n_heads, graph.n_kv_heads
    resid = start.expand(len(outside), -1, -1)  # [circuit, pos, d_model]
    shifts = (instead[0] - resid)[:, None]  # [circuit, sender, pos, d_model], of the senders so far
    receiver = 0
    for layer in range(graph.n_layers):
        # 1. q, k, v of each head from streams of their own
        n = n_heads + 2 * n_kv_heads
        streams, which = _streams(resid, shifts, outside[:, :, receiver : receiver + n])
        receiver += n
        read = model.run_layer(tokens, layer, streams, ["q", "k", "v"])
        edits, first = [], 0
        for site, of_site in (("q", n_heads), ("k", n_kv_heads), ("v", n_kv_heads)):
            from_stream = which[:, first : first + of_site]  # [circuit, head]
            chosen = read[site][from_stream, :, torch.arange(of_site)]  # [circuit, head, pos, d_head]
            edits.append(Edit.set(site, layer, value=chosen.transpose(1, 2)))
            first += of_site
        # 2. what the heads write
        wrote = model.run_layer(tokens, layer, resid, ["z", "attn_out"], edits)
        heads = head_outputs(wrote["z"], model.W_O(layer))  # [circuit, head, pos, d_model]
        after = torch.cat([shifts, _shift(instead, shifts, heads)], 1)
        mid = resid + wrote["attn_out"]
        # 3. what the MLP writes
        reads_mid = not graph.parallel_attention
        streams, which = _streams(
            mid if reads_mid else resid,
            after if reads_mid else shifts,
            outside[:, :, receiver : receiver + 1],
        )
        receiver += 1
        stream = streams[which[:, 0]]  # [circuit, pos, d_model]
        if reads_mid:
            set_mid = Edit.set("resid_mid", layer, value=stream)
            mlp = model.run_layer(tokens, layer, resid, ["mlp_out"], [set_mid])["mlp_out"]
        else:
            mlp = model.run_layer(tokens, layer, stream, ["mlp_out"])["mlp_out"]
        shifts = torch.cat([after, _shift(instead, after, mlp[:, None])], 1)
        resid = mid + mlp
    streams, which = _streams(resid, shifts, outside[:, :, receiver:])
    return streams[which[:, 0]]


def _shift(instead: Tensor, so_far: Tensor, wrote: Tensor) -> Tensor:
    """What the senders that come next would add to a reader if their edge to it lay outside."""
    n = so_far.shape[1]
    return instead[n : n + wrote.shape[1]] - wrote


def _streams(
    resid: Float[Tensor, "circuit pos d_model"],
    shifts: Float[Tensor, "circuit sender pos d_model"],
    outside: Bool[Tensor, "circuit all_senders receiver"],
) -> tuple[Float[Tensor, "stream pos d_model"], Tensor]:
    """What the receivers read, and which stream each reads, [circuit, receiver]. Receivers of a circuit that
    have the same edges outside share a stream."""
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
