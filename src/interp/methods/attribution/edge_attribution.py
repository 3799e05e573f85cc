"""How much does each edge matter? Exactly, or by gradients; and the same for nodes.

The score of an edge is the effect of patching it alone: what its receiver reads of its sender is the donor's,
everything downstream follows, and

    score = metric with the edge patched - metric unpatched.

In the usual direction, noising, the base run is clean and the donor corrupted, so that an edge which supports
the answer has a negative score: corrupting it lowers the metric. (EAP-IG's examples hand the metric in as a
loss, -logit_diff, so its signs are the opposite; what is chosen by absolute score is the same.)

Methods:

- ``exact``: every edge is a branch of one base run (`interp.models.branching`). What a receiver is, if one
  sender's output is the donor's, is found for many senders at once by running its layer alone, and the branch
  edits that one q, k, v or MLP output. An edge into the logits needs no run.
- ``eap``: edge attribution patching (Syed et al. 2023, https://arxiv.org/abs/2310.10348), the first-order
  estimate ``(donor's - base's output of the sender) . d metric / d (its reading)`` at the base run.
  It misleads where the metric is far from linear in the edge: where attention or the softmax saturates.
- ``eap-ig-inputs``: the gradient averaged over runs whose input goes from the base to the donor (Hanna et al.
  2024, https://arxiv.org/abs/2403.17806), here at the midpoints of ``steps`` equal parts.
- ``eap-ig-activations``: the gradient averaged over runs in which the output of the input node, of all heads
  of a layer, or of an MLP goes from base to donor, each in turn (the MIB benchmark's, Mueller et al. 2025,
  https://arxiv.org/abs/2504.13151). By its published definition all these runs count alike for every edge,
  also those in which nothing flows through its receiver. So it underestimates, even in a linear model.

The score of a node is the effect of patching its whole output, which all its readers see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.edits import Edit
from interp.errors import InputError, check_choice
from interp.methods.attribution.results import ScoresResult
from interp.methods.common.graph import Graph, Level, Node
from interp.methods.common.pairs import Direction
from interp.methods.common.sender_runs import SenderRuns, check_question, check_spans, sender_runs
from interp.methods.common.statistics import bootstrap_interval
from interp.metrics import MetricKind
from interp.models.base import Exact, Model
from interp.progress import report
from interp.provenance import Provenance
from interp.readout import Readout, widened
from interp.results import Interval
from interp.resume import kept
from interp.tasks.base import PairDataset, pairs_in_words
from interp.tokens import Tokens

Method = Literal["exact", "eap", "eap-ig-inputs", "eap-ig-activations"]
METHODS: tuple[str, ...] = ("exact", "eap", "eap-ig-inputs", "eap-ig-activations")


def edge_attribution(
    model: Model,
    dataset: PairDataset,
    *,
    method: Method = "exact",
    direction: Direction = "noising",
    metric: MetricKind = "logit_diff",
    steps: int = 5,
    exact: Exact = "auto",
    batch_size: int = 64,
    seed: int = 0,
) -> ScoresResult:
    """Score every edge of the model's graph over a dataset of pairs.

    Args:
        method: ``exact``, ``eap``, ``eap-ig-inputs`` or ``eap-ig-activations``; see the module.
        direction: ``noising`` (base clean; what the answer needs) or ``denoising`` (base corrupted; what
            brings it back). One edge by itself seldom brings anything back.
        metric: ``logit_diff``, ``prob`` or ``kl``.
        steps: of integrated gradients; for activations, of each node in turn.
        exact: see `interp.Model.sweep`; the result records in ``path`` how the exact scores were computed.
        batch_size: rows at once, where layers run by themselves or sweeps take the plain way.
        seed: of the bootstrap.

    Within `interp.resume.resuming`, pairs that were scored before it was stopped are not scored again.

    Raises:
        InputError: unknown choices; a model whose heads have no outputs of their own (`Graph.of`).
        SiteError: a backend that does not reach q, k and v.
        DegeneratePairError: clean and corrupted values that hardly differ on average.
    """
    graph = Graph.of(model)
    for site in ("q", "k", "v"):
        model.check_site(site)

    def score(runs: SenderRuns) -> tuple[np.ndarray, str]:
        if method == "exact":
            return _exact_edges(graph, runs, exact, batch_size)
        return _edges_by_gradients(graph, runs, _between(runs, method, steps)), "gradients"

    return _over_pairs(model, dataset, graph, "edge", score, method, steps, direction, metric, exact, seed)


def node_attribution(
    model: Model,
    dataset: PairDataset,
    *,
    method: Method = "exact",
    direction: Direction = "noising",
    metric: MetricKind = "logit_diff",
    steps: int = 5,
    exact: Exact = "auto",
    batch_size: int = 64,
    seed: int = 0,
) -> ScoresResult:
    """Score every head, every MLP and the input, each patched as a whole, on any architecture; else as
    `edge_attribution`."""
    graph = Graph.of(model, level="node")

    def score(runs: SenderRuns) -> tuple[np.ndarray, str]:
        if method == "exact":
            return _exact_nodes(graph, runs, exact, batch_size)
        return _nodes_by_gradients(graph, runs, _between(runs, method, steps)), "gradients"

    return _over_pairs(model, dataset, graph, "node", score, method, steps, direction, metric, exact, seed)


def _over_pairs(
    model: Model,
    dataset: PairDataset,
    graph: Graph,
    level: Level,
    score: Callable[[SenderRuns], tuple[np.ndarray, str]],
    method: Method,
    steps: int,
    direction: Direction,
    metric: MetricKind,
    exact: Exact,
    seed: int,
) -> ScoresResult:
    """The scores of each pair, kept where they can be resumed, and their mean."""
    check_choice("method", method, METHODS)
    if steps < 1:
        raise InputError(f"steps must be at least 1; got {steps}.")
    check_question(direction, metric)
    steps = steps if "ig" in method else 0
    all_runs = (sender_runs(model, pair, direction=direction, metric=metric) for pair in dataset)
    by_pair, values, paths = [], [], set()
    for index, (pair, runs) in enumerate(zip(dataset, all_runs, strict=True)):
        report("pairs", index, len(dataset))
        question = runs.question(pair, metric) | {"scores": [level, method, steps, direction, str(exact)]}

        def make(runs: SenderRuns = runs) -> dict[str, np.ndarray]:
            scores, path = score(runs)
            return {"scores": scores, "path": np.array(path)}

        found = kept(question, make)
        by_pair.append(found["scores"])
        paths.add(str(found["path"]))
        values.append((runs.clean_value, runs.corrupted_value))
    report("pairs", len(dataset), len(dataset))
    clean_values, corrupted_values = np.array(values).T
    check_spans(clean_values, corrupted_values, metric)
    stacked = np.stack(by_pair)  # [pair, component]
    low, high = bootstrap_interval(stacked, seed)
    return ScoresResult(
        provenance=Provenance.of(model, seed=seed),
        pairs=pairs_in_words(model, dataset),
        graph=graph,
        level=level,
        method=method,
        steps=steps,
        direction=direction,
        metric=metric,
        path=" and ".join(sorted(paths)),
        names=graph.edges if level == "edge" else graph.senders,
        scores=Interval(value=stacked.mean(0), low=low, high=high),
        clean_values=clean_values,
        corrupted_values=corrupted_values,
    )


# ---- exactly ----


def _exact_edges(
    graph: Graph, runs: SenderRuns, exact: Exact, batch_size: int
) -> tuple[Float[np.ndarray, " edge"], str]:
    """The score of every edge of one pair, and how the runs were computed.

    An edge that carries the same in both runs, or of which the receiver's activation does not change, bit for
    bit, is 0 and costs nothing.
    """
    scores = np.zeros(graph.mask.shape)
    paths = set()
    for layer in range(graph.n_layers):
        branches: list[list[Edit]] = [[]]  # the first changes nothing
        places = []
        for place, edit in _changes(graph, runs, layer, batch_size):
            places.append(place)
            branches.append([edit])
        swept = runs.model.sweep(runs.base, branches, runs.readout, batch_size=batch_size, exact=exact)
        values = swept.values.double().numpy()
        scores[tuple(np.array(places, dtype=int).reshape(-1, 2).T)] = values[1:] - values[0]
        paths.add(swept.path)
    unchanged = runs.logits_read(torch.zeros_like(runs.last_resid))
    for senders in _active(runs, len(graph.senders), batch_size):
        patched = runs.logits_read(runs.delta[senders]) - unchanged  # [sender]
        scores[senders, graph.receiver_index["logits"]] = patched.double().cpu().numpy()
    return scores.T[graph.mask.T], " and ".join(sorted(paths))


def _changes(
    graph: Graph, runs: SenderRuns, layer: int, batch_size: int
) -> Iterator[tuple[tuple[int, int], Edit]]:
    """For each edge into a layer: its (sender, receiver), and the receiver's activation if it is patched."""
    heads = Node(kind="head", layer=layer, head=0, part="q")
    for senders in _active(runs, graph.n_read(heads), batch_size):
        for site, values in runs.heads_read(layer, _from(runs, senders)).items():
            for head in range(values.shape[2]):
                receiver = graph.receiver_index[f"a{layer}.h{head}<{site}>"]
                for sender, edit in _edits(runs, senders, site, layer, values[:, :, head : head + 1], head):
                    yield (sender, receiver), edit
    mlp = Node(kind="mlp", layer=layer)
    for senders in _active(runs, graph.n_read(mlp), batch_size):
        values = runs.mlp_writes(layer, _from(runs, senders))
        for sender, edit in _edits(runs, senders, "mlp_out", layer, values, None):
            yield (sender, graph.receiver_index[str(mlp)]), edit


