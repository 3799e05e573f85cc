"""Edges, paths and circuits built from them, against planted circuits and plain forward passes."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch

import interp
from compiled import (
    Planted,
    copy_previous_model,
    indirect_object_model,
    induction_model,
    linear_model,
)
from conftest import run
from edges_by_hand import exact_effects
from families import FAMILIES as ALL_FAMILIES
from families import family_model
from interp.edits import Edit
from interp.errors import DegeneratePairError, EditError, InputError, SiteError
from interp.figures.views import path_patching as path_view
from interp.methods.attribution.edge_attribution import edge_attribution, node_attribution
from interp.methods.attribution.edge_attribution_patching import edge_scores_by_gradients
from interp.methods.attribution.results import EDGE_METHODS
from interp.methods.circuits.circuit_discovery import circuit_discovery, greedy
from interp.methods.common.circuit import Circuit
from interp.methods.common.graph import Graph
from interp.methods.common.names import NODES, parse
from interp.methods.common.sender_runs import sender_runs
from interp.methods.common.senders import sender_outputs, sender_sites
from interp.methods.patching.path_patching import path_patching
from interp.models.base import Model
from interp.readout import Readout
from interp.results import read_result
from interp.runs import read_run
from interp.tasks.base import Pair, PairDataset
from planting import FAMILIES

CIRCUITS: dict[str, Callable[..., Planted]] = {
    "copy-previous": copy_previous_model,
    "induction": induction_model,
    "indirect-object": indirect_object_model,
    "linear": linear_model,
}
TINY = [
    "tiny-gpt2",
    "tiny-qwen3",
    "tiny-neox",
]  # learned positions; grouped queries; attention and MLP in parallel


@cache
def planted(name: str, family: str, n: int = 2) -> tuple[Planted, Model, PairDataset]:
    """A model compiled by hand, and pairs for it."""
    made = CIRCUITS[name](family)
    pairs = tuple(
        Pair(clean=pair.clean, corrupted=pair.corrupted, answer=pair.answer, foil=pair.foil)
        for pair in made.pairs(n)
    )
    return made, interp.load_model(made.hf_model, device="cpu"), PairDataset(name=name, pairs=pairs)


@pytest.fixture(params=[f"{name}-{family}" for family in FAMILIES for name in CIRCUITS if name != "linear"])
def circuit(request: pytest.FixtureRequest) -> tuple[Planted, Model, PairDataset]:
    return planted(*request.param.rsplit("-", 1))


@pytest.fixture(params=FAMILIES)
def linear(request: pytest.FixtureRequest) -> tuple[Planted, Model, PairDataset]:
    return planted("linear", request.param)


def names(edges: frozenset[tuple[str, str]]) -> set[str]:
    return {f"{sender}->{receiver}" for sender, receiver in edges}


def some_pairs(model: Model, n: int = 1, length: int = 6) -> PairDataset:
    """Pairs of random ids that begin alike."""
    rng = random.Random(0)
    top = min(model.arch.d_vocab, 250)
    pairs = []
    for _ in range(n):
        clean, other = [rng.sample(range(top), length) for _ in range(2)]
        answer, foil = rng.sample(range(top), 2)
        corrupted = (*clean[:2], *other[2:])
        pairs.append(Pair(clean=tuple(clean), corrupted=corrupted, answer=answer, foil=foil))
    return PairDataset(name="random ids", pairs=tuple(pairs))


def measured(model: Model, pair: Pair, edits: list[Edit], prompt: tuple[int, ...]) -> float:
    logits = model.forward(list(prompt), edits)[0, -1].double()
    return float(logits[pair.answer] - logits[pair.foil])


def effect_by_hand(model: Model, pair: Pair, sender: str, receiver: str, *, share: float = 1.0) -> float:
    """What patching an edge (or `share` of what it changes) does, by whole forward passes alone."""
    graph, last = Graph.of(model), model.arch.n_layers - 1
    caches = [model.run_with_cache(list(ids), sender_sites(last + 1)) for ids in (pair.clean, pair.corrupted)]
    ours, theirs = (sender_outputs(model, cache)[graph.sender_index[sender]] for cache in caches)
    move, node = share * (theirs - ours), parse(receiver, NODES)
    if node.kind == "logits":
        edits = [Edit.add("resid_post", last, value=move)]
    else:
        site = node.reads or "mlp_out"
        through = "resid_mid" if node.kind == "mlp" and not model.arch.parallel_attention else "resid_pre"
        reads = model.run_with_cache(
            list(pair.clean), [(site, node.layer)], [Edit.add(through, node.layer, value=move)]
        )
        value = reads[site, node.layer]
        value = value if node.index is None else value[:, :, [node.index]]
        edits = [Edit.set(site, node.layer, value=value, heads=node.index)]
    return measured(model, pair, edits, pair.clean) - measured(model, pair, [], pair.clean)


# ---- the graph ----


def test_gpt2_small_has_its_published_number_of_edges():
    graph = Graph(n_layers=12, n_heads=12, n_kv_heads=12, parallel_attention=False)
    assert graph.n_edges == len(graph.edges) == len(set(graph.edges)) == 32491
    assert len(graph.senders) == 157
    assert len(graph.receivers) == 12 * 37 + 1
    assert all(graph.mask[graph.edge_index(edge)] for edge in graph.edges[::1000])
    assert set(graph.names(graph.edge_mask(graph.edges[5:9]))) == set(graph.edges[5:9])


def test_an_edge_is_where_a_sender_has_written_when_a_receiver_reads():
    sequential = Graph(n_layers=2, n_heads=2, n_kv_heads=1, parallel_attention=False)
    parallel = Graph(n_layers=2, n_heads=2, n_kv_heads=1, parallel_attention=True)
    assert {"input->m0", "a0.h1->m0", "m0->a1.h0<k>", "a1.h0->m1", "m1->logits"} <= set(sequential.edges)
    assert set(sequential.edges) - set(parallel.edges) == {f"a{n}.h{h}->m{n}" for n in (0, 1) for h in (0, 1)}
    assert not [edge for edge in sequential.edges if edge.startswith("m1->a") or "h1<k>" in edge]
    assert sequential.sender_of(parse("a1.h0<v>", NODES)) == (parse("a1.h0", NODES), parse("a1.h1", NODES))
    assert list(map(str, sequential.receivers_of(parse("a1.h1", NODES)))) == [
        "a1.h1<q>",
        "a1.h0<k>",
        "a1.h0<v>",
    ]


@pytest.mark.parametrize("name", ["x", "a1", "a1.h2<w>", "m", "embed"])
def test_what_is_no_node_is_refused(name):
    with pytest.raises(InputError, match="no node"):
        parse(name, NODES)


@pytest.mark.parametrize("edge", ["m0->a0.h0<q>", "input->a0.h9<q>", "input"])
def test_what_is_no_edge_is_refused(edge):
    graph = Graph(n_layers=1, n_heads=2, n_kv_heads=2, parallel_attention=False)
    with pytest.raises(InputError, match="There is no edge"):
        graph.edge_index(edge)


@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_what_senders_write_adds_up_to_what_the_logits_read(family):
    model = interp.load_model(family_model(family), device="cpu")
    sites = [*sender_sites(3), ("resid_post", 2)]
    caches = [model.run_with_cache(ids, sites) for ids in ([5, 6, 7, 8], [9, 10, 11, 12])]
    change = sender_outputs(model, caches[1]).sum(0) - sender_outputs(model, caches[0]).sum(0)
    expected = caches[1]["resid_post", 2][0] - caches[0]["resid_post", 2][0]  # biases are constant
    torch.testing.assert_close(change, expected, atol=2e-5, rtol=1e-4)


# ---- single layers ----


@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_a_layer_by_itself_gives_what_the_whole_model_gives(family):
    model = interp.load_model(family_model(family), device="cpu")
    tokens = model.to_tokens([256, 5, 6, 7, 8, 9, 10])
    torch.manual_seed(0)
    for layer in range(model.arch.n_layers):
        sites = [site for site in model.sites if site != "embed"]
        resid = torch.randn(4, 7, 32)
        edits = [
            Edit.zero("z", layer, rows=(1, 2), heads=1),
            Edit.set("mlp_out", layer, value=torch.randn(7, 32), rows=3),
        ]
        fast = model.run_layer(tokens, layer, resid, sites, edits)
        whole = model.run_with_cache(
            tokens.repeat(4),
            [(site, layer) for site in sites],
            [Edit.set("resid_pre", layer, value=resid), *edits],
        )
        for site in sites:
            torch.testing.assert_close(fast[site], whole[site, layer], atol=1e-5, rtol=1e-5)


def test_a_layer_runs_for_what_is_asked_alone(load):
    model = load("tiny-gpt2")
    seen = []
    handle = model.layers[1].mlp.register_forward_hook(lambda *_: seen.append(1))
    try:
        model.run_layer([1, 2, 3], 1, torch.randn(2, 3, 32), ["q", "v"])
        before = len(seen)
        model.run_layer([1, 2, 3], 1, torch.randn(2, 3, 32), ["q", "v"])
        assert len(seen) == before
    finally:
        handle.remove()


def test_what_a_layer_cannot_take_is_refused(load):
    model = load("tiny-gpt2")
    with pytest.raises(InputError, match="residual streams"):
        model.run_layer([1, 2, 3], 0, torch.randn(2, 4, 32), ["q"])
    with pytest.raises(EditError, match="by itself"):
        model.run_layer([1, 2, 3], 0, torch.randn(2, 3, 32), ["q"], [Edit.zero("z", 1)])
    with pytest.raises(SiteError, match="out of range"):
        model.run_layer([1, 2, 3], 9, torch.randn(2, 3, 32), ["q"])


# ---- planted edges ----


@pytest.mark.parametrize("method", EDGE_METHODS)
def test_planted_edges_are_found_and_no_others(circuit, method):
    made, model, pairs = circuit
    if method == "eap-ig-activations" and len(model.arch.family) and pairs.name == "indirect-object":
        pairs = pairs[:1]  # the slowest
    scores = edge_attribution(model, pairs, method=method, steps=2)
    found = {name for name, _ in scores.strongest(len(made.edges))}
    assert found == names(made.edges)
    chosen = np.isin(scores.names, list(found))
    assert np.abs(scores.scores.value[chosen]).min() > 5 * np.abs(scores.scores.value[~chosen]).max()


def test_a_planted_circuit_is_built_by_both_constructions(circuit):
    made, model, pairs = circuit
    n = len(made.edges)
    for construction in ("greedy", "top"):
        found = circuit_discovery(model, pairs, n=n, construction=construction)
        assert set(found.members) <= names(made.edges)
        # what nothing leads to is pruned: the edge from the input into a planted head always leads somewhere
        assert len(found.members) == n


def test_planted_heads_are_found_as_nodes(circuit):
    made, model, pairs = circuit
    found = circuit_discovery(model, pairs, level="node", construction="top", n=len(made.heads))
    assert set(found.members) == {f"a{layer}.h{head}" for layer, head in made.heads.values()}


def test_path_patching_finds_who_sends_to_the_logits(circuit):
    made, model, pairs = circuit
    for mlps in ("frozen", "recomputed"):
        result = path_patching(model, pairs, mlps=mlps)
        found = {
            s for s, effect in zip(result.senders, result.direct.mean, strict=True) if abs(effect) > 0.01
        }
        assert found == {sender for sender, receiver in made.edges if receiver == "logits"}


def test_path_patching_finds_who_sends_to_a_head():
    _, model, pairs = planted("indirect-object", "gpt2")
    result = path_patching(model, pairs, receivers=["a2.h1<q>", "a2.h3<q>"])
    effects = dict(zip(result.senders, np.abs(result.direct.mean), strict=True))
    assert effects.pop("a1.h3") > 1
    assert max(effects.values()) < 1e-3
    assert effects["a2.h1"] == 0  # it writes after they have read


# ---- identities ----


def test_first_order_estimates_are_exact_in_a_linear_model(linear):
    made, model, pairs = linear
    exact = edge_attribution(model, pairs)
    assert {name for name, score in exact.by_name().items() if abs(score) > 1e-4} == names(made.edges)
    for method in ("eap", "eap-ig-inputs"):
        estimated = edge_attribution(model, pairs, method=method, steps=2)
        np.testing.assert_allclose(estimated.scores.value, exact.scores.value, atol=2e-4)
        np.testing.assert_allclose(
            node_attribution(model, pairs, method=method, steps=2).scores.value,
            node_attribution(model, pairs).scores.value,
            atol=2e-4,
        )
    activations = edge_attribution(model, pairs, method="eap-ig-activations", steps=1)
    into_logits = [
        name.endswith("logits") for name in exact.names
    ]  # the gradient there is the same in all runs
    np.testing.assert_allclose(
        activations.scores.value[into_logits], exact.scores.value[into_logits], atol=2e-4
    )


def test_an_mlp_whose_output_is_given_reads_nothing(load):
    """In a run of EAP-IG over activations that sets what an MLP writes, edges into that MLP count nothing."""
    model = load("tiny-gpt2")
    pair = Pair(clean=(5, 17, 80, 3), corrupted=(5, 64, 90, 3), answer=7, foil=9)
    runs = sender_runs(model, pair, direction="noising", metric="logit_diff")
    graph = Graph.of(model)
    value = model.run_with_cache(pair.corrupted, ["mlp_out"])["mlp_out", 1]
    given = edge_scores_by_gradients(graph, runs, [[Edit.set("mlp_out", 1, value=value)]])
    free = edge_scores_by_gradients(graph, runs, [[]])
    into = np.array([edge.endswith("->m1") for edge in graph.edges])
    assert (given[into] == 0).all()
    assert (free[into] != 0).any()
    assert (given[~into] != 0).any()


def test_direct_effects_on_the_logits_sum_to_the_total_effect_in_a_linear_model(linear):
    _, model, pairs = linear
    total = exact = pytest.approx
    scores = edge_attribution(model, pairs)
    summed = scores.matrix()[:, -1].sum()
    assert summed == total((scores.clean_values - scores.corrupted_values).mean(), abs=1e-3)
    everyone = list(Graph.of(model).senders)
    result = path_patching(model, pairs, senders=[*everyone, everyone])
    assert result.direct.mean[:-1].sum() == exact(result.direct.mean[-1], abs=1e-3)
    assert result.direct.mean[-1] == exact(result.total.mean[0], abs=1e-3)  # all of it comes from the input


def test_direct_effects_need_no_total_ones(linear):
    _, model, pairs = linear
    both, alone = (
        path_patching(model, pairs, receivers=["a1.h0<q>"], totals=totals) for totals in (True, False)
    )
    assert alone.total is None
    assert both.total is not None
    np.testing.assert_allclose(alone.direct.each, both.direct.each, rtol=0, atol=1e-6)
    assert [len(path_view.view(one).blocks) for one in (alone, both)] == [3, 4]  # a map less


@pytest.mark.parametrize("name", ["tiny-gpt2", "tiny-qwen3"])
def test_every_edge_is_what_plain_forward_passes_give(load, name):
    model = load(name)
    pairs = some_pairs(model)
    pair = pairs[0]
    expected = exact_effects(model, pair.clean, pair.corrupted, Readout.logit_diff(pair.answer, pair.foil))
    scored = edge_attribution(model, pairs)
    found = dict(zip(scored.names, scored.changes.tolist(), strict=True))
    assert found == pytest.approx({f"{s}->{r}": effect for (s, r), effect in expected.items()}, abs=2e-4)


@pytest.mark.parametrize("name", TINY)
def test_edges_into_every_kind_of_receiver(load, name):
    model = load(name, dtype="float64")
    pairs = some_pairs(model)
    exact, estimated = (
        edge_attribution(model, pairs, method=method).by_name() for method in ("exact", "eap")
    )
    head = "a0.h1" if model.arch.parallel_attention else "a1.h3"
    edges = [
        *(("input", f"a0.h{model.arch.n_kv_heads - 1}<{part}>") for part in "qkv"),
        *(("a0.h2", f"a1.h1<{part}>") for part in "qkv"),
        *(("m0", receiver) for receiver in ("a2.h0<k>", "m1", "logits")),
        (head, "m1"),
    ]
    for sender, receiver in edges:
        edge = f"{sender}->{receiver}"
        # Qwen3's norms compute in float32, whatever the model's precision
        step = 1e-2
        whole, up, down = (
            effect_by_hand(model, pairs[0], sender, receiver, share=share) for share in (1.0, step, -step)
        )
        assert exact[edge] == pytest.approx(-whole, abs=1e-6), edge  # what is lost without it
        assert estimated[edge] == pytest.approx((down - up) / (2 * step), rel=1e-2, abs=1e-4), edge


@pytest.mark.parametrize("metric", ["prob", "kl"])
@pytest.mark.parametrize("direction", ["noising", "denoising"])
def test_other_metrics_and_the_other_direction(load, metric, direction):
    model = load("tiny-gpt2", dtype="float64")
    pairs = some_pairs(model)
    pair = pairs[0]
    options = {"metric": metric, "direction": direction}
    try:
        found = node_attribution(model, pairs, **options)
    except DegeneratePairError:
        pairs = PairDataset(
            name="x",
            pairs=(Pair(clean=pair.clean, corrupted=pair.corrupted, answer=best(model, pair), foil=0),),
        )
        found = node_attribution(model, pairs, **options)
    span = (found.clean_values - found.corrupted_values)[0] * (-1 if metric == "kl" else 1)
    assert found.by_name()["input"] == pytest.approx(span), "in both directions, all of the support"
    edges = edge_attribution(model, pairs, **options)
    assert edges.direction == direction
    assert np.abs(edges.scores.value).max() > 0


def best(model: Model, pair: Pair) -> int:
    return int(model.forward(list(pair.clean))[0, -1].argmax())


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("direction", ["noising", "denoising"])
def test_paths_are_what_plain_forward_passes_give(load, name, direction):
    model = load(name, dtype="float64")
    pairs, n = some_pairs(model), model.arch.n_layers
    pair = pairs[0]
    base, donor = (pair.clean, pair.corrupted) if direction == "noising" else (pair.corrupted, pair.clean)
    ours, theirs = (model.run_with_cache(list(ids), ["z", "mlp_out", "q", "k"]) for ids in (base, donor))
    receivers = ["a2.h1<q>", "a1.h0<k>"]
    senders = ["a0.h1", ["a0.h2", "a1.h3"], "m0"]
    for mlps in ("frozen", "recomputed"):
        to_heads = path_patching(
            model, pairs, receivers=receivers, senders=senders, mlps=mlps, direction=direction
        )
        to_logits = path_patching(model, pairs, senders=senders, mlps=mlps, direction=direction)
        for i, group in enumerate(senders):
            group = [group] if isinstance(group, str) else group
            frozen = [Edit.set("z", layer, value=ours["z", layer]) for layer in range(n)]
            if mlps == "frozen":
                frozen += [Edit.set("mlp_out", layer, value=ours["mlp_out", layer]) for layer in range(n)]
            moved = []
            for node in (parse(name, NODES) for name in group):
                site, value = (
                    ("mlp_out", theirs["mlp_out", node.layer])
                    if node.kind == "mlp"
                    else ("z", theirs["z", node.layer])
                )
                value = value if node.index is None else value[:, :, [node.index]]
                moved.append(Edit.set(site, node.layer, value=value, heads=node.index))
            unpatched = measured(model, pair, [], base)
            run_c = model.run_with_cache(list(base), ["q", "k"], [*frozen, *moved])
            put = [
                Edit.set("q", 2, value=run_c["q", 2][:, :, [1]], heads=1),
                Edit.set("k", 1, value=run_c["k", 1][:, :, [0]], heads=0),
            ]
            assert to_heads.direct.mean[i] == pytest.approx(
                measured(model, pair, put, base) - unpatched, abs=1e-8
            )
            direct = measured(model, pair, [*frozen, *moved], base) - unpatched
            assert to_logits.direct.mean[i] == pytest.approx(direct, abs=1e-8)
            assert to_heads.total.mean[i] == pytest.approx(
                measured(model, pair, moved, base) - unpatched, abs=1e-8
            )


def test_a_path_to_one_receiver_is_an_edge(load):
    model = load("tiny-qwen3", dtype="float64")
    pairs = some_pairs(model, n=3)
    edges = edge_attribution(model, pairs)
    for receiver in ("a2.h1<q>", "a1.h1<v>", "m2", "logits"):
        paths = path_patching(model, pairs, receivers=[receiver], senders=["input", "a0.h3", "m0"])
        expected = [-edges.by_name()[f"{sender}->{receiver}"] for sender in paths.senders]
        assert paths.direct.mean == pytest.approx(expected, abs=1e-9)
        assert (paths.direct.low <= paths.direct.mean).all()
        assert (paths.direct.mean <= paths.direct.high).all()


def test_receivers_are_patched_at_a_role_alone(load):
    model = load("tiny-gpt2", dtype="float64")
    pair = some_pairs(model)[0]
    at_end = Pair(**{**vars(pair), "positions": {"END": (5,), "EARLY": (1,), "MIDDLE": (3,)}})
    pairs = PairDataset(name="roles", pairs=(at_end,))
    asked = {"receivers": ["a2.h1<q>"], "senders": ["a0.h1"]}
    everywhere, end, early, middle = (
        path_patching(model, pairs, **asked, role=role).direct.mean
        for role in (None, "END", "EARLY", "MIDDLE")
    )
    assert end == pytest.approx(everywhere, abs=1e-12)  # in the last layer the metric's position asks alone
    assert early == 0  # before the prompts differ
    assert middle == pytest.approx(0, abs=1e-12)
    with pytest.raises(InputError, match="without a role"):
        path_patching(model, pairs, role="END")
    with pytest.raises(InputError, match="role"):
        path_patching(model, pairs, **asked, role="SUBJECT")


# ---- what costs nothing ----


def test_what_carries_nothing_is_not_run(load, monkeypatch):
    model = load("tiny-gpt2")
    pairs = some_pairs(model)
    carried = []
    original = model.sweep

    def sweep(prompt, branches, readout, **options):
        carried.extend(edit for branch in branches for edit in branch)
        return original(prompt, branches, readout, **options)

    monkeypatch.setattr(model, "sweep", sweep)
    edge_attribution(model, pairs)
    assert all(min(edit.address.positions) >= 2 for edit in carried)  # the first two tokens are the same
    last = model.arch.n_layers - 1
    asked = [e for e in carried if e.address.layer == last and e.address.site in ("q", "mlp_out")]
    assert asked
    assert {edit.address.positions for edit in asked} == {(5,)}


def test_senders_that_write_the_same_have_no_score():
    _, model, pairs = planted("induction", "gpt2")
    runs = sender_runs(model, pairs[0], direction="noising", metric="logit_diff")
    graph = Graph.of(model)
    silent = runs.each[0].delta.flatten(1).any(1).logical_not()
    assert silent.sum() > 2
    scores = edge_attribution(model, pairs[:1])
    assert (scores.matrix()[silent.numpy()] == 0).all()
    assert scores.matrix().shape == graph.mask.shape


def test_what_was_scored_before_a_stop_is_not_scored_again(load, monkeypatch, tmp_path):
    model, pairs = load("tiny-gpt2"), some_pairs(load("tiny-gpt2"), n=2)
    with interp.resuming(tmp_path):
        scores, paths = edge_attribution(model, pairs[:1]), path_patching(model, pairs)
        monkeypatch.setattr(model, "sweep", None)  # whoever calls it now fails
        assert (edge_attribution(model, pairs[:1]).scores.value == scores.scores.value).all()
        assert (path_patching(model, pairs).direct.mean == paths.direct.mean).all()
        for other in ({"direction": "denoising"}, {"metric": "kl"}):
            with pytest.raises(TypeError):
                edge_attribution(model, pairs[:1], **other)
        with pytest.raises(TypeError):
            path_patching(model, pairs, mlps="recomputed")


# ---- construction ----


def test_greedy_grows_from_the_logits():
    graph = Graph(n_layers=2, n_heads=1, n_kv_heads=1, parallel_attention=False)
    scores = dict.fromkeys(graph.edges, 0.0)
    scores |= {
        "a1.h0->logits": 1.0,
        "m0->logits": -2.0,
        "input->a1.h0<v>": 9.0,
        "input->m0": 0.5,
        "input->m1": 8.0,
    }
    scored = Circuit(graph=graph, level="edge", members=frozenset(), scores=scores)
    assert greedy(scored, 1).members == {"m0->logits"}
    assert greedy(scored, 2).members == {"m0->logits", "a1.h0->logits"}
    assert greedy(scored, 3).members == {"m0->logits", "a1.h0->logits", "input->a1.h0<v>"}
    assert greedy(scored, 1, absolute=False).members == {"a1.h0->logits"}
    assert scored.top(2).members == {"input->a1.h0<v>", "input->m1"}
    assert scored.top(2).pruned().members == frozenset()
    assert greedy(scored, graph.n_edges).members == set(graph.edges)
    with pytest.raises(InputError, match="no circuit of"):
        greedy(scored, graph.n_edges + 1)


def test_a_discovered_circuit_survives_the_disk(load):
    model = load("tiny-qwen3")
    result = circuit_discovery(model, some_pairs(model), n=30, method="eap")
    again = read_result(result.to_dict())
    assert again.circuit == result.circuit
    assert again.circuit.scores == result.circuit.scores
    assert len(result.members) <= 30
    assert again.graph == Graph.of(model)


# ---- choices, backends ----


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda m, p: edge_attribution(m, p, method="acdc"), "Unknown method"),
        (lambda m, p: edge_attribution(m, p, direction="up"), "Unknown direction"),
        (lambda m, p: edge_attribution(m, p, metric="loss"), "Unknown metric"),
        (lambda m, p: edge_attribution(m, p, method="eap-ig-inputs", steps=0), "at least 1"),
        (lambda m, p: circuit_discovery(m, p, n=3, level="head"), "Unknown level"),
        (lambda m, p: circuit_discovery(m, p, n=3, construction="best"), "Unknown construction"),
        (lambda m, p: circuit_discovery(m, p, n=3, level="node"), "no edges to follow"),
        (lambda m, p: circuit_discovery(m, p, n=10**6, method="eap"), "no circuit of"),
        (lambda m, p: path_patching(m, p, receivers=["a1.h9<q>"]), "no receiver"),
        (lambda m, p: path_patching(m, p, receivers=["a1.h1"]), "no receiver"),
        (lambda m, p: path_patching(m, p, receivers=["logits", "m1"]), "by itself"),
        (lambda m, p: path_patching(m, p, receivers="logits"), "a list"),
        (lambda m, p: path_patching(m, p, senders=["logits"]), "no sender"),
        (lambda m, p: path_patching(m, p, senders=[["m0", "m0"]]), "each once"),
        (lambda m, p: path_patching(m, p, mlps="gone"), "frozen or recomputed"),
    ],
)
def test_what_is_no_choice_is_refused(load, call, says):
    model = load("tiny-gpt2")
    with pytest.raises(InputError, match=says):
        call(model, some_pairs(model))


def test_a_corruption_that_changes_nothing_is_refused():
    _, model, _ = planted("copy-previous", "gpt2")
    pair = Pair(clean=(0, 1, 2, 3), corrupted=(0, 4, 2, 3), answer=2, foil=5)  # the token before is the same
    with pytest.raises(DegeneratePairError, match="hardly differ"):
        edge_attribution(model, PairDataset(name="same", pairs=(pair,)))


@pytest.mark.parametrize("name", TINY)
def test_transformer_lens_gives_the_same(load, name):
    ours, theirs = load(name), load(name, "transformer_lens")
    pairs = some_pairs(ours)
    if "q" not in theirs.sites:
        with pytest.raises(SiteError, match="does not reach"):
            edge_attribution(theirs, pairs)
        return
    for method in ("exact", "eap"):
        a, b = (edge_attribution(model, pairs, method=method) for model in (ours, theirs))
        np.testing.assert_allclose(a.scores.value, b.scores.value, atol=2e-4)
    a, b = (
        path_patching(model, pairs, receivers=["a2.h1<q>"], mlps="recomputed") for model in (ours, theirs)
    )
    np.testing.assert_allclose(a.direct.mean, b.direct.mean, atol=2e-4)


def test_nnsight_says_what_it_cannot_reach(load):
    model = load("tiny-gpt2", "nnsight")
    pairs = some_pairs(model)
    with pytest.raises(SiteError, match="transformers"):
        edge_attribution(model, pairs)
    with pytest.raises(SiteError, match="transformers"):
        path_patching(model, pairs, receivers=["a1.h1<q>"])
    same = load("tiny-gpt2")
    for senders in (None, ["m0"]):
        a, b = (path_patching(one, pairs, senders=senders).direct.mean for one in (model, same))
        np.testing.assert_allclose(a, b, atol=1e-4)
    np.testing.assert_allclose(
        node_attribution(model, pairs).scores.value, node_attribution(same, pairs).scores.value, atol=1e-4
    )


# ---- from the command line ----

TAUGHT = 'options={"corruption": "abc", "templates": "taught"}'


@pytest.mark.parametrize("model", ["demo-gpt2", "demo-qwen3"])
def test_discovery_is_run_and_shown(tmp_path, capsys, model):
    options = ["--set", "n=3", "--set", TAUGHT, "--set", "method=eap"]
    arguments = ["run", "circuit_discovery", "--set", f"model={model}", "--set", "n_members=15", *options]
    assert run(*arguments, "--out", tmp_path, "--tag", "t") == 0
    shown = capsys.readouterr().out
    kept = read_run(tmp_path / "circuit_discovery" / "t")
    assert kept.result.strongest(1)[0][0] in shown
    assert ("shared by several heads" in shown) == (model == "demo-qwen3")
    assert {"circuit_discovery.png", "report.html"} <= {path.name for path in kept.files}
    nodes = ["--set", "level=node", "--set", "construction=top"]
    assert run(*arguments, *nodes, "--out", tmp_path, "--tag", "nodes") == 0
    assert "Circuit: 15 of" in capsys.readouterr().out
    assert run(*arguments, "--set", "level=node", "--out", tmp_path, "--tag", "greedy-nodes") != 0
    assert "construction='top'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "asked",
    [
        [],
        ["--set", 'receivers=["a2.h1<q>"]', "--set", "role=END", "--set", "direction=denoising"],
        ["--set", 'senders=["m0", ["a0.h1", "a1.h2"]]', "--set", "mlps=recomputed"],
        ["--set", 'receivers=["a0.h0<q>"]'],  # no head writes before
    ],
)
def test_path_patching_is_run_and_shown(tmp_path, capsys, asked):
    options = ["--set", "n=3", "--set", TAUGHT]
    assert run("run", "path_patching", *options, *asked, "--out", tmp_path, "--tag", "t") == 0
    shown = capsys.readouterr().out
    result = read_run(tmp_path / "path_patching" / "t").result
    if result.direct.mean.any():
        assert result.senders[int(np.abs(result.direct.mean).argmax())] in shown
    else:
        assert "No sender acts directly" in shown
    assert ("Total effect" in shown) == (result.senders[0] != "m0")
