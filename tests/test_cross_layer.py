"""Cross-layer transcoders: planted ones recovered, files, and graphs through them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

import interp
from compiled_cross_layer import FIRST, LAST, cross_layer_model, own_neurons, shared_features
from compiled_two_steps import FILLERS, A, B, answer_of, bridge_of
from families import family_model
from interp.edits import Edit
from interp.errors import InputError
from interp.figures.views.train_transcoders import report
from interp.methods.graphs.attribution_graph import attribution_graph
from interp.methods.graphs.direct_effects import direct_effects
from interp.methods.graphs.graph_files import graph_file
from interp.methods.graphs.knock_outs import LogitTarget, in_local_model, in_model
from interp.methods.graphs.local_model import LocalModel
from interp.methods.graphs.nodes import feature_reads, source_nodes, written
from interp.methods.graphs.scaled_nodes import node_id, scaled_nodes
from interp.saes.activations import BatchTopK, JumpReLU, Standard, TopK
from interp.saes.cross_layer import CrossLayerTranscoder
from interp.saes.cross_layer_training import train_cross_layer
from interp.saes.metrics import feature_cosine
from interp.saes.recipe import Recipe
from interp.saes.sources import load_transcoders
from interp.saes.transcoder import mlp_norm
from interp.saes.transcoder_files import write_transcoders
from interp.saes.transcoder_metrics import measure_transcoders
from planting import BOS
from test_attribution_graph import IDS, KINDS, exact, named, random_transcoders
from test_saes import sequences


def random_cross_layer(model, activation, *, skip: bool = False) -> CrossLayerTranscoder:
    """With random weights, above as at the own layer."""
    own = random_transcoders(model, activation, skip=skip)
    draw, n = torch.Generator().manual_seed(1), len(own)
    above = [
        torch.randn(one.n_features, n - 1 - layer, one.d_in, generator=draw) / one.d_in**0.5
        for layer, one in enumerate(own)
    ]
    return CrossLayerTranscoder(own.layers, tuple(above[:-1]))


def silent_above(model, activation, *, skip: bool = False) -> CrossLayerTranscoder:
    found = random_cross_layer(model, activation, skip=skip)
    return CrossLayerTranscoder(found.layers, tuple(torch.zeros_like(W) for W in found.above))


# ---- training ----


N, D, LAYERS = 12, 16, 3


def directions(*shape: int, seed: int) -> torch.Tensor:
    drawn = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(drawn, dim=-1)


READ = directions(LAYERS, N, D, seed=0)
WRITE = [directions(N, LAYERS - layer, D, seed=1 + layer) for layer in range(LAYERS)]


def planted_batches(step: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Each layer has sparse features of its own, which write to its MLP and to those above."""
    g = torch.Generator().manual_seed(step)
    features = torch.rand(LAYERS, 256, N, generator=g) * (torch.rand(LAYERS, 256, N, generator=g) < 0.1)
    out = [
        sum(features[source] @ WRITE[source][:, target - source] for source in range(target + 1))
        for target in range(LAYERS)
    ]
    return [(3 * features[layer] @ READ[layer], out[layer]) for layer in range(LAYERS)]


def test_planted_features_that_write_to_several_layers_are_recovered():
    recipe = Recipe(kind="topk", n_features=20, k=2, steps=700, learning_rate=8e-3, silent_after=50)
    found, above, losses = train_cross_layer(planted_batches, recipe)
    cosines = []
    for layer, weights in enumerate(found):
        W_dec = weights.W_dec[:, None]
        W_dec = torch.cat([W_dec, above[layer]], 1) if layer < LAYERS - 1 else W_dec
        cosines.append(feature_cosine(WRITE[layer].flatten(1), W_dec.flatten(1)))  # all that it writes
    assert (torch.cat(cosines) > 0.9).double().mean() >= 0.9
    assert losses[:, -50:, 0].max() < 0.1