def _active(runs: SenderRuns, n: int, batch_size: int) -> Iterator[list[int]]:
    """Those of the first `n` senders whose outputs differ between the runs, some at a time."""
    differ = runs.delta[:n].flatten(1).any(1).nonzero()[:, 0].tolist()
    return (differ[start : start + batch_size] for start in range(0, len(differ), batch_size))


def _from(runs: SenderRuns, senders: list[int]) -> Float[Tensor, "row pos d_model"]:
    """What arrives from each sender; before them a row in which nothing does."""
    nothing = torch.zeros_like(runs.delta[:1])
    return torch.cat([nothing, runs.delta[senders]])


def _edits(
    runs: SenderRuns, senders: list[int], site: str, layer: int, values: Tensor, head: int | None
) -> Iterator[tuple[int, Edit]]:
    """The receiver's activation [1 + sender, pos, ...] as an edit, for each sender that changes it: at the
    positions where it does, and where something reads it."""
    arrives = (runs.delta[senders] != 0).any(
        -1
    )  # [sender, pos]; q, k, v and MLPs see their own position alone
    changes = ((values[1:] != values[0]).flatten(2).any(-1) & arrives).cpu()
    if layer == runs.model.arch.n_layers - 1 and site in ("q", "mlp_out"):
        read = [position % runs.n_pos for position in runs.readout.positions]
        changes[:, [position for position in range(runs.n_pos) if position not in read]] = False
    for row, sender in enumerate(senders):
        positions = changes[row].nonzero()[:, 0].tolist()
        if positions:
            value = values[1 + row, positions][None]
            yield sender, Edit.set(site, layer, value=value, positions=positions, heads=head)


