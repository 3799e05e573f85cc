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

No run is needed for a sender to see what reaches the receivers: with frozen MLPs a sum of residual streams,
read by one layer at a time for many senders at once; with recomputed ones, the MLPs of one layer after the
other. The runs from the receivers on are branches of one base run (`interp.models.branching`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.edits import Edit
from interp.errors import InputError, nearest
from interp.methods.common.graph import Graph, Node
from interp.methods.common.pairs import Direction
from interp.methods.common.sender_runs import SenderRuns, check_question, check_spans, sender_runs
from interp.methods.common.statistics import estimate
from interp.methods.patching.results import PathPatchingResult
from interp.metrics import MetricKind
from interp.models.base import Exact, Model
from interp.progress import report
from interp.provenance import Provenance
from interp.resume import kept
from interp.tasks.base import PairDataset, pairs_in_words

Mlps = Literal["frozen", "recomputed"]
MLPS: tuple[str, ...] = ("frozen", "recomputed")


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
        metric: ``logit_diff``, ``prob`` or ``kl``.
        exact: see `interp.Model.sweep`; the result records in ``path`` how runs were computed.
        batch_size: rows at once, where layers run by themselves or sweeps take the plain way.
        seed: of the bootstrap.

    Within `interp.resume.resuming`, pairs that were patched before it was stopped are not patched again.

    Raises:
        InputError: unknown choices, nodes that the model does not have, a role that not all pairs have, or a
            model whose heads have no outputs of their own (`Graph.of`).
        SiteError: a backend that does not reach q, k and v, where a receiver is one of them.
        DegeneratePairError: clean and corrupted values that hardly differ on average.
    """
    graph = Graph.of(model)
    check_question(direction, metric)
    if mlps not in MLPS:
        raise InputError(f"MLPs are frozen or recomputed, not {mlps!r}; {nearest(str(mlps), MLPS)}")
    reading = _receivers(model, graph, receivers, role)
    to_logits = reading[0].kind == "logits"
    groups = _senders(graph, senders)
    places = [None] * len(dataset) if role is None else dataset.positions(role)
    found, values = [], []
    for index, (pair, positions) in enumerate(zip(dataset, places, strict=True)):
        report("pairs", index, len(dataset))
        runs = sender_runs(model, pair, direction=direction, metric=metric)
        asked = [groups, list(receivers), direction, mlps, positions, str(exact)]
        question = runs.question(pair, metric) | {"paths": asked}

        def make(
            runs: SenderRuns = runs, positions: tuple[int, ...] | None = positions
        ) -> dict[str, np.ndarray]:
            reached = [
                one
                for start in range(0, len(groups), batch_size)
                for one in _reached(
                    graph,
                    runs,
                    groups[start : start + batch_size],
                    reading,
                    positions,
                    recomputed=mlps == "recomputed",
                )
            ]
            branches = [[], *(one.edits for one in reached), *(_replaced(graph, runs, g) for g in groups)]
            swept = model.sweep(runs.base, branches, runs.readout, batch_size=batch_size, exact=exact)
            effects = (swept.values[1:] - swept.values[0]).double().view(2, -1)  # [direct or total, group]
            if to_logits:
                effects[0] = _at_logits(runs, reached, batch_size)
            return {"effects": effects.numpy(), "path": np.array(swept.path)}

        found.append(kept(question, make))
        values.append((runs.clean_value, runs.corrupted_value))
    report("pairs", len(dataset), len(dataset))
    clean_values, corrupted_values = np.array(values).T
    check_spans(clean_values, corrupted_values, metric)
    effects = np.stack([one["effects"] for one in found])  # [pair, 2, sender]
    return PathPatchingResult(
        provenance=Provenance.of(model, seed=seed),
        pairs=pairs_in_words(model, dataset),
        direction=direction,
        mlps=mlps,
        metric=metric,
        path=" and ".join(sorted({str(one["path"]) for one in found})),
        n_layers=graph.n_layers,
        n_heads=graph.n_heads,
        senders=tuple("+".join(graph.senders[s] for s in group) for group in groups),
        receivers=tuple(map(str, reading)),
        role=role or "",
        direct=estimate(effects[:, 0], seed),
        total=estimate(effects[:, 1], seed),
        clean_values=clean_values,
        corrupted_values=corrupted_values,
    )


# ---- what is asked ----


def _receivers(model: Model, graph: Graph, names: Sequence[str], role: str | None) -> list[Node]:
    """The receivers, in the order in which they read."""
    if isinstance(names, str) or not names:
        raise InputError("Receivers are a list of names such as ['logits'] or ['a9.h6<q>', 'a9.h9<q>'].")
    for name in names:
        if name not in graph.receiver_index:
            raise InputError(
                f"This model has no receiver {name!r}; {nearest(str(name), graph.receiver_index)}"
            )
    nodes = [node for node in graph.receiver_nodes if str(node) in names]
    if nodes[-1].kind == "logits" and (len(nodes) > 1 or role is not None):
        raise InputError(
            "What reaches the logits leaves nothing for other receivers to change, and they are read where "
            "the metric looks; give the receiver 'logits' by itself, without a role."
        )
    for part in sorted({node.part for node in nodes if node.part}):
        model.check_site(part)
    return nodes


def _senders(graph: Graph, names: Sequence[str | Sequence[str]] | None) -> list[list[int]]:
    """The indices of the senders of each group."""
    if names is None:
        return [[i] for i, node in enumerate(graph.sender_nodes) if node.kind == "head"]
    if isinstance(names, str) or not names:
        raise InputError("Senders are a list of names such as ['a9.h6', 'm0'], or of lists of them.")
    groups = [[name] if isinstance(name, str) else list(name) for name in names]
    for name in (name for group in groups for name in group):
        if name not in graph.sender_index:
            raise InputError(f"This model has no sender {name!r}; {nearest(str(name), graph.sender_index)}")
    if any(not group or len(set(group)) != len(group) for group in groups):
        raise InputError("A group of senders names at least one, and each once.")
    return [[graph.sender_index[name] for name in group] for group in groups]


# ---- the effects ----


@dataclass(frozen=True, eq=False)
class _Reached:
    """What one group of senders changes when all else is frozen."""

    edits: list[Edit]  # of the receivers, in the base run
    stream: Float[Tensor, "pos d_model"]  # what arrives at the logits on top of the base run


def _reached(
    graph: Graph,
    runs: SenderRuns,
    groups: list[list[int]],
    receivers: list[Node],
    positions: tuple[int, ...] | None,
    *,
    recomputed: bool,
) -> list[_Reached]:
    """What each group of senders changes, layer by layer, all groups at once."""
    member = torch.zeros(len(groups), len(graph.senders)).to(runs.delta)
    for row, group in enumerate(groups):
        member[row, group] = 1.0

    def sent(nodes: list[Node]) -> Float[Tensor, "group pos d_model"]:
        """What the members among these nodes add to the residual stream."""
        chosen = [graph.sender_index[str(node)] for node in nodes]
        return torch.einsum("gs,spd->gpd", member[:, chosen], runs.delta[chosen])

    edits: list[list[Edit]] = [[] for _ in groups]

    def put(receiver: Node, arriving: Tensor, values: Tensor) -> None:
        """Set the receiver to its values [group, pos, ...], for the groups of which something arrives."""
        site = receiver.part or "mlp_out"
        if positions is not None:
            values = values[:, list(positions)]
        for row in arriving.flatten(1).any(1).nonzero()[:, 0].tolist():
            value = values[row : row + 1]
            edit = Edit.set(site, receiver.layer, value=value, positions=positions, heads=receiver.head)
            edits[row].append(edit)

    stream = sent([Node(kind="input")])  # what arrives on top of the base run, [group, pos, d_model]
    for layer in range(graph.n_layers):
        here = [node for node in receivers if node.layer == layer]
        heads = [node for node in here if node.kind == "head"]
        if heads:
            parts = runs.heads_read(layer, stream)
            for node in heads:
                put(node, stream, parts[node.part or ""][:, :, [node.head or 0]])
        before = stream
        stream = stream + sent([Node(kind="head", layer=layer, head=h) for h in range(graph.n_heads)])
        mlp = Node(kind="mlp", layer=layer)
        reads = before if graph.parallel_attention else stream
        if recomputed or mlp in here:
            written = runs.mlp_writes(layer, reads)
            if mlp in here:
                put(mlp, reads, written)
            if recomputed:
                own = member[
                    :, graph.sender_index[str(mlp)], None, None
                ]  # those write what the donor's wrote
                stream = stream + (1 - own) * (written - runs.cache["mlp_out", layer])
        stream = stream + sent([mlp])
    return [_Reached(*one) for one in zip(edits, stream, strict=True)]


def _at_logits(runs: SenderRuns, reached: list[_Reached], batch_size: int) -> Float[Tensor, " group"]:
    """The direct effect of each group on the metric through the logits: no run is needed."""
    effects = []
    for start in range(0, len(reached), batch_size):
        streams = [one.stream for one in reached[start : start + batch_size]]
        values = runs.logits_read(torch.stack([torch.zeros_like(streams[0]), *streams]))
        effects.append((values[1:] - values[0]).double().cpu())
    return torch.cat(effects)


def _replaced(graph: Graph, runs: SenderRuns, group: list[int]) -> list[Edit]:
    """Edits that replace what these senders write, for all who read it."""
    edits = []
    for node in (graph.sender_nodes[sender] for sender in group):
        site, layer = node.written
        value = runs.donor_cache[site, layer]
        if node.head is not None:
            value = value[:, :, [node.head]]
        edits.append(Edit.set(site, layer, value=value, heads=node.head))
    return edits
