"""Dictionaries as others publish them, made here in their formats, against each format's own forward in a few
lines of its own names."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn.functional import linear

import interp
from families import family_model
from interp.errors import InputError
from interp.saes.published.modules import hook_of

N = 40  # features


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def activations(d_in: int) -> torch.Tensor:
    return 2 * drawn(30, d_in, seed=9) + 1


def assert_same(sae, x, features, reconstruction) -> None:
    """Features and reconstruction of `sae` are those of the format's own forward."""
    assert (features > 0).any(0).sum() > N / 2
    torch.testing.assert_close(sae.encode(x), features, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(sae.reconstruct(x), reconstruction, atol=1e-5, rtol=1e-5)


def top_k(pre: torch.Tensor, k: int) -> torch.Tensor:
    values, where = pre.relu().topk(k)
    return torch.zeros_like(pre).scatter(-1, where, values)


def jump(pre: torch.Tensor, threshold: torch.Tensor | float) -> torch.Tensor:
    return (pre > threshold) * pre.relu()


# ---- SAELens ----


def sae_lens_folder(folder: Path, kind: str, weights: dict, d: int, **more) -> Path:
    folder.mkdir()
    metadata = {"model_name": "demo-gpt2", "hook_name": "blocks.2.hook_resid_post"}
    config = {
        "architecture": kind,
        "d_in": d,
        "d_sae": N,
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "metadata": metadata,
        **more,
    }
    (folder / "cfg.json").write_text(json.dumps(config))
    save_file(weights, folder / "sae_weights.safetensors")
    return folder


def test_a_gated_dictionary_of_sae_lens(load, tmp_path):
    model, d = load("demo-gpt2"), 192
    w = {
        "W_enc": drawn(d, N) / d**0.5,
        "W_dec": drawn(N, d, seed=1) / d**0.5,
        "b_dec": drawn(d, seed=2) / 5,
        "r_mag": drawn(N, seed=3) / 3,
        "b_gate": drawn(N, seed=4) / 2,
        "b_mag": drawn(N, seed=5) / 2,
    }
    sae = interp.load_sae(sae_lens_folder(tmp_path / "gated", "gated", w, d), model)
    x = activations(d)
    u = (x - w["b_dec"]) @ w["W_enc"]
    gate, magnitude = u + w["b_gate"] > 0, (u * w["r_mag"].exp() + w["b_mag"]).relu()
    assert (gate & (magnitude == 0)).any()
    assert (~gate & (magnitude > 0)).any(), "gates and magnitudes differ both ways"
    features = gate * magnitude
    assert_same(sae, x, features, features @ w["W_dec"] + w["b_dec"])
    interp.write_sae(tmp_path / "again", sae)
    torch.testing.assert_close(interp.read_sae(tmp_path / "again", model).encode(x), sae.encode(x))


@pytest.mark.parametrize("kind", ["batchtopk", "matryoshka_batchtopk"])
def test_a_batch_top_k_dictionary_that_was_kept_in_training(load, tmp_path, kind):
    d = 192
    w = {
        "W_enc": drawn(d, N) / d**0.5,
        "b_enc": drawn(N, seed=3) / 5,
        "W_dec": drawn(N, d, seed=1) / 9,
        "b_dec": drawn(d, seed=2) / 5,
        "topk_threshold": torch.tensor(0.4, dtype=torch.double),
    }
    folder = sae_lens_folder(tmp_path / "b", kind, w, d, k=5, rescale_acts_by_decoder_norm=True)
    sae, x = interp.load_sae(folder, load("demo-gpt2")), activations(d)
    norm = w["W_dec"].norm(dim=-1)
    features = jump(((x - w["b_dec"]) @ w["W_enc"] + w["b_enc"]) * norm, 0.4)
    assert_same(sae, x, features, features / norm @ w["W_dec"] + w["b_dec"])


@pytest.mark.parametrize("kind", ["temporal", "matching_pursuit", "abstopk"])
def test_kinds_that_are_something_else_are_refused_by_name(load, tmp_path, kind):
    w = {"W_enc": drawn(192, N), "b_enc": drawn(N), "W_dec": drawn(N, 192), "b_dec": drawn(192)}
    folder = sae_lens_folder(tmp_path / "x", kind, w, 192)
    with pytest.raises(InputError, match=f"'{kind}' is not supported, as its features"):
        interp.load_sae(folder, load("demo-gpt2"))


def test_a_cross_layer_transcoder_is_refused_by_name(load, tmp_path):
    save_file({"W_enc_0": drawn(3, 2)}, tmp_path / "W_enc_0.safetensors")
    with pytest.raises(InputError, match=r"a cross-layer transcoder, and no SAE; interp\.load_transcoders"):
        interp.load_sae(tmp_path, load("demo-gpt2"))


def test_a_temporal_sae_is_refused_by_name(load, tmp_path):
    """As canrager/temporalSAEs keeps one: conf.yaml and latest_ckpt.safetensors."""
    (tmp_path / "conf.yaml").write_text("sae: {kval_topk: 3}")
    save_file({"D": drawn(3, 2)}, tmp_path / "latest_ckpt.safetensors")
    with pytest.raises(InputError, match="a temporal SAE, which is not supported, as its features depend"):
        interp.load_sae(tmp_path, load("demo-gpt2"))


# ---- Gemma Scope ----


@pytest.fixture(scope="module")
def gemmas() -> dict[str, interp.Model]:
    families = ("gemma2", "gemma3_text")
    return {name: interp.load_model(family_model(name), device="cpu", self_check=False) for name in families}


def gemma_weights(d: int, d_out: int | None = None) -> dict[str, torch.Tensor]:
    return {
        "W_enc": drawn(d, N) / d**0.5,
        "b_enc": drawn(N, seed=1) / 5,
        "W_dec": drawn(N, d_out or d, seed=2) / d**0.5,
        "b_dec": drawn(d_out or d, seed=3) / 5,
        "threshold": drawn(N, seed=4).abs() / 3,
    }


@pytest.mark.parametrize(
    ("place", "hook"),
    [
        ("gemma-scope-2b-pt-res/layer_1/width_16k/average_l0_71", "blocks.1.hook_resid_post"),
        ("gemma-scope-2b-pt-mlp/layer_0/width_16k/average_l0_9", "blocks.0.hook_mlp_out"),
        ("models--google--gemma-scope-9b-it-att/layer_1/width_16k/x", "blocks.1.attn.hook_z"),
    ],
)
def test_gemma_scope(gemmas, tmp_path, place, hook):
    model = gemmas["gemma2"]
    folder = tmp_path / place
    folder.mkdir(parents=True)
    address = interp.Address.parse(hook)
    d = model.arch.n_heads * model.arch.d_head if address.site == "z" else model.arch.d_model
    w = gemma_weights(d)
    np.savez(folder / "params.npz", **{name: value.numpy() for name, value in w.items()})
    with pytest.raises(InputError, match=r"is for 'gemma-2-\d"):
        interp.load_sae(folder, model)
    sae, x = interp.load_sae(folder, model, check_name=False), activations(d)
    assert sae.address == address
    features = jump(x @ w["W_enc"] + w["b_enc"], w["threshold"])
    assert_same(sae, x, features, features @ w["W_dec"] + w["b_dec"])
    assert sae.model == ("gemma-2-9b-it" if "9b" in place else "gemma-2-2b")


def test_gemma_scope_of_the_embedding_counts_in_units_before_its_factor(gemmas, tmp_path):
    model = gemmas["gemma2"]
    folder, d = tmp_path / "gemma-scope-2b-pt-res/embedding/width_4k/average_l0_6", model.arch.d_model
    folder.mkdir(parents=True)
    w = gemma_weights(d)
    np.savez(folder / "params.npz", **{name: value.numpy() for name, value in w.items()})
    sae, raw = interp.load_sae(folder, model, check_name=False), activations(d)
    assert str(sae.address) == "hook_embed"
    features = jump(raw @ w["W_enc"] + w["b_enc"], w["threshold"])
    assert_same(sae, raw * d**0.5, features, (features @ w["W_dec"] + w["b_dec"]) * d**0.5)


def test_params_that_say_nothing_need_the_hook_name(gemmas, tmp_path):
    model = gemmas["gemma2"]
    w = gemma_weights(model.arch.d_model)
    np.savez(tmp_path / "params.npz", **{name: value.numpy() for name, value in w.items()})
    with pytest.raises(InputError, match="give its hook name"):
        interp.load_sae(tmp_path, model, check_name=False)
    hook = "blocks.1.hook_resid_mid"
    assert str(interp.load_sae(tmp_path, model, check_name=False, hook_name=hook).address) == hook


@pytest.mark.parametrize(
    ("point", "hook"),
    [
        ("model.layers.1.output", "blocks.1.hook_resid_post"),
        ("model.layers.1.self_attn.o_proj.input", "blocks.1.attn.hook_z"),
        ("model.layers.0.post_feedforward_layernorm.output", "blocks.0.hook_mlp_out"),
    ],
)
def test_gemma_scope_2(gemmas, tmp_path, point, hook):
    model = gemmas["gemma3_text"]
    address = interp.Address.parse(hook)
    d = model.arch.n_heads * model.arch.d_head if address.site == "z" else model.arch.d_model
    w = gemma_weights(d)
    save_file({name.lower(): value for name, value in w.items()}, tmp_path / "params.safetensors")
    said = {"architecture": "jump_relu", "model_name": "gemma-v3-270m-pt", "hf_hook_point_in": point}
    (tmp_path / "config.json").write_text(json.dumps(said))
    sae, x = interp.load_sae(tmp_path, model, check_name=False), activations(d)
    assert (sae.address, sae.model) == (address, "gemma-3-270m")
    features = jump(x @ w["W_enc"] + w["b_enc"], w["threshold"])
    assert_same(sae, x, features, features @ w["W_dec"] + w["b_dec"])
    with pytest.raises(InputError, match="leave hook_name out"):
        interp.load_sae(tmp_path, model, check_name=False, hook_name="blocks.1.hook_mlp_out")


@pytest.mark.parametrize("skip", [False, True], ids=["", "affine"])
def test_transcoders_of_gemma_scope_2(gemmas, tmp_path, skip):
    """They read the output of the norm before the MLP, gain included."""
    model = gemmas["gemma3_text"]
    d, found = model.arch.d_model, []
    for layer in range(model.arch.n_layers):
        folder = tmp_path / f"layer_{layer}_width_16k_l0_small"
        folder.mkdir()
        w = {**gemma_weights(d), "affine_skip_connection": drawn(d, d, seed=6) / d}
        w = w if skip else {name: value for name, value in w.items() if "skip" not in name}
        found.append(w)
        save_file({name.lower(): value for name, value in w.items()}, folder / "params.safetensors")
        inside = f"model.layers.{layer}"
        said = {
            "architecture": "jump_relu",
            "model_name": "gemma-3-270m",
            "hf_hook_point_in": f"{inside}.pre_feedforward_layernorm.output",
            "hf_hook_point_out": f"{inside}.post_feedforward_layernorm.output",
            "affine_connection": skip,
        }
        (folder / "config.json").write_text(json.dumps(said))
    pattern = tmp_path / "layer_{layer}_width_16k_l0_small"
    transcoders = interp.load_transcoders(pattern, model, check_name=False)
    x = activations(d)
    for layer, (w, one) in enumerate(zip(found, transcoders, strict=True)):
        read = model.layers[layer].pre_feedforward_layernorm(x).detach()
        features = jump(read @ w["W_enc"] + w["b_enc"], w["threshold"])
        out = features @ w["W_dec"] + w["b_dec"] + (read @ w["affine_skip_connection"] if skip else 0)
        torch.testing.assert_close(one.encode(x), features, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(one.replace_mlp(x), out, atol=1e-5, rtol=1e-4)
    with pytest.raises(InputError, match="This is a transcoder"):
        interp.load_sae(tmp_path / "layer_0_width_16k_l0_small", model, check_name=False)


def test_transcoders_of_gemma_scope(gemmas, tmp_path):
    """They read the residual stream behind the norm, without its gain."""
    model, d = gemmas["gemma2"], gemmas["gemma2"].arch.d_model
    w = gemma_weights(d)
    for layer in range(model.arch.n_layers):
        folder = tmp_path / f"gemma-scope-2b-pt-transcoders/layer_{layer}/width_16k/average_l0_76"
        folder.mkdir(parents=True)
        np.savez(folder / "params.npz", **{name: value.numpy() for name, value in w.items()})
    pattern = str(tmp_path / "gemma-scope-2b-pt-transcoders/layer_{layer}/width_16k/average_l0_76")
    found, x = interp.load_transcoders(pattern, model, check_name=False), activations(d)
    eps = model.layers[0].pre_feedforward_layernorm.eps
    read = x / (x.square().mean(-1, keepdim=True) + eps).sqrt()
    features = jump(read @ w["W_enc"] + w["b_enc"], w["threshold"])
    torch.testing.assert_close(found[1].encode(x), features, atol=1e-5, rtol=1e-4)


def test_others_of_gemma_scope_2_are_refused_by_name(gemmas, tmp_path):
    w = {**gemma_weights(8), "W_dec": drawn(N, 3, 8)}
    save_file({name.lower(): value for name, value in w.items()}, tmp_path / "params.safetensors")
    said = {"architecture": "jump_relu", "model_name": "x", "hf_hook_point_in": "model.layers.1.output"}
    (tmp_path / "config.json").write_text(json.dumps(said))
    with pytest.raises(InputError, match="a cross-layer transcoder or a crosscoder"):
        interp.load_sae(tmp_path, gemmas["gemma3_text"])
    (tmp_path / "config.json").write_text(json.dumps({**said, "architecture": "topk"}))
    with pytest.raises(InputError, match="'topk' of Gemma Scope 2 is not supported"):
        interp.load_sae(tmp_path, gemmas["gemma3_text"])


# ---- sparsify ----


def sparsify_folder(folder: Path, d: int, **said) -> dict[str, torch.Tensor]:
    folder.mkdir(parents=True)
    w = {
        "encoder.weight": drawn(N, d) / d**0.5,
        "encoder.bias": drawn(N, seed=1) / 5,
        "W_dec": drawn(N, d, seed=2) / d**0.5,
        "b_dec": drawn(d, seed=3) / 5,
    }
    if said.get("skip_connection"):
        w["W_skip"] = drawn(d, d, seed=4) / d
    save_file(w, folder / "sae.safetensors")
    config = {"activation": "topk", "expansion_factor": 32, "normalize_decoder": True, "num_latents": N}
    (folder / "cfg.json").write_text(json.dumps({**config, "k": 6, "d_in": d, **said}))
    (folder.parent / "config.json").write_text(json.dumps({"model": "us/demo-gpt2"}))
    return w


@pytest.mark.parametrize(
    ("name", "hook"), [("h.2", "blocks.2.hook_resid_post"), ("h.1.mlp", "blocks.1.hook_mlp_out")]
)
def test_sparsify(load, tmp_path, name, hook):
    model, d = load("demo-gpt2"), 192
    w = sparsify_folder(tmp_path / name, d)
    sae, x = interp.load_sae(tmp_path / name, model), activations(d)
    assert str(sae.address) == hook
    features = top_k(linear(x - w["b_dec"], w["encoder.weight"], w["encoder.bias"]), 6)
    assert_same(sae, x, features, features @ w["W_dec"] + w["b_dec"])


def test_transcoders_of_sparsify(load, tmp_path):
    model, d = load("demo-gpt2"), 192
    for layer in range(6):
        w = sparsify_folder(tmp_path / f"h.{layer}.mlp", d, transcode=True, skip_connection=True)
    found, x = interp.load_transcoders(str(tmp_path / "h.{layer}.mlp"), model), activations(d)
    read = model.layers[3].ln_2(x).detach()
    features = top_k(linear(read, w["encoder.weight"], w["encoder.bias"]), 6)
    out = features @ w["W_dec"] + w["b_dec"] + read @ w["W_skip"].mT
    torch.testing.assert_close(found[3].encode(x), features, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found[3].replace_mlp(x), out, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("said", "words"), [({"activation": "groupmax"}, "'groupmax'"), ({"signed": True}, "'signed'")]
)
def test_what_sparsify_has_and_is_not_read(load, tmp_path, said, words):
    sparsify_folder(tmp_path / "h.2", 192, **said)
    with pytest.raises(InputError, match=f"activation {words} of sparsify is not supported"):
        interp.load_sae(tmp_path / "h.2", load("demo-gpt2"))


def test_a_module_is_a_site_only_where_the_layout_says_so(load, gemmas):
    gpt2, gemma = load("demo-gpt2"), gemmas["gemma3_text"]
    assert hook_of("transformer.h.3.attn", gpt2) == "blocks.3.hook_attn_out"
    assert hook_of("transformer.h.3.mlp.c_proj.input", gpt2) == "blocks.3.mlp.hook_post"
    assert hook_of("wte", gpt2) == "hook_embed"
    assert hook_of("layers.3.input", gemma) == "blocks.3.hook_resid_pre"
    assert hook_of("layers.3.mlp", gemma) is None, "a norm stands behind it"
    assert hook_of("layers.3.mlp.input", gemma) is None
    assert hook_of("resid_post", gemma) is None


# ---- dictionary_learning ----

HERE = {"lm_name": "us/demo-gpt2", "layer": 2, "submodule_name": "resid_post_layer_2"}


def dictionary_folder(folder: Path, kind: str, state: dict, d: int, **said) -> Path:
    folder.mkdir()
    torch.save(state, folder / "ae.pt")
    trained = {"dict_class": kind, "activation_dim": d, "dict_size": N, **HERE, **said}
    (folder / "config.json").write_text(json.dumps({"trainer": trained, "buffer": {"ctx_len": 128}}))
    return folder


@pytest.mark.parametrize(
    "kind",
    [
        *("AutoEncoder", "AutoEncoderNew", "GatedAutoEncoder", "JumpReluAutoEncoder"),
        *("AutoEncoderTopK", "BatchTopKSAE", "MatryoshkaBatchTopKSAE"),
    ],
)
def test_dictionary_learning(load, tmp_path, kind):
    d = 192
    E, D = drawn(N, d) / d**0.5, drawn(d, N, seed=1) / d**0.5  # as torch keeps linear maps
    b, c = drawn(N, seed=2) / 5, drawn(d, seed=3) / 5
    more = {"k": torch.tensor(5, dtype=torch.int), "threshold": torch.tensor(0.4)}
    linears = {"encoder.weight": E, "decoder.weight": D}
    matrices = {"W_enc": E.T.contiguous(), "b_enc": b, "W_dec": D.T.contiguous(), "b_dec": c}
    r_mag, mag = drawn(N, seed=4) / 3, drawn(N, seed=5) / 2
    jumps = drawn(N, seed=6).abs() / 3
    state = {
        "AutoEncoder": {**linears, "encoder.bias": b, "bias": c},
        "AutoEncoderNew": {**linears, "encoder.bias": b, "decoder.bias": c},
        "GatedAutoEncoder": {
            **linears,
            "decoder_bias": c,
            "r_mag": r_mag,
            "gate_bias": b,
            "mag_bias": mag,
        },
        "JumpReluAutoEncoder": {**matrices, "threshold": jumps},
        "AutoEncoderTopK": {**linears, "encoder.bias": b, "b_dec": c, **more},
        "BatchTopKSAE": {**linears, "encoder.bias": b, "b_dec": c, **more},
        "MatryoshkaBatchTopKSAE": {**matrices, **more, "group_sizes": torch.tensor([10, 30])},
    }[kind]
    said = {"k": 5} if "TopK" in kind else {}
    sae = interp.load_sae(dictionary_folder(tmp_path / kind, kind, state, d, **said), load("demo-gpt2"))
    x = activations(d)
    pre = linear(x if kind in ("AutoEncoderNew", "JumpReluAutoEncoder") else x - c, E)
    features = {
        "AutoEncoder": (pre + b).relu(),
        "AutoEncoderNew": (pre + b).relu(),
        "GatedAutoEncoder": (pre + b > 0) * (r_mag.exp() * pre + mag).relu(),
        "JumpReluAutoEncoder": jump(pre + b, jumps),
        "AutoEncoderTopK": top_k(pre + b, 5),
        "BatchTopKSAE": jump(pre + b, 0.4),
        "MatryoshkaBatchTopKSAE": jump(pre + b, 0.4),
    }[kind]
    reconstruction = linear(features, D) + c
    if kind == "AutoEncoder":  # its loader brings the decoder to length 1
        features = features * D.norm(dim=0)
    assert_same(sae, x, features, reconstruction)
    assert str(sae.address) == "blocks.2.hook_resid_post"


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ({"submodule_name": None}, "AutoEncoder", "give its hook name"),
        ({}, "IdentityDict", "'IdentityDict' of dictionary_learning"),
        ({}, "BatchTopKSAE", "before its threshold was found"),
        ({"k": 7}, "AutoEncoderTopK", "k=7, but the weights k=5"),
        ({"dict_size": 41}, "AutoEncoder", "damaged"),
    ],
)
def test_what_dictionary_learning_has_and_is_not_read(load, tmp_path, said, kind, words):
    linears = {"encoder.weight": drawn(N, 192), "decoder.weight": drawn(192, N), "encoder.bias": drawn(N)}
    more = {"bias": drawn(192)} if kind == "AutoEncoder" else {"b_dec": drawn(192)}
    more |= {"k": torch.tensor(5), "threshold": torch.tensor(-1.0)}
    folder = dictionary_folder(tmp_path / "x", kind, {**linears, **more}, 192, **said)
    with pytest.raises(InputError, match=words):
        interp.load_sae(folder, load("demo-gpt2"))