def _exact_nodes(
    graph: Graph, runs: SenderRuns, exact: Exact, batch_size: int
) -> tuple[Float[np.ndarray, " node"], str]:
    """The score of every node of one pair, and how the runs were computed."""
    branches: list[list[Edit]] = [[]]
    for node in graph.sender_nodes:
        site, layer = node.written
        value = runs.donor_cache[site, layer]
        if node.head is not None:
            value = value[:, :, node.head : node.head + 1]
        branches.append([Edit.set(site, layer, value=value, heads=node.head)])
    swept = runs.model.sweep(runs.base, branches, runs.readout, batch_size=batch_size, exact=exact)
    values = swept.values.double().numpy()
    return values[1:] - values[0], swept.path


# ---- by gradients ----


def _between(runs: SenderRuns, method: Method, steps: int) -> list[list[Edit]]:
    """The runs over which a method averages gradients, each as edits of the base run."""
    if method == "eap":
        return [[]]
    last = runs.model.arch.n_layers
    places = [("resid_pre", 0)]
    if method == "eap-ig-activations":
        places += [(site, layer) for layer in range(last) for site in ("z", "mlp_out")]
    shares = [(step + 0.5) / steps for step in range(steps)]
    return [
        [Edit.set(*place, value=torch.lerp(runs.cache[place], runs.donor_cache[place], share))]
        for place in places
        for share in shares
    ]