@pytest.mark.parametrize("kind", ["batchtopk", "jumprelu", "standard"])
def test_every_kind_explains_what_all_layers_write(kind):
    """In units of the activations, through the weights that are kept."""
    recipe = Recipe(kind=kind, n_features=16, k=2, penalty=0.002, steps=300, learning_rate=1e-2)
    found, above, _ = train_cross_layer(planted_batches, recipe)
    pairs = planted_batches(10_000)
    features = [w.activation(x @ w.W_enc + w.b_enc) for w, (x, _) in zip(found, pairs, strict=True)]
    for layer, (_, y) in enumerate(pairs):
        out = features[layer] @ found[layer].W_dec + found[layer].b_dec
        for source in range(layer):
            out = out + features[source] @ above[source][:, layer - source - 1]
        assert (y - out).square().sum() < 0.1 * (y - y.mean(0)).square().sum()
        alone = y - features[layer] @ found[layer].W_dec - found[layer].b_dec
        assert layer == 0 or alone.square().sum() > 0.3 * (y - y.mean(0)).square().sum()


def test_it_is_trained_and_measured_as_others_are(load):
    model = load("tiny-qwen3")
    recipe = Recipe(kind="topk", n_features=20, k=3, steps=12, seed=5)
    options = {"batch_size": 32, "buffered": 4, "cross_layer": True}
    found, losses = interp.train_transcoders(model, sequences(model), recipe, skip=True, **options)
    assert isinstance(found, CrossLayerTranscoder)
    assert losses.shape[:2] == (model.arch.n_layers, 12)
    assert found.above[0].abs().max() > 0
    result = measure_transcoders(model, found, sequences(model, n=3))
    assert result.cross_layer
    assert "A cross-layer transcoder: 20 features" in report(result)
    again, _ = interp.train_transcoders(model, sequences(model), recipe, skip=True, **options)
    assert torch.equal(found.above[0], again.above[0]), "the same seed gives the same weights"
    alone, _ = interp.train_transcoders(model, sequences(model), recipe, skip=True, batch_size=32, buffered=4)
    assert not torch.equal(alone[0].W_enc, found[0].W_enc), "the layer above tells it what to learn, too"
    gated = Recipe(kind="gated", n_features=20, k=3, steps=2)
    with pytest.raises(InputError, match="no cross-layer transcoder of the kind 'gated'"):
        interp.train_transcoders(model, sequences(model), gated, **options)


@pytest.mark.parametrize("skip", [False, True])
def test_the_memory_for_all_weights_is_asked_for_first(load, monkeypatch, skip):
    """Decoders grow with the square of the number of layers."""
    model = load("tiny-qwen3")
    recipe, options = Recipe(kind="standard", n_features=24, k=1, steps=1), {"batch_size": 32, "buffered": 4}
    told: list[int] = []
    monkeypatch.setattr(
        "interp.saes.train_transcoders.check_memory", lambda streams, recipe, weights: told.append(weights)
    )
    trained = []
    for cross_layer in (False, True):
        found, _ = interp.train_transcoders(
            model, sequences(model), recipe, skip=skip, cross_layer=cross_layer, **options
        )
        trained += [found]
    counted = [
        sum(w.numel() for one in found for w in vars(one).values() if isinstance(w, torch.Tensor))
        for found in trained
    ]
    above = sum(W.numel() for W in trained[1].above)
    slack = model.arch.n_layers * (24 + 32)  # a bias more or less
    assert told == pytest.approx([counted[0], counted[1] + above], abs=slack)
    monkeypatch.undo()
    monkeypatch.setattr("interp.saes.memory.free_bytes", lambda device: 10_000)
    with pytest.raises(InputError, match="This training takes about"):
        interp.train_transcoders(model, sequences(model), recipe, **options)


# ---- what it computes ----


