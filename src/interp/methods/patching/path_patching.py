"""Which senders matter to a receiver directly? Paths from a sender to receivers, all else frozen.

Path patching (Wang et al. 2022, sec. 3.1, https://arxiv.org/abs/2211.00593; Goldowsky-Dill et al. 2023,
https://arxiv.org/abs/2304.05969). In the base run:

1. What a sender writes is replaced by what it writes in the donor run, and all other heads keep what they
   write in the base run, whatever they read.
2. What then reaches the receivers (q, k or v of heads, MLPs, or the logits) is put there, and the rest of the
   model runs as usual from there. The *direct effect* is what that changes in the metric.

With ``mlps="frozen"``, MLPs keep what they write too: the effect is that of the sender's own output, read by
the receivers. With ``"recomputed"``, MLPs between sender and receivers react, as in Wang et al.: the effect
includes the paths through them, and a head may look like a direct cause of what an MLP makes of it. The
*total effect* replaces the sender's output for all who read it.

Noising (base clean, donor corrupted) shows which paths the answer needs; denoising (base corrupted, donor
clean) which of them suffice to bring it back, each by itself. Total effects understate a head for which
others step in (backup name movers); direct effects on the logits leave that out.

Where a norm stands behind attention (Gemma 2 and 3, OLMo-2), what a head writes is what it adds to the
residual stream, with the norm's scale frozen at that of the run which it is from
(`interp.methods.common.senders`): in direct and total effects alike, the other heads of the layer keep what
they add. Patching z instead (`interp.activation_patching`) computes the norm anew, which rescales them.

No run is needed for a sender to see what reaches the receivers: with frozen MLPs a sum of residual streams,
read by one layer at a time for many senders at once; with recomputed ones, the MLPs of one layer after the
other. The runs from the receivers on are branches of one base run (`interp.models.branching`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.edits import Edit
from interp.errors import InputError, nearest
from interp.methods.common.edge_runs import edge_run_values
from interp.methods.common.graph import Graph
from interp.methods.common.names import Component
from interp.methods.common.pairs import Direction
from interp.methods.common.sender_runs import PairRuns, SenderRuns, over_sender_runs
from interp.methods.common.statistics import estimate
from interp.methods.patching.results import MLPS, Mlps, PathPatchingResult
from interp.metrics import MetricKind
from interp.models.base import Exact, Model
from interp.parts import Arrays
from interp.provenance import Provenance
from interp.tasks.base import Pair, PairDataset, pairs_in_words


def path_patching(
    model: Model,
    dataset: PairDataset,
    *,
    receivers: Sequence[str] = ("logits",),
    senders: Sequence[str | Sequence[str]] | None = None,
    direction: Direction = "noising",
    mlps: Mlps = "frozen",
    role: str | None = None,
    metric: MetricKind = "logit_diff",
    totals: bool = True,
    exact: Exact = "auto",
    batch_size: int = 64,
    seed: int = 0,
) -> PathPatchingResult:
    """The direct effect of each sender on the metric through `receivers`, and its total effect.

    Args:
        receivers: ``logits``; or ``a9.h6<q>`` (or k, v; of key-value heads where queries are grouped) and
            ``m9``, any number of them, which are patched at once.
        senders: ``a9.h6``, ``m9``, ``input``, or lists of these that are patched at once; None: every head.
            What is written after all receivers have read has the direct effect 0.
        direction: ``noising`` or ``denoising``.
        mlps: those between sender and receivers ``frozen`` or ``recomputed``; see the module.
        role: patch the receivers at the positions of this role alone (``END``, ``S2``); None: everywhere.
        metric: ``logit_diff``, ``prob``, ``log_prob`` or ``kl``.
        totals: measure total effects too. They do not depend on the receivers, and are most of the cost.
        exact: see `interp.Model.sweep`; the result records in ``path`` how runs were computed.
        batch_size: rows at once, where layers run by themselves or sweeps take the plain way.
        seed: of the bootstrap.

    Within `interp.resume.resuming`, pairs that were patched before it was stopped are not patched again.

    Raises:
        InputError: unknown choices, nodes that the model does not have, or a role that not all pairs have.
        SiteError: a backend that does not reach q, k and v, where a receiver is one of them; a norm behind
            attention that is no RMSNorm.
        DegeneratePairError: clean and corrupted values that hardly differ on average.
    """
    paths = Paths.of(model, receivers=receivers, senders=senders, role=role, mlps=mlps)
    paths.check_role(dataset)
    parts = over_sender_runs(
        model,
        dataset,
        lambda runs: _effects(paths, runs, totals=totals, exact=exact, batch_size=batch_size),
        direction=direction,
        metric=metric,
        options={"paths": [paths.groups, list(map(str, paths.receivers)), mlps, role, str(exact), totals]},
    )
    effects = parts.stacked("effects")  # [pair, direct (and total), sender]
    return PathPatchingResult(
        provenance=Provenance.of(model, seed=seed),
        pairs=pairs_in_words(model, dataset, parts.stacked("said").tolist()),
        direction=direction,
        mlps=mlps,
        metric=metric,
        path=parts.path,
        n_layers=paths.graph.n_layers,
        n_heads=paths.graph.n_heads,
        senders=paths.sender_names,
        receivers=tuple(map(str, paths.receivers)),
        role=role or "",
        direct=estimate(effects[:, 0], seed, dataset.clusters),
        total=estimate(effects[:, 1], seed, dataset.clusters) if totals else None,
        clean_values=parts.stacked("clean_value"),
        corrupted_values=parts.stacked("corrupted_value"),
    )


# ---- which paths ----


@dataclass(frozen=True, eq=False, kw_only=True)
class Paths:
    """From each group of senders to all of the receivers."""

    graph: Graph
    groups: tuple[tuple[int, ...], ...]  # indices of the graph's senders
    receivers: tuple[Component, ...]  # in the order in which they read
    role: str | None  # of the positions at which receivers are patched; None: everywhere
    mlps: Mlps

    @classmethod
    def of(
        cls,
        model: Model,
        *,
        receivers: Sequence[str],
        senders: Sequence[str | Sequence[str]] | None,
        role: str | None,
        mlps: Mlps,
    ) -> Paths:
        """`InputError` or `SiteError` for what the model does not have."""
        graph = Graph.of(model)
        if mlps not in MLPS:
            raise InputError(f"MLPs are frozen or recomputed, not {mlps!r}; {nearest(str(mlps), MLPS)}")
        reading = _find_receivers(model, graph, receivers, role)
        return cls(graph=graph, groups=_find_senders(graph, senders), receivers=reading, role=role, mlps=mlps)

    def check_role(self, dataset: PairDataset) -> None:
        """`InputError` where not all pairs have the role."""
        if self.role is not None:
            dataset.positions(self.role)

    @property
    def to_logits(self) -> bool:
        return self.receivers[0].kind == "logits"

    @property
    def sender_names(self) -> tuple[str, ...]:
        """``a9.h6``; ``a9.h6+a9.h9`` for a group of two."""
        return tuple("+".join(self.graph.senders[sender] for sender in group) for group in self.groups)

    def positions(self, pair: Pair) -> list[int] | None:
        """Where receivers are patched; None: everywhere."""
        return None if self.role is None else list(pair.positions[self.role])


def _find_receivers(
    model: Model, graph: Graph, names: Sequence[str], role: str | None
) -> tuple[Component, ...]:
    """The receivers, in the order in which they read."""
    if isinstance(names, str) or not names:
        raise InputError("Receivers are a list of names such as ['logits'] or ['a9.h6<q>', 'a9.h9<q>'].")
    for name in names:
        if name not in graph.receiver_index:
            raise InputError(
                f"This model has no receiver {name!r}; {nearest(str(name), graph.receiver_index)}"
            )
    nodes = tuple(node for node in graph.receiver_nodes if str(node) in names)
    if nodes[-1].kind == "logits" and (len(nodes) > 1 or role is not None):
        raise InputError(
            "What reaches the logits leaves nothing for other receivers to change, and they are read where "
            "the metric looks; give the receiver 'logits' by itself, without a role."
        )
    for site in sorted({node.reads for node in nodes if node.reads}):
        model.check_site(site)
    return nodes


def _find_senders(graph: Graph, names: Sequence[str | Sequence[str]] | None) -> tuple[tuple[int, ...], ...]:
    """The indices of the senders of each group."""
    if names is None:
        return tuple((i,) for i, node in enumerate(graph.sender_nodes) if node.kind == "head")
    if isinstance(names, str) or not names:
        raise InputError("Senders are a list of names such as ['a9.h6', 'm0'], or of lists of them.")
    groups = [[name] if isinstance(name, str) else list(name) for name in names]
    for name in (name for group in groups for name in group):
        if name not in graph.sender_index:
            raise InputError(f"This model has no sender {name!r}; {nearest(str(name), graph.sender_index)}")
    if any(not group or len(set(group)) != len(group) for group in groups):
        raise InputError("A group of senders names at least one, and each once.")
    return tuple(tuple(graph.sender_index[name] for name in group) for group in groups)


# ---- the effects of one pair ----


def _effects(paths: Paths, runs: PairRuns, *, totals: bool, exact: Exact, batch_size: int) -> Arrays:
    """The direct (and the total) effect of each group of senders, [direct (and total), group]."""
    batches = [paths.groups[start : start + batch_size] for start in range(0, len(paths.groups), batch_size)]
    waves = [[_carried(paths, run, groups) for groups in batches] for run in runs.each]
    swept = []
    for run, of_run in zip(runs.each, waves, strict=True):
        direct = [edits for wave in of_run for edits in wave.edits]
        total = [_replaced(paths.graph, run, group) for group in paths.groups] if totals else []
        branches = [[], *direct, *total]
        swept.append(run.model.sweep(run.tokens, branches, run.readout, batch_size=batch_size, exact=exact))
    values = runs.joined([one.values for one in swept])
    effects = (values[1:] - values[0]).double().view(1 + totals, -1)
    if paths.to_logits:
        effects[0] = torch.cat([_at_logits(runs, of_batch) for of_batch in zip(*waves, strict=True)])
    together = [i for i, group in enumerate(paths.groups) if len(group) > 1 and runs.model.arch.post_norms]
    if totals and together:
        effects[1, together] = _total_of_groups(paths, runs, together, batch_size)
    return {"effects": effects.numpy(), "path": np.array(" and ".join(sorted({one.path for one in swept})))}


def _carried(paths: Paths, runs: SenderRuns, groups: Sequence[tuple[int, ...]]) -> _Wave:
    """What each group of senders changes, layer by layer up to the last receiver, all at once."""
    graph, last = paths.graph, paths.receivers[-1]
    wave = _Wave.of(paths, runs, groups)
    wave.send([Component(kind="input")])
    for layer in range(graph.n_layers):
        wave.reach_heads(layer)
        if last.kind == "head" and last.layer == layer:
            break
        before = wave.stream
        wave.send(graph.heads(layer))
        wave.pass_mlp(layer, reads=before if graph.parallel_attention else wave.stream)
    return wave


@dataclass(eq=False, kw_only=True)
class _Wave:
    """What groups of senders have changed so far on the way up, when all else keeps what it writes."""

    paths: Paths
    runs: SenderRuns
    member: Float[Tensor, "group sender"]  # 1 where a sender belongs to a group
    stream: Float[Tensor, "group pos d_model"]  # what arrives on top of the base run
    edits: list[list[Edit]]  # of the receivers that have been reached, by group

    @classmethod
    def of(cls, paths: Paths, runs: SenderRuns, groups: Sequence[tuple[int, ...]]) -> _Wave:
        """Before anything was sent."""
        member = torch.zeros(len(groups), len(paths.graph.senders)).to(runs.delta)
        for row, group in enumerate(groups):
            member[row, list(group)] = 1.0
        stream = torch.zeros(len(groups), *runs.delta.shape[1:]).to(runs.delta)
        return cls(paths=paths, runs=runs, member=member, stream=stream, edits=[[] for _ in groups])

    def send(self, nodes: Sequence[Component]) -> None:
        """Add what the members among these nodes write in the donor run instead."""
        chosen = [self.paths.graph.sender_index[str(node)] for node in nodes]
        sent = torch.einsum("gs,spd->gpd", self.member[:, chosen], self.runs.delta[chosen])
        self.stream = self.stream + sent

    def reach_heads(self, layer: int) -> None:
        """Set the receivers among q, k and v of a layer to what they are with what arrives."""
        heads = [node for node in self.paths.receivers if node.kind == "head" and node.layer == layer]
        if not heads:
            return
        parts = self.runs.heads_read(layer, self.stream)
        for node in heads:
            assert node.reads is not None
            self._set(node, parts[node.reads][:, :, [node.index]], reads=self.stream)

    def pass_mlp(self, layer: int, *, reads: Float[Tensor, "group pos d_model"]) -> None:
        """Set an MLP that is a receiver; where MLPs are recomputed, let it react to what it `reads`."""
        mlp = Component(kind="mlp", layer=layer)
        is_receiver, recomputed = mlp in self.paths.receivers, self.paths.mlps == "recomputed"
        if is_receiver or recomputed:
            base = self.runs.cache["mlp_out", layer]
            written = base.repeat(len(reads), 1, 1)
            arriving = reads.flatten(1).any(1)  # where nothing does, it writes what it wrote
            if arriving.any():
                written[arriving] = self.runs.mlp_writes(layer, reads[arriving])
            if is_receiver:
                self._set(mlp, written, reads=reads)
            if recomputed:
                # [group, 1, 1]: members write what they write in the donor run, whatever they read
                own = self.member[:, self.paths.graph.sender_index[str(mlp)], None, None]
                self.stream = self.stream + (1 - own) * (written - base)
        self.send([mlp])

    def _set(
        self,
        receiver: Component,
        values: Float[Tensor, "group pos ..."],
        *,
        reads: Float[Tensor, "group ..."],
    ) -> None:
        """Set a receiver to its values, for the groups of which something arrives in what it reads."""
        positions = self.paths.positions(self.runs.pair)
        if positions is not None:
            values = values[:, positions]
        for row in reads.flatten(1).any(1).nonzero()[:, 0].tolist():
            edit = Edit.set(
                receiver.reads or "mlp_out",
                receiver.layer,
                value=values[row : row + 1],
                positions=positions,
                heads=receiver.index,
            )
            self.edits[row].append(edit)


def _at_logits(runs: PairRuns, waves: Sequence[_Wave]) -> Float[Tensor, " group"]:
    """The direct effect of each group on the metric through the logits, given what arrives in each run: no
    run is needed."""
    read = [
        wave.runs.logits_read(torch.cat([torch.zeros_like(wave.stream[:1]), wave.stream])) for wave in waves
    ]
    values = runs.joined(read)
    return (values[1:] - values[0]).double().cpu()


def _replaced(graph: Graph, runs: SenderRuns, group: Sequence[int]) -> list[Edit]:
    """Edits that replace what these senders write, for all who read it; of several behind norms none, as what
    one of them writes depends on the others (`_total_of_groups`)."""
    if len(group) > 1 and runs.model.arch.post_norms:
        return []
    return [runs.donor_edit(graph.sender_nodes[sender]) for sender in group]


def _total_of_groups(
    paths: Paths, runs: PairRuns, chosen: Sequence[int], batch_size: int
) -> Float[Tensor, " chosen"]:
    """The total effects of groups of senders in a model with norms behind attention: every edge from a member
    carries what it writes in the donor run."""
    outside = np.zeros((1 + len(chosen), *paths.graph.mask.shape), dtype=bool)  # first a run without
    for row, group in enumerate(chosen, start=1):
        outside[row, list(paths.groups[group])] = True
    read = [
        edge_run_values(
            run.model,
            run.tokens,
            run.outputs(run.donor_cache),
            outside,
            run.readout,
            batch_size=batch_size,
        )
        for run in runs.each
    ]
    values = runs.joined(read)
    return (values[1:] - values[0]).double()
