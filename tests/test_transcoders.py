"""Transcoders: trained on a known map, measured where the answer is known, and exchanged as files."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import interp
from conftest import run
from families import family_model
from interp.errors import InputError, SiteError
from interp.runs import read_run
from interp.saes.activations import BatchTopK, JumpReLU, Standard, TopK
from interp.saes.metrics import feature_cosine
from interp.saes.recipe import Recipe
from interp.saes.sources import load_transcoders
from interp.saes.train_transcoders import train_transcoders
from interp.saes.training import train_side_by_side
from interp.saes.transcoder import InputNorm, Transcoders, mlp_norm
from interp.saes.transcoder_files import read_transcoders, write_transcoders
from interp.saes.transcoder_metrics import measure_transcoders
from interp.zoo.making.transcoder_card import SOURCES, measure, place, write_card
from test_attribution_graph import random_transcoders, two_steps
from test_saes import sequences

__all__ = ["two_steps"]  # a fixture

SMALL = ["training=24", "held_out=2", "length=32", "batch_size=128", "n_features=32", "k=4", "steps=6"]


@pytest.mark.parametrize("kind", ["topk", "batchtopk", "jumprelu"])
def test_planted_features_of_a_map_are_recovered(kind):
    """Sparse features with one direction each to read and another to write: both are found."""
    draw = torch.Generator().manual_seed(0)
    n, d_in, d_out = 24, 16, 20
    read, write = (
        torch.nn.functional.normalize(torch.randn(n, d, generator=draw), dim=-1) for d in (d_in, d_out)
    )

    def batches(step: int):
        g = torch.Generator().manual_seed(step)
        features = torch.rand(256, n, generator=g) * (torch.rand(256, n, generator=g) < 0.08)
        return [(features @ read * 3, features @ write)]

    steps, rate = (1800, 5e-3) if kind == "jumprelu" else (500, 8e-3)  # with a penalty that every seed needs
    recipe = Recipe(
        kind=kind, n_features=32, k=2, penalty=0.06, steps=steps, learning_rate=rate, silent_after=50
    )
    ((weights, losses),) = train_side_by_side(batches, recipe)
    assert (feature_cosine(write, weights.W_dec) > 0.9).double().mean() >= 0.9
    assert losses[-50:, 0].mean() < 0.15
    x, y = batches(1)[0]
    pre = weights.activation(x @ weights.W_enc + weights.b_enc)
    error = y - pre @ weights.W_dec - weights.b_dec
    assert error.square().sum() < 0.2 * (y - y.mean(0)).square().sum(), "in units of the activations"


def test_a_linear_map_is_left_to_the_skip_connection():
    draw = torch.Generator().manual_seed(0)
    linear = torch.randn(16, 12, generator=draw)

    def batches(step: int):
        x = torch.randn(256, 16, generator=torch.Generator().manual_seed(step)) * 2
        return [(x, x @ linear + 1)]

    recipe = Recipe(kind="topk", n_features=16, k=1, steps=300, learning_rate=1e-3)
    ((weights, losses),) = train_side_by_side(batches, recipe, skip=True)
    assert losses[-1, 0] < 0.01
    torch.testing.assert_close(weights.W_skip, linear, atol=0.2, rtol=0.05)


def test_all_layers_are_trained_at_once_from_one_stream(load):
    model = load("tiny-qwen3")
    recipe = Recipe(kind="topk", n_features=20, k=3, steps=12, seed=5)
    options = {"batch_size": 32, "buffered": 4}
    found, losses = train_transcoders(model, sequences(model), recipe, skip=True, **options)
    found.check_fits(model)
    assert losses.shape[:2] == (model.arch.n_layers, 12)
    assert found[1].W_skip is not None
    assert found[1].norm.kind == "rms_norm"
    again, _ = train_transcoders(model, sequences(model), recipe, skip=True, **options)
    assert torch.equal(found[1].W_enc, again[1].W_enc), "the same seed gives the same weights"
    assert not torch.equal(found[0].W_dec, found[1].W_dec)
    with pytest.raises(SiteError, match="resid_mid"):
        train_transcoders(load("tiny-neox"), sequences(model), recipe, **options)


@pytest.mark.parametrize("family", ["gpt2", "qwen3", "gemma3_text", "olmo2"])
def test_the_norm_before_an_mlp_is_found(family):
    model = interp.load_model(family_model(family), device="cpu", self_check=False)
    found = mlp_norm(model, 1)
    x = torch.randn(3, model.arch.d_model, generator=torch.Generator().manual_seed(2)) * 3 + 1
    kinds = {"gpt2": "layer_norm", "olmo2": "none"}
    assert found.norm.kind == kinds.get(family, "rms_norm")
    if found.norm.kind != "none":
        module = model.hf_model.get_submodule(
            {"gpt2": "transformer.h.1.ln_2", "qwen3": "model.layers.1.post_attention_layernorm"}.get(
                family, "model.layers.1.pre_feedforward_layernorm"
            )
        )
        torch.testing.assert_close(
            found.norm(x) * found.gain + found.bias, module(x).detach(), atol=1e-5, rtol=1e-5
        )


# ---- measuring ----


def test_transcoders_that_are_the_mlps_lose_nothing(two_steps):
    model, transcoders = two_steps
    draw = np.random.default_rng(0)
    text = [[0, *draw.integers(1, 32, 15).tolist()] for _ in range(6)]
    result = measure_transcoders(model, transcoders, text)
    assert result.ce_all == pytest.approx(result.ce_clean, abs=1e-5)
    assert result.ce_layer == pytest.approx([result.ce_clean] * 3, abs=1e-5)
    assert np.isnan(result.explained_variance[0]), "its MLP writes nothing"
    assert result.explained_variance[1:] == pytest.approx([1.0, 1.0], abs=1e-4)
    assert abs(result.ce_all_mean - result.ce_clean) > 0.5, "the means are no MLPs"


def test_each_reads_what_those_below_have_made_of_the_stream(load):
    """With all replaced, the cross-entropy is that of runs in which each is replaced after the others."""
    model = load("tiny-gpt2")
    transcoders = random_transcoders(model, lambda n: TopK(4))
    text = sequences(model, n=3, length=9)
    result = measure_transcoders(model, transcoders, text)
    clean = model.run_with_cache(text, ["mlp_out"])
    edits = []
    for layer in range(model.arch.n_layers):
        x = model.run_with_cache(text, [("resid_mid", layer)], edits)["resid_mid", layer]
        value = transcoders[layer].replace_mlp(x)
        value[:, 0] = clean["mlp_out", layer][:, 0]
        edits.append(interp.Edit.set("mlp_out", layer, value=value))
    logits = model.forward(text, edits)[:, 1:-1].double().log_softmax(-1)
    nats = -logits.gather(-1, torch.tensor(text)[:, 2:, None]).mean()
    assert result.ce_all == pytest.approx(float(nats), rel=1e-5)
    assert result.l0.tolist() == pytest.approx([4.0] * model.arch.n_layers, abs=0.5)


# ---- files ----


@pytest.mark.parametrize("skip", [False, True], ids=["", "skip"])
@pytest.mark.parametrize(
    "activation", [Standard(), TopK(5), BatchTopK(5, 0.3), JumpReLU(torch.linspace(0, 1, 24))]
)
def test_what_is_written_is_read_back(load, tmp_path, activation, skip):
    model = load("tiny-qwen3")
    transcoders = random_transcoders(model, lambda n: activation, skip=skip)
    density = np.full((model.arch.n_layers, 24), 0.25)
    write_transcoders(tmp_path, transcoders, density=density, training={"steps": 3})
    found = load_transcoders(tmp_path, model)
    x = model.run_with_cache(sequences(model, n=2), [("resid_mid", 1)])["resid_mid", 1]
    torch.testing.assert_close(found[1].replace_mlp(x), transcoders[1].replace_mlp(x))
    config = json.loads((tmp_path / "layer_1" / "cfg.json").read_text())
    kind = {"standard": "", "topk": "topk_"}.get(activation.kind, "jumprelu_")
    assert config["architecture"] == f"{kind}{'skip_' if skip else ''}transcoder"
    assert config["metadata"]["hook_name"] == "blocks.1.ln2.hook_normalized"
    assert config["metadata"]["hook_name_out"] == "blocks.1.hook_mlp_out"
    if skip:
        stored = load_file(tmp_path / "layer_1" / "sae_weights.safetensors")["W_skip"]
        assert torch.equal(stored, transcoders[1].W_skip.T), "as SAELens has it: [d_out, d_in]"
    with pytest.raises(InputError, match="another folder"):
        write_transcoders(tmp_path, transcoders)


@pytest.mark.parametrize("family", ["gpt2", "gemma3_text"])
def test_one_that_reads_behind_the_gain_is_read_as_one_that_reads_before_it(tmp_path, family):
    """mlp.hook_in is what the MLP reads: the norm's output with its gain and bias."""
    model = interp.load_model(family_model(family), device="cpu", self_check=False, name="m")
    transcoders = random_transcoders(model, lambda n: Standard(), skip=True)
    write_transcoders(tmp_path, transcoders)
    for layer in range(model.arch.n_layers):
        file = tmp_path / f"layer_{layer}" / "cfg.json"
        config = json.loads(file.read_text())
        config["metadata"]["hook_name"] = f"blocks.{layer}.mlp.hook_in"
        file.write_text(json.dumps(config))
    found, one = read_transcoders(tmp_path, model)[1], transcoders[1]
    norm = mlp_norm(model, 1)
    x = torch.randn(4, model.arch.d_model, generator=torch.Generator().manual_seed(1))
    read = norm.norm(x) * norm.gain + norm.bias
    pre = (read @ one.W_enc + one.b_enc).relu()
    torch.testing.assert_close(
        found.replace_mlp(x), pre @ one.W_dec + one.b_dec + read @ one.W_skip, atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"architecture": "crosscoder"}, "no transcoder that is known"),
        ({"normalize_activations": "layer_norm"}, "normalises what it reads"),
        ({"metadata.hook_name": "blocks.0.hook_resid_pre"}, "from what an MLP reads"),
        ({"metadata.hook_name_out": "blocks.1.hook_mlp_out"}, "from what an MLP reads"),
        ({"metadata.unembed_sha256": "0" * 64}, "another unembedding"),
        ({"metadata.unembed_sha256": None, "metadata.model_name": "other"}, "is for 'other'"),
    ],
)
def test_what_is_refused(load, tmp_path, change, words):
    model = load("tiny-qwen3")
    write_transcoders(tmp_path, random_transcoders(model, lambda n: Standard()))
    for layer in range(model.arch.n_layers):
        file = tmp_path / f"layer_{layer}" / "cfg.json"
        config = json.loads(file.read_text())
        for key, value in change.items():
            place = config["metadata"] if key.startswith("metadata.") else config
            place[key.removeprefix("metadata.")] = value
        file.write_text(json.dumps(config))
    with pytest.raises(InputError, match=words):
        load_transcoders(tmp_path, model)


