"""Heads behind a norm (Gemma 2 and 3, OLMo-2): what they write, and every method on them, against plain
forward passes, the formula written out, and circuits known in advance."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

import interp
from compiled import Planted, copy_previous_model, indirect_object_model, induction_model, linear_model
from conftest import needs_backend
from edges_by_hand import exact_effects, heads, writes
from families import family_model
from interp.edits import Edit
from interp.errors import DecompositionError, SiteError
from interp.figures.views.ablation import view as ablation_view
from interp.figures.views.direct_logit_attribution import view as attribution_view
from interp.figures.views.path_patching import view as paths_view
from interp.methods.ablation.ablation import ablation
from interp.methods.attribution.edge_attribution import edge_attribution, node_attribution
from interp.methods.attribution.edge_attribution_patching import (
    edge_scores_by_gradients,
    node_scores_by_gradients,
    runs_between,
)
from interp.methods.attribution.exact_edge_patching import exact_edge_scores, exact_node_scores
from interp.methods.attribution.frozen_readout import frozen_readout
from interp.methods.attribution.patching_vs_attribution import patching_vs_attribution
from interp.methods.attribution.results import EDGE_METHODS
from interp.methods.circuits.circuit_discovery import circuit_discovery
from interp.methods.circuits.completeness import completeness
from interp.methods.circuits.faithfulness import faithfulness
from interp.methods.circuits.results import ABLATIONS
from interp.methods.circuits.runs import circuit_values
from interp.methods.common.circuit import Circuit
from interp.methods.common.graph import Graph
from interp.methods.common.sender_runs import sender_runs
from interp.methods.common.senders import check_heads, head_outputs
from interp.methods.features.feature_writers import feature_logits, feature_writers, run_for
from interp.methods.heads.copying_scores import copying_scores
from interp.methods.patching.path_patching import path_patching
from interp.models.base import Model
from interp.readout import Readout
from interp.saes.activations import Standard
from interp.tasks.base import Pair, PairDataset
from planting import POST_NORMS, RESCALING
from test_circuits import planted_pairs, random_circuits
from test_direct_logit_attribution import ANSWER, FOIL, IDS, exact_norms, sums
from test_edge_attribution import measured, names, some_pairs
from test_saes import make

FAMILIES = ("gemma2", "gemma3_text", "gemma3-with-vision", "olmo2")
MAKERS: dict[str, Callable[..., Planted]] = {
    "copy-previous": copy_previous_model,
    "induction": induction_model,
    "indirect-object": indirect_object_model,
}


@cache
def tiny(name: str, backend: Any = "transformers") -> Model:
    """In float64, its norms too; with biases of attention where the name says so."""
    needs_backend(backend)
    hf: Any = family_model(name.removesuffix("-biased"))
    if name.endswith("-biased"):
        hf.config.attention_bias = True
        torch.manual_seed(0)
        hf = AutoModelForCausalLM.from_config(hf.config).eval()
        with torch.no_grad():
            for parameter in hf.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
    return interp.load_model(exact_norms(hf), backend=backend, dtype="float64", device="cpu")


@pytest.fixture(params=[*FAMILIES, "gemma3_text-biased", "olmo2-biased"])
def model(request: pytest.FixtureRequest) -> Model:
    return tiny(request.param)


@pytest.fixture(params=["gemma2", "olmo2-biased"])
def one(request: pytest.FixtureRequest) -> Model:
    """For what is slow."""
    return tiny(request.param)


# ---- what heads write ----


def test_what_heads_write_is_their_part_of_what_is_added(model: Model) -> None:
    for ids in (IDS, IDS[::-1]):
        cache = model.run_with_cache(ids, ["z", "attn_out"])
        for layer in range(model.arch.n_layers):
            found = head_outputs(model, layer, cache["z", layer])  # [row, head, pos, d_model]
            torch.testing.assert_close(found, heads(model, layer, cache["z", layer]).transpose(0, 1))
            torch.testing.assert_close(found.sum(1), cache["attn_out", layer])
            check_heads(model, layer, found, cache["attn_out", layer])
            with pytest.raises(DecompositionError, match="does not sum to what attention adds"):
                check_heads(model, layer, found * 1.01, cache["attn_out", layer])


def test_the_gain_is_what_the_norm_multiplies_by() -> None:
    """Gemma multiplies by 1 + its weight, OLMo-2 by its weight."""
    for name, one in (("gemma3_text", 1.0), ("olmo2", 0.0)):
        model = tiny(name)
        block = model.layers[1]  # type: ignore[attr-defined]
        for site in ("attn_out", "mlp_out"):
            norm = block.post_attention_layernorm if site == "attn_out" else block.post_feedforward_layernorm
            found = model.post_norm(site, 1)
            assert found is not None
            torch.testing.assert_close(found.gain, norm.weight.detach() + one)
            x = torch.randn(3, 32, dtype=torch.float64)
            torch.testing.assert_close(found(x), norm(x).detach())
    plain = interp.load_model(family_model("llama"), device="cpu")
    assert plain.post_norm("attn_out", 0) is None
    assert plain.post_norm("mlp_out", 0) is None


def test_a_norm_of_another_kind_is_named() -> None:
    """LayerNorm takes the mean off, which this library does not split."""
    hf = family_model("olmo2")
    for layer in hf.model.layers:
        layer.post_attention_layernorm = nn.LayerNorm(32)
    model = interp.load_model(hf, device="cpu")
    pairs = some_pairs(model)
    for call in (
        partial(interp.direct_logit_attribution, model, IDS, ANSWER, FOIL, views=["head"]),
        partial(edge_attribution, model, pairs),
        partial(node_attribution, model, pairs),
        partial(path_patching, model, pairs),
        partial(circuit_values, model, pairs, [Circuit.of(model, [])]),
        partial(copying_scores, model, pairs, roles=["END"]),
    ):
        with pytest.raises(SiteError, match="LayerNorm, is no RMSNorm"):
            call()
    found = interp.direct_logit_attribution(model, IDS, ANSWER, FOIL)
    assert [one.what for one in found.left_out] == ["head", "source"]


# ---- attribution ----


def test_parts_of_heads_and_neurons_by_the_formula(model: Model) -> None:
    result = interp.direct_logit_attribution(model, IDS, ANSWER, FOIL, k=1000)
    for parts, whole in sums(result):
        np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-9)
    cache = model.run_with_cache(IDS, ["z", "mlp_act", "resid_post"])
    readout = frozen_readout(model, cache["resid_post", 2][0, -1], cache.logits[0, -1], ANSWER, FOIL)
    assert result.by_head is not None
    assert result.by_neuron is not None
    neurons = dict(zip(result.by_neuron.neurons, result.by_neuron.parts.value, strict=True))
    for layer in range(3):
        z = cache["z", layer][:, -1:]
        biased = heads(model, layer, z)[:, 0, 0] @ readout.direction
        bias = heads(model, layer, z)[:, 0, 0].sum(0) @ readout.direction - result.by_head.mean[layer].sum()
        np.testing.assert_allclose(biased - bias / len(biased), result.by_head.mean[layer], atol=1e-9)
        assert float(bias) == pytest.approx(result.attn_bias[layer], abs=1e-9)
        block = model.layers[layer]  # type: ignore[attr-defined]
        act, project = cache["mlp_act", layer][0, -1], block.mlp.down_proj
        gemma = model.arch.family.startswith("gemma")
        norm = block.post_feedforward_layernorm
        gain, eps = (1 + norm.weight, norm.eps) if gemma else (norm.weight, norm.variance_epsilon)
        rms = (project(act).square().mean() + eps).sqrt()
        by_neuron = (gain * (act[:, None] * project.weight.T) / rms).detach() @ readout.direction
        np.testing.assert_allclose(
            by_neuron, [neurons[layer, neuron] for neuron in range(len(act))], atol=1e-9
        )


def test_parts_that_do_not_sum_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny("gemma2")
    weight = {name: getattr(type(model), name) for name in ("W_O", "W_out")}
    for name, message in (("W_O", "the heads"), ("W_out", "neurons of layer 0")):
        with monkeypatch.context() as patched:
            patched.setattr(type(model), name, lambda self, layer, name=name: weight[name](self, layer) ** 2)
            with pytest.raises(DecompositionError, match=message):
                interp.direct_logit_attribution(model, IDS, ANSWER, FOIL)
    with monkeypatch.context() as patched:
        patched.setattr(type(model), "W_O", lambda self, layer: weight["W_O"](self, layer) ** 2)
        for call in (
            partial(edge_attribution, model, some_pairs(model)),
            partial(circuit_values, model, some_pairs(model), [Circuit.of(model, [])]),
        ):
            with pytest.raises(DecompositionError, match="does not sum to what attention adds"):
                call()


@pytest.mark.parametrize("name", ["gemma2", "olmo2"])
def test_copying_scores_by_the_formula(name: str) -> None:
    model = tiny(name)
    k = 60
    pairs = tuple(
        Pair(clean=(a, b, c), corrupted=(a, b, c + 1), answer=1, foil=2, positions={"IO": (1,), "S1": (2,)})
        for a, b, c in ((5, 6, 7), (9, 4, 3), (20, 30, 40))
    )
    result = copying_scores(model, PairDataset(name="own", pairs=pairs), roles=["IO", "S1"], k=k)
    layer, head = 1, 2
    norm = model.layers[layer].post_attention_layernorm  # type: ignore[attr-defined]
    gain = norm.weight + (name == "gemma2")
    copied = 0
    for pair in pairs:
        stream = model.run_with_cache([pair.clean], [("resid_post", 0)])["resid_post", 0]
        edit = Edit.set("resid_pre", layer, value=stream)
        v = model.run_with_cache([pair.clean], [("v", layer)], [edit])["v", layer][0]
        for position in (1, 2):
            written = 3.7 * gain * (v[position, 1] @ model.W_O(layer)[head])  # whatever its scale
            copied += pair.clean[position] in model.unembed(written).topk(k).indices.tolist()
    assert result.copying.mean[layer, head] == pytest.approx(copied / 6)
    assert 0 < copied < 6  # else this would show little


def favoured(model: Model, pairs: PairDataset) -> PairDataset:
    """Each pair with the prompt first that favours its answer the more."""

    def lead(prompt: Any, pair: Pair) -> float:
        return float(Readout.logit_diff(pair.answer, pair.foil)(model.forward(prompt))[0])

    turned = [
        pair
        if lead(pair.clean, pair) > lead(pair.corrupted, pair)
        else dataclasses.replace(pair, clean=pair.corrupted, corrupted=pair.clean)
        for pair in pairs
    ]
    return dataclasses.replace(pairs, pairs=tuple(turned))


def test_patching_is_compared_with_attribution(one: Model) -> None:
    pairs = favoured(one, some_pairs(one, 2))
    found = patching_vs_attribution(one, pairs)
    by_head = interp.direct_logit_attribution(one, pairs.clean, pairs.answers, pairs.foils).by_head
    np.testing.assert_allclose(found.attribution.value, by_head.mean)


# ---- edges and paths ----


def test_every_edge_is_what_plain_forward_passes_give(model: Model) -> None:
    pairs = some_pairs(model)
    pair = pairs[0]
    expected = exact_effects(model, pair.clean, pair.corrupted, Readout.logit_diff(pair.answer, pair.foil))
    scored = edge_attribution(model, pairs)
    found = dict(zip(scored.names, scored.changes.tolist(), strict=True))
    assert found == pytest.approx({f"{s}->{r}": effect for (s, r), effect in expected.items()}, abs=1e-8)


@pytest.mark.parametrize("name", ["gemma2", "gemma3_text-biased", "olmo2"])
def test_estimates_are_exact_where_the_corruption_is_small(name: str) -> None:
    """Two tokens whose embeddings hardly differ: the metric is then nearly linear in every edge."""
    model = tiny(name)
    rows = model.hf_model.get_input_embeddings().weight
    before = rows.detach().clone()
    pair = Pair(clean=(5, 17, 80, 3, 42), corrupted=(5, 64, 80, 90, 42), answer=ANSWER, foil=FOIL)
    try:
        with torch.no_grad():
            for clean, corrupted in ((17, 64), (3, 90)):
                rows[corrupted] = rows[clean] + 1e-4 * before[corrupted]
        runs, graph = sender_runs(model, pair, direction="noising", metric="logit_diff"), Graph.of(model)
        exact = [
            exactly(graph, runs, exact=True, batch_size=64)[0]
            for exactly in (exact_edge_scores, exact_node_scores)
        ]
        for method in ("eap", "eap-ig-inputs"):
            between = runs_between(runs, method, 2)
            estimated = [
                by_gradients(graph, runs, between)
                for by_gradients in (edge_scores_by_gradients, node_scores_by_gradients)
            ]
            for found, expected in zip(estimated, exact, strict=True):
                np.testing.assert_allclose(found, expected, atol=5e-3 * np.abs(expected).max())
    finally:
        with torch.no_grad():
            rows.copy_(before)


def run_by_layers(model: Model, ids: Any, instead: dict[str, Tensor]) -> Tensor:
    """The logits where some senders add something else, layer by layer, by whole forward passes alone."""
    edits: list[Edit] = []
    if "input" in instead:
        edits.append(Edit.set("resid_pre", 0, value=instead["input"]))
    for layer in range(model.arch.n_layers):
        z = model.run_with_cache(list(ids), [("z", layer)], edits)["z", layer]
        added = heads(model, layer, z)  # [head, 1, pos, d_model]
        for head in range(len(added)):
            added[head] = instead.get(f"a{layer}.h{head}", added[head])
        edits.append(Edit.set("attn_out", layer, value=added.sum(0)))
        if f"m{layer}" in instead:
            edits.append(Edit.set("mlp_out", layer, value=instead[f"m{layer}"]))
    return model.forward(list(ids), edits)[0, -1]


@pytest.mark.parametrize("direction", ["noising", "denoising"])
def test_paths_are_what_plain_forward_passes_give(one: Model, direction: Any) -> None:
    pairs = some_pairs(one)
    pair = pairs[0]
    base, donor = (pair.clean, pair.corrupted) if direction == "noising" else (pair.corrupted, pair.clean)
    theirs = writes(one, donor)
    senders: list[Any] = ["a1.h2", "a0.h1", ["a0.h2", "a1.h3", "a1.h0"], "m0", ["input", "m1"]]
    found = path_patching(one, pairs, senders=senders, direction=direction)
    ours = writes(one, base)
    unpatched = measured(one, pair, [], base)
    for i, group in enumerate(senders):
        group = [group] if isinstance(group, str) else group
        logits = run_by_layers(one, base, {name: theirs[name] for name in group})
        total = float(logits[pair.answer] - logits[pair.foil]) - unpatched
        assert found.total.mean[i] == pytest.approx(total, abs=1e-8)
        move = sum(theirs[name] - ours[name] for name in group)
        direct = measured(one, pair, [Edit.add("resid_post", 2, value=move)], base) - unpatched
        assert found.direct.mean[i] == pytest.approx(direct, abs=1e-8)


def test_a_head_that_only_the_logits_read_acts_directly(model: Model) -> None:
    """In the last layer, with the MLP frozen, direct and total effect differ by what the MLP makes of it; a
    path to one receiver is an edge; a node is patched for all its readers."""
    pairs = some_pairs(model)
    edges, nodes = edge_attribution(model, pairs).by_name(), node_attribution(model, pairs).by_name()
    for receiver in ("a2.h1<q>", "m2", "logits"):
        paths = path_patching(model, pairs, receivers=[receiver])
        for sender, direct, total in zip(paths.senders, paths.direct.mean, paths.total.mean, strict=True):
            assert -direct == pytest.approx(edges.get(f"{sender}->{receiver}", 0.0), abs=1e-9)
            assert -total == pytest.approx(nodes[sender], abs=1e-9)


# ---- circuits ----


def circuit_by_hand(model: Model, circuit: Circuit, ids: Any, other: dict[str, Tensor]) -> Tensor:
    """The logits of a circuit of edges: each receiver reads the sum of what its senders wrote in this run, or
    elsewhere, by whole forward passes alone."""
    ran = {"input": model.run_with_cache(list(ids), [("resid_pre", 0)])["resid_pre", 0]}

    def read(receiver: str) -> Tensor:
        edges = {sender: f"{sender}->{receiver}" in circuit.members for sender in ran}
        return sum((ran[s] if inside else other[s] for s, inside in edges.items()), torch.zeros(()))

    for layer in range(model.arch.n_layers):
        sets = []
        for site, n in (
            ("q", model.arch.n_heads),
            ("k", model.arch.n_kv_heads),
            ("v", model.arch.n_kv_heads),
        ):
            for head in range(n):
                stream = Edit.set("resid_pre", layer, value=read(f"a{layer}.h{head}<{site}>"))
                own = model.run_with_cache(list(ids), [(site, layer)], [stream])[site, layer]
                sets.append(Edit.set(site, layer, value=own[:, :, [head]], heads=head))
        z = model.run_with_cache(list(ids), [("z", layer)], sets)["z", layer]
        ran |= {f"a{layer}.h{head}": added for head, added in enumerate(heads(model, layer, z))}
        mid = Edit.set("resid_mid", layer, value=read(f"m{layer}"))
        ran[f"m{layer}"] = model.run_with_cache(list(ids), [("mlp_out", layer)], [mid])["mlp_out", layer]
    return model.forward(list(ids), [Edit.set("resid_post", layer, value=read("logits"))])[0, -1]


def test_circuits_are_what_plain_forward_passes_give(one: Model) -> None:
    pairs = some_pairs(one)
    pair = pairs[0]
    other = writes(one, pair.corrupted)
    edges, nodes = (random_circuits(one, level, 2, share=0.6) for level in ("edge", "node"))
    found = np.concatenate([circuit_values(one, pairs, circuits)[:, 0] for circuits in (edges, nodes)])
    assert np.ptp(found) > 1e-3
    by_hand = [circuit_by_hand(one, circuit, pair.clean, other) for circuit in edges]
    for circuit in nodes:
        outside = {name: other[name] for name in circuit.candidates if name not in circuit.members}
        by_hand.append(run_by_layers(one, pair.clean, outside))
    expected = [float(logits[pair.answer] - logits[pair.foil]) for logits in by_hand]
    assert found == pytest.approx(expected, abs=1e-8)
    as_edges = circuit_values(one, pairs, [circuit.as_edges() for circuit in nodes])[:, 0]
    assert as_edges == pytest.approx(found[2:], abs=1e-9)


def test_all_of_a_circuit_is_the_model_and_none_of_it_the_corrupted_run(model: Model) -> None:
    pairs = PairDataset(
        name="one template",
        pairs=tuple(Pair(**{**vars(pair), "template": "a"}) for pair in some_pairs(model, 2)),
    )
    clean, corrupted = (
        [measured(model, pair, [], getattr(pair, side)) for pair in pairs] for side in ("clean", "corrupted")
    )
    circuit = Circuit.of(model, [], level="edge")
    full, empty = circuit_values(model, pairs, [circuit.full, circuit.empty])
    assert full == pytest.approx(clean, abs=1e-8)
    assert empty == pytest.approx(corrupted, abs=1e-8)
    for level in ("node", "edge"):
        circuit = Circuit.of(model, [], level=level)
        for kind in ABLATIONS:
            values = circuit_values(model, pairs, [circuit.full, circuit.empty], ablation=kind)
            assert values[0] == pytest.approx(clean, abs=1e-8), (level, kind)
            assert np.abs(values[1] - values[0]).min() > 1e-6


def test_means_are_of_what_heads_add(one: Model) -> None:
    """A head outside adds the mean of what it adds in the corrupted runs, each by its own scale."""
    pairs = PairDataset(
        name="one template",
        pairs=tuple(Pair(**{**vars(pair), "template": "a"}) for pair in some_pairs(one, 3)),
    )
    added = torch.stack([writes(one, pair.corrupted)["a0.h1"] for pair in pairs])  # [pair, 1, pos, d_model]
    without = Circuit.of(one, []).full.without(["a0.h1"])
    for kind, instead in (
        ("mean_by_template", added.mean(0)),
        ("mean_by_position", added.mean(0)),
        ("mean", added.mean((0, 2))[None].expand_as(added[0])),
        ("zero", added[0] * 0),
    ):
        found = circuit_values(one, pairs, [without], ablation=kind)[0]
        logits = [run_by_layers(one, pair.clean, {"a0.h1": instead}) for pair in pairs]
        expected = [float(x[pair.answer] - x[pair.foil]) for x, pair in zip(logits, pairs, strict=True)]
        assert found == pytest.approx(expected, abs=1e-8), kind


def test_ablating_z_computes_the_norm_anew(one: Model) -> None:
    """As its docstring says: the other heads of the layer are rescaled, which a circuit without it is not."""
    pairs = some_pairs(one, 2)
    found = ablation(one, pairs, ["a0.h1"], kinds="zero").after[0, 0]
    logits = [one.forward(list(pair.clean), [Edit.zero("z", 0, heads=1)])[0, -1] for pair in pairs]
    expected = np.mean([float(x[p.answer] - x[p.foil]) for x, p in zip(logits, pairs, strict=True)])
    assert found == pytest.approx(expected)
    circuit = circuit_values(one, pairs, [Circuit.of(one, []).full.without(["a0.h1"])], ablation="zero")
    assert abs(circuit.mean() - expected) > 1e-4


# ---- other backends ----


@pytest.mark.parametrize("name", ["gemma2", "gemma3_text", "olmo2"])
@pytest.mark.parametrize(
    "backend",
    [
        pytest.param("transformer_lens", marks=pytest.mark.tl),
        pytest.param("nnsight", marks=pytest.mark.nnsight),
    ],
)
def test_the_backends_agree(name: str, backend: Any) -> None:
    needs_backend(backend)
    backends: tuple[Any, ...] = (backend, "transformers")
    theirs, ours = (interp.load_model(family_model(name), backend=one, device="cpu") for one in backends)
    pairs = some_pairs(ours)
    for layer in range(3):
        torch.testing.assert_close(theirs.b_O(layer), ours.b_O(layer))
        for site in ("attn_out", "mlp_out"):
            torch.testing.assert_close(theirs.post_norm(site, layer).gain, ours.post_norm(site, layer).gain)
    for a, b in (
        (model_and_parts(theirs, pairs), model_and_parts(ours, pairs)),
        *([] if backend == "nnsight" else [(of_edges(theirs, pairs), of_edges(ours, pairs))]),
    ):
        for found, expected in zip(a, b, strict=True):
            np.testing.assert_allclose(found, expected, atol=2e-4)


def model_and_parts(model: Model, pairs: PairDataset) -> list[np.ndarray]:
    parts = interp.direct_logit_attribution(model, IDS, ANSWER, FOIL, views=["head", "neuron"])
    paths = path_patching(model, pairs, senders=["a1.h2", ["a0.h1", "m1"]])
    return [
        parts.by_head.mean,
        parts.by_neuron.parts.value,
        node_attribution(model, pairs).scores.value,
        node_attribution(model, pairs, method="eap").scores.value,
        paths.direct.mean,
        paths.total.mean,
        circuit_values(model, pairs, random_circuits(model, "node")),
    ]


def of_edges(model: Model, pairs: PairDataset) -> list[np.ndarray]:
    return [
        edge_attribution(model, pairs).scores.value,
        edge_attribution(model, pairs, method="eap").scores.value,
        circuit_values(model, pairs, random_circuits(model, "edge")),
    ]


@pytest.mark.tl
@pytest.mark.parametrize("name", ["gemma2", "gemma3_text"])
def test_folded_weights_have_parts_that_sum_to_the_same(name: str) -> None:
    needs_backend("transformer_lens")
    folded = interp.load_model(
        family_model(name), backend="transformer_lens", processing="folded", device="cpu"
    )
    plain = interp.load_model(family_model(name), device="cpu")
    ours, theirs = (interp.direct_logit_attribution(m, IDS, ANSWER, FOIL) for m in (folded, plain))
    assert ours.left_out == ()
    np.testing.assert_allclose(ours.by_head.mean, theirs.by_head.mean, atol=1e-3)


# ---- planted circuits ----


@cache
def planted(name: str, family: Any) -> tuple[Planted, Model, PairDataset]:
    made = MAKERS[name](family)
    return made, interp.load_model(made.hf_model, device="cpu"), planted_pairs(made, 2)


@pytest.fixture(params=[f"{name}:{family}" for family in (*POST_NORMS, *RESCALING) for name in MAKERS])
def circuit(request: pytest.FixtureRequest) -> tuple[Planted, Model, PairDataset]:
    return planted(*request.param.split(":"))


@pytest.mark.parametrize("method", EDGE_METHODS)
def test_planted_edges_are_found_and_no_others(circuit: Any, method: Any) -> None:
    made, model, pairs = circuit
    scores = edge_attribution(model, pairs[:1], method=method, steps=2)
    assert {name for name, _ in scores.strongest(len(made.edges))} == names(made.edges)


def test_a_planted_circuit_is_built_and_does_what_the_model_does(circuit: Any) -> None:
    made, model, pairs = circuit
    found = circuit_discovery(model, pairs, n=len(made.edges))
    assert set(found.members) == names(made.edges)
    nodes = circuit_discovery(model, pairs, level="node", construction="top", n=len(made.heads))
    assert set(nodes.members) == {f"a{layer}.h{head}" for layer, head in made.heads.values()}
    for built in (found.circuit, nodes.circuit):
        result = faithfulness(model, pairs, built, n_random=1, compare=())
        assert result.faithfulness.value[0, :3] == pytest.approx([1, 0, 1], abs=0.01)
        apart = completeness(model, pairs[:1], built, n_random=1, n_greedy=0)
        assert apart.incompleteness.max() < 0.02 * (apart.full_value - apart.empty_value)


def test_path_patching_finds_who_sends_to_the_logits(circuit: Any) -> None:
    made, model, pairs = circuit
    result = path_patching(model, pairs)
    found = {s for s, effect in zip(result.senders, result.direct.mean, strict=True) if abs(effect) > 0.01}
    assert found == {sender for sender, receiver in made.edges if receiver == "logits"}


@pytest.mark.parametrize("family", POST_NORMS)
def test_first_order_estimates_are_exact_in_a_linear_model(family: Any) -> None:
    made = linear_model(family)
    model, pairs = interp.load_model(made.hf_model, device="cpu"), planted_pairs(made, 1)
    exact = edge_attribution(model, pairs)
    assert {name for name, score in exact.by_name().items() if abs(score) > 1e-4} == names(made.edges)
    for method in ("eap", "eap-ig-inputs"):
        estimated = edge_attribution(model, pairs, method=method, steps=2)
        np.testing.assert_allclose(estimated.scores.value, exact.scores.value, atol=2e-4)


# ---- features ----


@pytest.mark.parametrize("site", ["resid_pre", "resid_mid", "resid_post", "attn_out"])
def test_what_the_senders_write_sums_to_the_pre_activation(model: Model, site: str) -> None:
    sae = make(model, site, 1, activation=Standard())
    cache = run_for(model, sae, IDS, writers=True)
    constants = []
    for position in (3, 6):
        x = cache[sae.address][0, position].double()
        pre = ((x - sae.b_dec) @ sae.W_enc.double() + sae.b_enc)[7]
        found = feature_writers(model, sae, 7, cache, position)
        assert found.parts.sum() == pytest.approx(pre.item(), abs=1e-6)
        constants.append(found.parts[-1].item())
        by_hand = heads(model, 0, cache["z", 0])[1, 0, position] if site != "attn_out" else None
        if by_hand is not None:
            part = found.parts[found.names.index("a0.h1")].item()
            assert part == pytest.approx(float(by_hand @ sae.W_enc[:, 7].double()), abs=1e-6)
    assert constants[0] == pytest.approx(constants[1], abs=1e-6), "no sender is in the constant"


@pytest.mark.parametrize("site", ["z", "mlp_act"])
def test_a_feature_before_a_norm_writes_with_its_scale(site: str) -> None:
    """Taking the feature away, with every scale frozen, takes its logits away."""
    model = tiny("gemma2")
    sae = make(model, site, 2, activation=Standard())
    cache = run_for(model, sae, IDS, writers=False)
    whole = model.run_with_cache(IDS, ["z", "mlp_act", "resid_post"])
    x = cache[sae.address][0, 4].flatten().float()
    feature = int(sae.encode(x).argmax())
    change = (sae.encode(x)[feature] * sae.W_dec[feature]).double()
    block = model.layers[2]  # type: ignore[attr-defined]
    project, norm = (
        (block.self_attn.o_proj, block.post_attention_layernorm)
        if site == "z"
        else (block.mlp.down_proj, block.post_feedforward_layernorm)
    )
    rms = (project(whole[site, 2][0, 4].flatten()).square().mean() + norm.eps).sqrt()
    added = ((1 + norm.weight) * (project.weight @ change) / rms).detach()
    last, final = whole["resid_post", 2][0, 4], model.hf_model.model.norm
    read = added / (last.square().mean() + final.eps).sqrt() * (1 + final.weight)
    expected = (read @ model.W_U).detach().numpy()
    found = feature_logits(model, sae, feature, cache, 4).numpy()
    np.testing.assert_allclose(found, expected - expected.mean(), atol=1e-5)


def test_results_say_whether_norms_are_frozen_or_recomputed():
    """Where a norm stands behind attention, and not elsewhere."""
    for family, behind in (("gemma3_text", True), ("llama", False)):
        model = interp.load_model(family_model(family))
        pair = Pair(clean=tuple(IDS), corrupted=(*IDS[:-1], IDS[-1] + 1), answer=ANSWER, foil=FOIL)
        dataset = PairDataset(name="one", pairs=(pair, pair))
        said = {
            "attribution": attribution_view(interp.direct_logit_attribution(model, IDS, ANSWER, FOIL)).below,
            "paths": paths_view(path_patching(model, dataset)).below,
            "ablation": ablation_view(ablation(model, dataset)).below,
            "attention": ablation_view(ablation(model, dataset, "attention")).below,
        }
        how = {
            name: [w for w in ("frozen", "recomputed") if w in " ".join(text)] for name, text in said.items()
        }
        expected = {
            "attribution": ["frozen"],
            "paths": ["frozen"],
            "ablation": ["recomputed"],
            "attention": [],
        }
        assert how == (expected if behind else {name: [] for name in said})
