"""What a model does when all but a circuit is ablated.

At the level of nodes, every head and MLP outside the circuit writes something else than it would: each
circuit is a branch of one sweep (`interp.Model.sweep`). The input is never ablated. At the level of edges,
every edge outside carries something else than its sender wrote (`interp.methods.common.edge_runs`).

What takes the place of an output outside is one of the kinds of `interp.methods.ablation.ablation`, the
corrupted prompts being the reference: ``resample`` (what it is in the pair's corrupted run: interchange),
``mean``, ``mean_by_position``, ``mean_by_template`` (Wang et al. 2022) or ``zero``. At the level of edges
this holds for the input, too.

Where a norm stands behind attention (Gemma 2 and 3, OLMo-2), what a head writes is what it adds to the
stream, at both levels (`interp.methods.common.senders`): a head in the circuit with the norm's scale in this
run; one outside with the scale of the corrupted run that its output comes from, and a mean is of what it adds
in each run. The norm is not computed anew of inside and outside together, as it is where z is patched.
Circuits of nodes then run as those of the edges that leave their nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.edits import Edit
from interp.errors import DecompositionError, InputError, check_choice
from interp.methods.ablation.reference_activations import ReferenceActivations
from interp.methods.ablation.replacement import Key
from interp.methods.circuits.results import ABLATIONS, Ablation
from interp.methods.common.answers import Measure
from interp.methods.common.circuit import Circuit
from interp.methods.common.edge_runs import edge_run_values
from interp.methods.common.graph import Graph
from interp.methods.common.outlier_positions import OutlierPositions
from interp.methods.common.outliers import OVERWRITING
from interp.methods.common.over_pairs import dataset_key, digest_of, over_pairs
from interp.methods.common.senders import outputs_of_scaled, scaled, sender_outputs, sender_sites
from interp.metrics import MetricKind
from interp.models.base import Cache, Exact, Model
from interp.models.self_check import ROUNDING
from interp.parts import Arrays
from interp.readout import AnyReadout
from interp.tasks.base import Pair, PairDataset
from interp.tokens import Tokens

SiteKey = tuple[str, int | None]
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
    outliers: OutlierPositions | None = None,
) -> Float[np.ndarray, "circuit pair"]:
    """The metric on each clean prompt with all but each circuit ablated.

    Args:
        circuits: all of one level.
        metric: ``logit_diff``, ``prob`` or ``kl``, of the answer at the last position.
        batch_size: at the level of nodes, see `interp.Model.sweep`; at the level of edges, and where a norm
            stands behind attention, the number of streams that a layer reads at once.
        exact: where circuits are swept, see `interp.Model.sweep`.
        outliers: positions of the clean prompts at which zeros and means put nothing: there, what lies
            outside is what it is in the clean run. They are left out of means, too.

    Raises `InputError` for an unknown choice, for circuits of different levels or of another model, and for
    means that these prompts do not have; `SiteError` where the backend cannot reach q, k, v, which edges
    need.
    """
    check_choice("ablation", ablation, ABLATIONS)
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1; got {batch_size}.")
    _check_circuits(model, circuits)
    distinct = {circuit.members: circuit for circuit in circuits}  # those that are the same are run once
    others = _Others.of(model, dataset, ablation, metric, outliers)

    def values(asked: tuple[int, _Prompt]) -> Arrays:
        number, prompt = asked
        other = others.of_pair(number)
        if circuits[0].level == "node" and not model.arch.post_norms:
            found = _by_nodes(prompt, list(distinct.values()), other, batch_size=batch_size, exact=exact)
        else:
            found = _by_edges(prompt, list(distinct.values()), other, batch_size=batch_size)
        return {"values": found.double().numpy()}

    left = None if outliers is None else list(map(list, outliers.at))
    members = digest_of([sorted(members) for members in distinct])
    how = [circuits[0].level, members, ablation, metric, left, str(exact)]
    among = {"circuits": how, "dataset": dataset_key(dataset), "model": model.identity.to_dict()}
    parts = over_pairs(
        len(dataset),
        lambda number: (number, _Prompt.of(model, dataset[number], metric)),
        values,
        key=lambda asked: {"number": asked[0], "unpatched": asked[1].value, **among},
        describe=lambda number: repr(dataset[number].text),
    )
    row = {members: i for i, members in enumerate(distinct)}
    return parts.stacked("values").T[[row[circuit.members] for circuit in circuits]]


@dataclass(frozen=True, eq=False, kw_only=True)
class _Prompt:
    """A clean prompt, and what is measured on it."""

    model: Model
    tokens: Tokens
    readout: AnyReadout
    value: float  # the metric of the whole model

    @classmethod
    def of(cls, model: Model, pair: Pair, metric: MetricKind) -> _Prompt:
        tokens = model.to_tokens([pair.clean])
        measure = Measure.of_pair(pair, metric)
        logits = model.forward(measure.runs(tokens))
        readout = measure.readout(logits)
        return cls(model=model, tokens=tokens, readout=readout, value=float(readout(logits)[0]))


def _check_circuits(model: Model, circuits: Sequence[Circuit]) -> None:
    """Circuits of one level, and of this model."""
    if not circuits:
        raise InputError("There is no circuit to run; give at least one.")
    level, graph = circuits[0].level, circuits[0].graph
    if any(one.level != level or one.graph != graph for one in circuits):
        raise InputError("The circuits are of different levels or models; run those of one level at a time.")
    if graph != Graph.of(model):
        raise InputError(f"The circuit is of another architecture than {model.identity.name}.")
    model.post_norm("attn_out", 0)  # an error where heads have no parts of their own
    for site in ("q", "k", "v") if level == "edge" else ():
        model.check_site(site)


# ---- what takes the place of outputs outside ----


@dataclass(frozen=True, eq=False, kw_only=True)
class _Others:
    """For each pair, what its senders write instead."""

    model: Model
    dataset: PairDataset
    ablation: Ablation
    metric: MetricKind
    outliers: OutlierPositions | None
    references: ReferenceActivations

    @classmethod
    def of(
        cls,
        model: Model,
        dataset: PairDataset,
        ablation: Ablation,
        metric: MetricKind,
        outliers: OutlierPositions | None,
    ) -> _Others:
        references = ReferenceActivations.of(
            model,
            dataset,
            sender_sites(model.arch.n_layers),
            [ablation],
            taken=partial(_as_written, model),
            leave_out_outliers=outliers is not None and outliers.left_out,
        )
        return cls(
            model=model,
            dataset=dataset,
            ablation=ablation,
            metric=metric,
            outliers=outliers,
            references=references,
        )

    def of_pair(self, index: int) -> Cache:
        """As if it were a run (or one for each way in which the answer goes on): resid_pre 0, mlp_out, and z
        (as `scaled` has it where a norm stands behind attention: the mean is of what heads add)."""
        model, pair = self.model, self.dataset[index]
        sites = sender_sites(model.arch.n_layers)
        measure = Measure.of_pair(pair, self.metric)
        run = model.run_with_cache(measure.runs(model.to_tokens([pair.corrupted])), sites)  # [run, pos, ...]
        values: dict[SiteKey, Tensor] = {key: _as_written(model, key, run[key]) for key in sites}
        if self.ablation == "zero":
            values = {key: torch.zeros_like(own) for key, own in values.items()}
        elif self.ablation != "resample":
            instead = self.references.for_prompt(index, measure.readout(run.logits))
            values = {
                key: instead(self.ablation, key).to(values[key]).expand_as(values[key]) for key in sites
            }
        outliers = self.outliers
        left = outliers.at[index] if outliers is not None and self.ablation in OVERWRITING else ()
        if left:
            own = model.run_with_cache(measure.runs(model.to_tokens([pair.clean])), sites, logits=False)
            for key in sites:
                values[key] = values[key].clone()
                values[key][:, list(left)] = _as_written(model, key, own[key])[:, list(left)]
        return Cache(values, logits=run.logits, tokens=run.tokens)


def _as_written(model: Model, key: Key, value: Tensor) -> Tensor:
    site, layer = key
    return scaled(model, layer, value) if site == "z" else value


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
    with_whole = [circuits[0].full, *circuits]
    runs, read = prompt.readout.runs(prompt.tokens), []
    for run, part in enumerate(prompt.readout.parts):
        of_run = edge_run_values(
            prompt.model,
            Tokens.pad([runs.row(run)]),
            sender_outputs(prompt.model, other.row(run), heads=outputs_of_scaled),
            ~np.stack([circuit.mask for circuit in with_whole]),  # [circuit, sender, receiver]
            replace(part, continuation=()),
            batch_size=batch_size,
        )
        read.append(of_run)
    found = prompt.readout.joined(read)
    _check_whole(prompt.model, by_parts=float(found[0]), whole=prompt.value)
    return found[1:]


def _check_whole(model: Model, *, by_parts: float, whole: float) -> None:
    """All edges together are the model; they are not where it adds up its parts in a way of its own."""
    if abs(by_parts - whole) > max(1e-3, TOLERANCE * ROUNDING[model.dtype] * max(1.0, abs(whole))):
        raise DecompositionError(
            f"With all edges, {model.identity.name} should give {whole:.6g}, but its parts give "
            f"{by_parts:.6g}; load it with dtype='float64', or run a circuit of nodes."
        )