# ---- OpenAI's ----


@pytest.mark.parametrize("kind", ["ReLU", "TopK"])
def test_openai(load, tmp_path, kind):
    d = 192
    W, D = drawn(N, d) / d**0.5, drawn(d, N, seed=1) / d**0.5
    b, c = drawn(N, seed=2) / 5, drawn(d, seed=3) / 5
    state = {
        "pre_bias": c,
        "latent_bias": b,
        "encoder.weight": W,
        "decoder.weight": D,
        "stats_last_nonzero": torch.zeros(N, dtype=torch.long),
        "activation": kind,
        "activation_state_dict": {"k": 6, "postact_fn": "ReLU"} if kind == "TopK" else {},
    }
    file = tmp_path / "resid_post_mlp_v5_32k" / "autoencoders" / "2.pt"
    file.parent.mkdir(parents=True)
    torch.save(state, file)
    sae, x = interp.load_sae(file, load("demo-gpt2"), check_name=False), activations(d)
    assert (str(sae.address), sae.model) == ("blocks.2.hook_resid_post", "gpt2")
    mean, std = x.mean(-1, keepdim=True), (x - x.mean(-1, keepdim=True)).std(-1, keepdim=True)
    if kind == "TopK":
        features = top_k(linear((x - mean) / (std + 1e-5) - c, W) + b, 6)
        assert_same(sae, x, features, (linear(features, D) + c) * std + mean)
    else:
        features = (linear(x - c, W) + b).relu()
        assert_same(sae, x, features, linear(features, D) + c)
    with pytest.raises(InputError, match=r"is for 'gpt2'"):
        interp.load_sae(file, load("demo-gpt2"))
    torch.save({**state, "activation": "Identity"}, file)
    with pytest.raises(InputError, match="The activation Identity"):
        interp.load_sae(file, load("demo-gpt2"))


# ---- files of strangers ----


class Harmful:
    def __reduce__(self):
        return print, ("this must not be run",)


def test_no_code_of_a_pickled_dictionary_is_run(load, tmp_path, capsys):
    torch.save({"pre_bias": Harmful()}, tmp_path / "x.pt")
    with pytest.raises(InputError, match="holds more than weights"):
        interp.load_sae(tmp_path / "x.pt", load("demo-gpt2"), hook_name="blocks.1.hook_resid_post")
    assert capsys.readouterr().out == ""


def test_weights_that_unpack_to_far_more_are_refused_unread(gemmas, tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "params.npz", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("W_enc.npy", bytes(10_000_000))
    monkeypatch.setattr(np, "load", lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(InputError, match="but unpacks to 10"):
        interp.load_sae(tmp_path, gemmas["gemma2"], hook_name="blocks.1.hook_resid_post")


def test_pickled_arrays_are_refused(gemmas, tmp_path):
    np.savez(tmp_path / "params.npz", W_enc=np.array([SimpleNamespace()], dtype=object))
    with pytest.raises(InputError, match="cannot be read"):
        interp.load_sae(tmp_path, gemmas["gemma2"], hook_name="blocks.1.hook_resid_post")