@pytest.mark.parametrize("kind", KINDS)
def test_one_that_writes_nothing_above_is_transcoders_of_one_layer_each(load, kind):
    model = load("tiny-gpt2")
    alone = random_transcoders(model, KINDS[kind], skip=True)
    whole = silent_above(model, KINDS[kind], skip=True)
    text = sequences(model, n=3, length=9)
    one, other = (measure_transcoders(model, some, text) for some in (alone, whole))
    for name in ("ce_layer", "ce_all", "explained_variance", "l0"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    one, other = (attribution_graph(model, some, IDS, nodes=1.0) for some in (alone, whole))
    assert one.nodes.kinds == other.nodes.kinds
    for name in ("attribution", "in_local_model", "in_model", "influence"):
        assert np.array_equal(getattr(one.nodes, name), getattr(other.nodes, name)), name
    assert np.array_equal(one.edges.effects, other.edges.effects)
    assert np.array_equal(one.edges.in_model, other.edges.in_model)
    assert (one.cross_layer, other.cross_layer) == (False, True)


def test_features_below_write_to_what_stands_for_an_mlp(load):
    """With one MLP replaced, and with all: the cross-entropies of runs whose edits are made by hand."""
    model = load("tiny-gpt2")
    whole = random_cross_layer(model, lambda n: TopK(4))
    text = sequences(model, n=3, length=9)
    result = measure_transcoders(model, whole, text)
    clean = model.run_with_cache(text, ["mlp_out", "resid_mid"])

    def nats(edits) -> float:
        logits = model.forward(text, edits)[:, 1:-1].double().log_softmax(-1)
        return float(-logits.gather(-1, torch.tensor(text)[:, 2:, None]).mean())

    def put(layer: int, streams: list[torch.Tensor]) -> Edit:
        value = whole[layer].b_dec
        for source, x in enumerate(streams):
            own = source == layer
            W_dec = whole[source].W_dec if own else whole.above[source][:, layer - source - 1]
            value = value + whole[source].encode(x) @ W_dec
        value[:, 0] = clean["mlp_out", layer][:, 0]
        return Edit.set("mlp_out", layer, value=value)

    edits, streams = [], []
    for layer in range(model.arch.n_layers):
        below = [clean["resid_mid", source] for source in range(layer + 1)]
        assert result.ce_layer[layer] == pytest.approx(nats([put(layer, below)]), rel=1e-5)
        streams.append(model.run_with_cache(text, [("resid_mid", layer)], edits)["resid_mid", layer])
        edits.append(put(layer, streams))
    assert result.ce_all == pytest.approx(nats(edits), rel=1e-5)


# ---- graphs ----


@pytest.fixture(scope="module")
def planted() -> interp.Model:
    return cross_layer_model()


@pytest.mark.parametrize("a", [A[0], A[5]])
def test_planted_nodes_and_edges_are_found_through_it_and_no_others(planted, a):
    """Precision and recall 1.0: one feature where transcoders of one layer each have two, which does what the
    MLPs of two layers do."""
    b, f = bridge_of(a), list(FILLERS)
    prompt, answer = [BOS, f[0], a, f[1]], answer_of(b)
    token = ("token", -1, 2, a)
    first, last = ("feature", FIRST, 3, A.index(a)), ("feature", LAST, 3, B.index(b))
    logit = ("logit", 4, 3, answer)
    shares = {"nodes": 0.95, "edges": 0.99}
    graph = attribution_graph(planted, shared_features(planted), prompt, answer=answer, **shares)
    assert named(graph) == ({first, last}, {(token, first), (first, last), (last, logit)})
    assert graph.replacement_score > 0.99
    second = ("feature", FIRST + 1, 3, A.index(a))
    alone = attribution_graph(planted, own_neurons(planted), prompt, answer=answer, **shares)
    edges = {(token, first), (token, second), (first, last), (second, last), (last, logit)}
    assert named(alone) == ({first, second, last}, edges)
    # the truth: what both MLPs write goes with the one feature, and with it all that the answer has
    nodes, value = graph.nodes, graph.logit_values[0]
    features = nodes.of_kind("feature")
    for column in (nodes.attribution, nodes.in_local_model, nodes.in_model):
        assert column[features, 0] == pytest.approx([value] * 2, rel=2e-3)
    assert alone.nodes.in_model[alone.nodes.of_kind("feature"), 0] == pytest.approx(
        [value / 2, value / 2, value], rel=2e-3
    )
    assert graph.edges.in_model[-2:] == pytest.approx(graph.edges.effects[-2:], rel=2e-3)
    kinds = {node.node_id: node.feature_type for node in graph_file(graph).nodes}
    assert kinds[f"{FIRST}_{A.index(a)}_3"] == "cross layer transcoder"
    assert graph_file(graph).metadata.info["description"] == "A cross-layer transcoder of one step by two."


@pytest.mark.parametrize("family", ["gpt2", "qwen3", "gemma3_text"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("skip", [False, True], ids=["", "skip"])
def test_direct_effects_and_biases_sum_to_every_pre_activation(family, kind, skip):
    model = exact(family)
    local = LocalModel.of(model, random_cross_layer(model, KINDS[kind], skip=skip), IDS)
    sources = source_nodes(local)
    features = [node for node in sources if node.kind == "feature"]
    found = direct_effects(local, sources, feature_reads(local, features))
    read = torch.tensor([float(local.mlps[x.layer].pre[x.position, x.index]) for x in features])
    off = 1e-7 if family == "gpt2" else 2e-5  # RMSNorms of transformers compute in float32
    torch.testing.assert_close(found.effects.sum(1) + found.constant, read.double(), atol=off, rtol=off)


def test_the_sum_over_the_graph_is_the_logit():
    model = exact("gpt2")
    graph = attribution_graph(model, random_cross_layer(model, KINDS["topk"]), IDS, nodes=1.0, edges=1.0)
    logit = len(graph.nodes) - 1
    into = graph.edges.effects[graph.edges.targets == logit].sum() + graph.nodes.constants[logit]
    logits = model.forward(IDS)[0, -1]
    assert into == pytest.approx(float(logits[int(graph.nodes.indices[logit])] - logits.mean()), abs=1e-7)


def test_knock_outs_are_those_of_every_layer_that_a_node_writes_to():
    model = exact("qwen3")
    whole = random_cross_layer(model, KINDS["topk"])
    local = LocalModel.of(model, whole, IDS)
    nodes = [x for x in source_nodes(local) if x.kind == "feature"][::9]
    assert len(written(local, nodes[0])) == model.arch.n_layers
    target = LogitTarget(((4, 1.0),))
    clean = target(model.forward(IDS)[0, -1])
    for node, lost in zip(nodes, in_model(model, local, nodes, [target])[:, 0].tolist(), strict=True):
        strength = local.mlps[node.layer].features[node.position, node.index]
        edits = []
        for layer in range(node.layer, model.arch.n_layers):
            own = layer == node.layer
            W_dec = whole[layer].W_dec if own else whole.above[node.layer][:, layer - node.layer - 1]
            value = -strength * W_dec[node.index].double()
            edits.append(Edit.add("mlp_out", layer, value=value, positions=node.position))
        assert lost == pytest.approx(float(clean - target(model.forward(IDS, edits)[0, -1])), abs=1e-9)
        scaled = scaled_nodes(model, whole, IDS, [node_id(node)], 0.0)
        assert lost == pytest.approx(float(clean - target(model.forward(IDS, scaled)[0, -1])), abs=1e-5)


def test_knock_outs_in_the_local_model_are_those_of_running_it():
    """Against a run of the local model layer by layer, with and without each feature."""
    model = exact("gpt2")
    whole = random_cross_layer(model, KINDS["jumprelu"], skip=True)
    local = LocalModel.of(model, whole, IDS)
    nodes = [x for x in source_nodes(local) if x.kind == "feature"][::7]

    def last_stream(without=None) -> torch.Tensor:
        stream, features = local.embedding[None], []
        for layer, (attention, mlp) in enumerate(zip(local.attention, local.mlps, strict=True)):
            stream = stream + attention(stream) + attention.constant
            one = mlp.transcoder
            pre = one.norm.centred(stream) * mlp.scale @ one.W_enc + one.b_enc
            features.append(one.activation(pre))
            features[-1][:, 0] = 0.0
            if without is not None and without.layer == layer:
                features[-1][0, without.position, without.index] = 0.0
            stream = stream + mlp.constant + mlp.error + mlp.skip(stream)
            for source, own in enumerate(features):
                stream = stream + own @ whole.decoder(source, layer).double()
        return stream[0, -1]

    torch.testing.assert_close(last_stream(), local.last[-1], atol=1e-9, rtol=1e-9)
    lost = in_local_model(local, nodes, torch.eye(model.arch.d_model).double())
    for node, found in zip(nodes, lost, strict=True):
        torch.testing.assert_close(found, last_stream() - last_stream(node), atol=1e-9, rtol=1e-9)


# ---- files ----


@pytest.mark.parametrize("skip", [False, True], ids=["", "skip"])
@pytest.mark.parametrize(
    "activation", [Standard(), TopK(5), BatchTopK(5, 0.3), JumpReLU(torch.linspace(0, 1, 24))]
)
def test_what_is_written_is_read_back(load, tmp_path, activation, skip):
    model = load("tiny-qwen3")
    whole = random_cross_layer(model, lambda n: activation, skip=skip)
    density = np.full((model.arch.n_layers, 24), 0.25)
    write_transcoders(tmp_path, whole, density=density, training={"steps": 3})
    found = load_transcoders(tmp_path, model)
    assert isinstance(found, CrossLayerTranscoder)
    x = model.run_with_cache(sequences(model, n=2), ["resid_mid"])
    streams = [x["resid_mid", layer] for layer in range(model.arch.n_layers)]
    features = [one.encode(own) for one, own in zip(whole, streams, strict=True)]
    for layer, own in enumerate(streams):
        torch.testing.assert_close(found[layer].encode(own), features[layer])
        torch.testing.assert_close(found.written(layer, features, own), whole.written(layer, features, own))
    said = yaml.safe_load((tmp_path / "config.yaml").read_text())
    kind = f"{'topk_' if activation.kind == 'topk' else ''}{'skip_' if skip else ''}cross_layer_transcoder"
    assert said["model_kind"] == kind
    assert said["feature_input_hook"] == "ln2.hook_normalized"
    assert load_file(tmp_path / "W_dec_0.safetensors")["W_dec_0"].shape == (24, model.arch.n_layers, 32)
    with pytest.raises(InputError, match="another folder"):
        write_transcoders(tmp_path, whole)
    with pytest.raises(InputError, match=r"a cross-layer transcoder, and no SAE"):
        interp.load_sae(tmp_path, model)


def gemma_scope_folder(folder, model, *, affine: bool, **said) -> list[dict[str, torch.Tensor]]:
    draw = torch.Generator().manual_seed(2)
    d, n, f = model.arch.d_model, model.arch.n_layers, 20
    shapes = {"w_enc": (d, f), "b_enc": (f,), "w_dec": (f, n, d), "b_dec": (d,), "threshold": (f,)}
    shapes |= {"affine_skip_connection": (d, d)} if affine else {}
    weights = []
    for layer in range(n):
        weights.append({name: torch.randn(*shape, generator=draw) for name, shape in shapes.items()})
        save_file(weights[-1], folder / f"params_layer_{layer}.safetensors")
    at = "model.layers.{all}.{which}_feedforward_layernorm.output"
    config = {
        "hf_hook_point_in": at.replace("{which}", "pre"),
        "hf_hook_point_out": at.replace("{which}", "post"),
        "model_name": "google/gemma-3-270m-pt",
        "architecture": "jump_relu",
        "type": "clt",
    }
    (folder / "config.json").write_text(json.dumps({**config, **said}))
    return weights


@pytest.mark.parametrize("affine", [False, True], ids=["", "affine"])
def test_one_of_gemma_scope_2_is_read(tmp_path, affine):
    """It reads behind the norm and its gain, and writes behind the norm behind the MLP."""
    model = interp.load_model(
        family_model("gemma3_text"), device="cpu", self_check=False, name="google/gemma-3-270m"
    )
    weights = gemma_scope_folder(tmp_path, model, affine=affine)
    found = load_transcoders(tmp_path, model)
    assert isinstance(found, CrossLayerTranscoder)
    draw = torch.Generator().manual_seed(3)
    streams = [torch.randn(5, model.arch.d_model, generator=draw) for _ in weights]
    reads = []
    for layer, x in enumerate(streams):
        norm = mlp_norm(model, layer)
        reads.append(norm.norm(x) * norm.gain + norm.bias)
    pre = [read @ w["w_enc"] + w["b_enc"] for read, w in zip(reads, weights, strict=True)]
    features = [p.relu() * (p > w["threshold"]) for p, w in zip(pre, weights, strict=True)]
    for layer, w in enumerate(weights):
        torch.testing.assert_close(found[layer].encode(streams[layer]), features[layer], atol=1e-4, rtol=1e-4)
        out = w["b_dec"] + sum(
            features[source] @ weights[source]["w_dec"][:, layer] for source in range(layer + 1)
        )
        if affine:
            out = out + reads[layer] @ w["affine_skip_connection"]
        torch.testing.assert_close(found.written(layer, features, streams[layer]), out, atol=1e-4, rtol=1e-4)
    with pytest.raises(InputError, match=r"interp\.load_transcoders reads the first"):
        interp.load_sae(tmp_path, model)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"type": "crosscoder"}, "'crosscoder' of the architecture 'jump_relu', which is not supported"),
        ({"architecture": "topk"}, "of the architecture 'topk', which is not supported"),
        ({"model_name": "google/gemma-3-1b-pt"}, "is for 'gemma-3-1b-pt'"),
        ({"hf_hook_point_in": "model.layers.{all}.output"}, "from what an MLP reads"),
        ({"hf_hook_point_out": "model.layers.{all}.mlp.output"}, "from what an MLP reads"),
    ],
)
def test_others_of_gemma_scope_2_are_refused_by_name(tmp_path, said, words):
    model = interp.load_model(
        family_model("gemma3_text"), device="cpu", self_check=False, name="google/gemma-3-270m"
    )
    gemma_scope_folder(tmp_path, model, affine=False, **said)
    with pytest.raises(InputError, match=words):
        load_transcoders(tmp_path, model)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model_kind": "transcoder_set"}, "'transcoder_set', which is not supported"),
        ({"feature_input_hook": "hook_resid_pre"}, "from what an MLP reads"),
        ({"feature_output_hook": "hook_resid_post"}, "from what an MLP reads"),
        ({"interp": {}, "model_name": "other"}, "is for 'other'"),
        ({"interp": {"unembed_sha256": "0" * 64}}, "another unembedding"),
    ],
)
def test_what_is_refused(load, tmp_path, change, words):
    model = load("tiny-qwen3")
    write_transcoders(tmp_path, random_cross_layer(model, lambda n: Standard()))
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **change}))
    with pytest.raises(InputError, match=words):
        load_transcoders(tmp_path, model)