def _edges_by_gradients(
    graph: Graph, runs: SenderRuns, between: list[list[Edit]]
) -> Float[np.ndarray, " edge"]:
    """The estimated score of every edge of one pair."""
    total = torch.zeros_like(runs.delta[:1]).repeat(len(graph.receivers), 1, 1)
    for edits in between:
        gradients = receiver_gradients(runs.model, graph, runs.base, runs.readout, edits)
        for edit in edits:  # an MLP whose output is given reads nothing
            if edit.address.site == "mlp_out":
                gradients[graph.receiver_index[f"m{edit.address.layer}"]] = 0.0
        total += gradients
    scores = torch.einsum("spd,rpd->sr", widened(runs.delta), widened(total)) / len(between)
    return scores.cpu().numpy().T[graph.mask.T]


def receiver_gradients(
    model: Model, graph: Graph, tokens: Tokens, readout: Readout, edits: Sequence[Edit] = ()
) -> Float[Tensor, "receiver pos d_model"]:
    """The gradient of a readout with respect to what each receiver reads of the residual stream, in a run
    with `edits`: along the paths through this receiver alone.

    One backward pass of the model, and for each layer one of as many rows as it has q, k and v.
    """
    last, parallel = graph.n_layers - 1, graph.parallel_attention
    streams = ["resid_pre"] if parallel else ["resid_pre", "resid_mid"]
    cache = model.run_with_cache(tokens, streams, edits)
    places = [(site, layer) for layer in range(last + 1) for site in ("q", "k", "v", "mlp_out")]
    found = model.gradients(tokens, [*places, ("resid_post", last)], readout, edits)
    gradients = dict(zip(places, found, strict=False))
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
    return torch.cat([*rows, found[-1]])


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


def _nodes_by_gradients(
    graph: Graph, runs: SenderRuns, between: list[list[Edit]]
) -> Float[np.ndarray, " node"]:
    """The estimated score of every node of one pair."""
    places = list(dict.fromkeys(node.written for node in graph.sender_nodes))
    total = [torch.zeros_like(runs.cache[place]) for place in places]
    for edits in between:
        found = runs.model.gradients(runs.base, places, runs.readout, edits)
        total = [so_far + gradient for so_far, gradient in zip(total, found, strict=True)]
    scores = []
    for place, gradient in zip(places, total, strict=True):
        change = widened(runs.donor_cache[place]) - widened(runs.cache[place])
        products = (change * widened(gradient)).cpu()[0] / len(between)  # [pos, (head,) width]
        scores.append(products.sum((0, 2)) if place[0] == "z" else products.sum()[None])
    return torch.cat(scores).numpy()