def test_what_is_no_set_of_transcoders_is_refused(load, tmp_path):
    model = load("tiny-qwen3")
    with pytest.raises(InputError, match="holds no folder 'layer_0'"):
        load_transcoders(tmp_path, model)
    layers = random_transcoders(model, lambda n: Standard()).layers
    with pytest.raises(InputError, match="all layers of a model"):
        Transcoders(layers[1:])
    with pytest.raises(InputError, match="W_skip"):
        replace(layers[0], W_skip=torch.zeros(3, 3))
    with pytest.raises(InputError, match="is no norm"):
        InputNorm(kind="batch_norm")
    write_transcoders(tmp_path, Transcoders(layers))
    save_file({"W_enc": torch.zeros(2, 2)}, tmp_path / "layer_0" / "sae_weights.safetensors")
    with pytest.raises(InputError, match="cannot be read"):
        load_transcoders(tmp_path, model)
    with pytest.raises(InputError, match=r"load_transcoders reads"):
        interp.load_sae(tmp_path / "layer_1", model)


@pytest.mark.slow
@pytest.mark.parametrize("name", SOURCES)
def test_those_in_the_package_are_what_their_card_says(load, tmp_path, name):
    folder = place(name)
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) < 3_000_000
    card = (folder / "README.md").read_text()
    shutil.copytree(folder, tmp_path / "copy")
    assert write_card(tmp_path / "copy").read_text() == card
    quality = json.loads((folder / "quality.json").read_text())
    found = measure(name)  # all that the card is of: other text is easier or harder
    assert found.n_tokens == quality["n_tokens"]
    assert found.ce_all == pytest.approx(quality["ce_all"], rel=1e-3)
    assert found.explained_variance == pytest.approx(quality["explained_variance"], rel=1e-3)
    assert found.l0 == pytest.approx(quality["l0"], rel=1e-3)


@pytest.mark.slow
def test_from_the_command_line(load, tmp_path):
    folder = tmp_path / "kept"
    arguments = ["--set", *SMALL, f"save_to={folder}", "save_dtype=float16", "--tag", "x", "--out", tmp_path]
    assert run("run", "train_transcoders", *arguments) == 0
    result = read_run(tmp_path / "train_transcoders" / "x").result
    model = load("demo-gpt2")
    found = load_transcoders(folder, model)
    assert found[2].W_dec.shape == (32, 192)
    _, held_out = interp.text.sequences.load_text(model, "demo", training=24, held_out=2, length=32)
    again = measure_transcoders(model, found, held_out)
    assert again.ce_all == pytest.approx(result.ce_all, rel=1e-6)
    assert run("run", "train_transcoders", *arguments[:-4], "--tag", "y", "--out", tmp_path) == 2