def test_damaged_folders_are_refused(load, tmp_path):
    model = load("tiny-qwen3")
    whole = random_cross_layer(model, lambda n: Standard())
    with pytest.raises(InputError, match="for each layer but the last"):
        CrossLayerTranscoder(whole.layers, whole.above[1:])
    write_transcoders(tmp_path, whole)
    file, text = tmp_path / "config.yaml", (tmp_path / "config.yaml").read_text()
    for wrong in ("a: &x [1]\nb: *x", "[1, 2", "- 1"):
        file.write_text(wrong)
        with pytest.raises(InputError, match="cannot be read"):
            load_transcoders(tmp_path, model)
    file.unlink()
    with pytest.raises(InputError, match=r"cannot be read \(FileNotFoundError"):
        load_transcoders(tmp_path, model)
    file.write_text(text)
    short = load_file(tmp_path / "W_dec_0.safetensors")["W_dec_0"][:, 1:].contiguous()
    save_file({"W_dec_0": short}, tmp_path / "W_dec_0.safetensors")
    with pytest.raises(InputError, match="write to 2 layers, not to the 3"):
        load_transcoders(tmp_path, model)
    (tmp_path / "W_enc_1.safetensors").unlink()
    with pytest.raises(InputError, match=r"has files of layers \[0, 2\], but"):
        load_transcoders(tmp_path, model)


@pytest.mark.parametrize("family", ["gpt2", "gemma3_text"])
def test_what_an_mlp_gives_before_a_norm_behind_it_is_no_output(tmp_path, family):
    """mlp.hook_out is what the MLP adds to the stream, where no norm stands behind it."""
    model = interp.load_model(family_model(family), device="cpu", self_check=False, name="m")
    write_transcoders(tmp_path, random_cross_layer(model, lambda n: Standard()))
    file = tmp_path / "config.yaml"
    file.write_text(file.read_text().replace("hook_mlp_out", "mlp.hook_out"))
    if family == "gpt2":
        assert isinstance(load_transcoders(tmp_path, model), CrossLayerTranscoder)
    else:
        with pytest.raises(InputError, match="before the norm behind it"):
            load_transcoders(tmp_path, model)
