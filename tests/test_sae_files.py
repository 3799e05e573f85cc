"""SAELens folders: both layouts, written and read, and refused for what they are not for.

The layouts, and that SAELens computes the same features from what is written here, were checked with
sae-lens 6.54.12 in an environment of its own.
"""

from __future__ import annotations

import copy
import json

import pytest
import torch
from safetensors.torch import save_file

import interp
from interp.errors import InputError, SiteError
from interp.saes import sources
from interp.saes.activations import BatchTopK, JumpReLU, Standard, TopK
from interp.saes.files import read_sae, write_sae
from test_saes import make

FOLDED = {"fold_value_biases": True}
THRESHOLD = torch.linspace(0, 1, 40)


@pytest.mark.parametrize("site", ["resid_post", "z"])
@pytest.mark.parametrize(
    "activation", [Standard(), TopK(5), BatchTopK(5, 0.4), JumpReLU(THRESHOLD)], ids=lambda a: a.kind
)
def test_what_is_written_reads_back(load, tmp_path, site, activation):
    model = load("demo-gpt2")
    sae = make(model, site, activation=activation, normalise="layer_norm", apply_b_dec_to_input=False)
    write_sae(tmp_path / "sae", sae)
    again = read_sae(tmp_path / "sae", model)
    x = torch.randn(9, sae.d_in, generator=torch.Generator().manual_seed(0))
    assert torch.equal(again.encode(x), sae.encode(x))
    assert torch.equal(again.reconstruct(x), sae.reconstruct(x))
    assert (again.address, again.model, again.unembed_sha256) == (
        sae.address,
        sae.model,
        sae.unembed_sha256,
    )
    with pytest.raises(InputError, match="already"):
        write_sae(tmp_path / "sae", sae)


def flat_folder(folder, sae, **changes):
    """A folder as SAELens wrote it before version 6."""
    weights = {"W_enc": sae.W_enc, "b_enc": sae.b_enc, "W_dec": sae.W_dec, "b_dec": sae.b_dec}
    config = {
        "architecture": "standard",
        "d_in": sae.d_in,
        "d_sae": sae.n_features,
        "activation_fn_str": "relu",
        "apply_b_dec_to_input": True,
        "finetuning_scaling_factor": False,
        "model_name": "demo-gpt2",
        "hook_name": str(sae.address),
        "hook_layer": sae.address.layer,
        "hook_head_index": None,
        "normalize_activations": "none",
        **changes,
    }
    folder.mkdir()
    save_file(weights, folder / "sae_weights.safetensors")
    (folder / "cfg.json").write_text(json.dumps(config))
    return folder


def test_the_flat_layout(load, tmp_path):
    model = load("demo-gpt2")
    sae = make(model, activation=Standard())
    x = 3 * torch.randn(5, sae.d_in, generator=torch.Generator().manual_seed(0))

    standard = read_sae(flat_folder(tmp_path / "a", sae), model)
    assert torch.equal(standard.encode(x), sae.encode(x))

    top = {"activation_fn_str": "topk", "activation_fn_kwargs": {"k": 5}}
    assert read_sae(flat_folder(tmp_path / "b", sae, **top), model).activation == TopK(5)

    scaled = flat_folder(tmp_path / "c", sae, normalize_activations=True)
    with pytest.raises(InputError, match="scale"):
        read_sae(scaled, model)
    found = read_sae(scaled, model, scale=0.5)
    torch.testing.assert_close(found.W_dec, sae.W_dec / 0.5)
    features = (0.5 * x - sae.b_dec) @ sae.W_enc + sae.b_enc
    torch.testing.assert_close(found.encode(x), features.relu(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        found.reconstruct(x), (features.relu() @ sae.W_dec + sae.b_dec) / 0.5, atol=1e-4, rtol=1e-4
    )

    with pytest.raises(InputError, match="takes no scale"):
        read_sae(tmp_path / "a", model, scale=2.0)


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"model_name": "gpt2-small"}, InputError, "gpt2-small"),
        ({"hook_name": "blocks.1.ln2.hook_normalized"}, SiteError, "no site here"),
        ({"hook_name": "blocks.9.hook_resid_post"}, InputError, "6 layers"),
        ({"hook_name": "blocks.1.mlp.hook_post"}, InputError, "width"),
        ({"architecture": "gated"}, InputError, r"cannot be read \(KeyError: 'r_mag'\)"),
        ({"architecture": "matryoshka"}, InputError, "'matryoshka' is not supported"),
        ({"architecture": "jumprelu_transcoder"}, InputError, "a transcoder"),
        (
            {"hook_name": "blocks.1.hook_resid_mid", "hook_name_out": "blocks.1.hook_mlp_out", "d_out": 64},
            InputError,
            "a transcoder, from 'blocks.1.hook_resid_mid' to 'blocks.1.hook_mlp_out'",
        ),
        ({"is_transcoder": True, "out_hook_point": "blocks.1.hook_mlp_out"}, InputError, "a transcoder"),
        ({"model_from_pretrained_kwargs": {"checkpoint_value": 3000}}, InputError, "checkpoint_value=3000"),
        (
            {
                "hook_name": "blocks.1.attn.hook_z",
                "model_from_pretrained_kwargs": {"fold_value_biases": True},
            },
            InputError,
            "fold_value_biases=True",
        ),
        ({"activation_fn_str": "tanh-relu"}, InputError, "tanh-relu"),
        ({"hook_head_index": 3}, InputError, "single head"),
        ({"d_sae": 41}, InputError, "damaged"),
        ({"model_name": None}, InputError, "not named"),
    ],
)
def test_what_is_not_for_this_model_is_refused(load, tmp_path, changes, error, match):
    model = load("demo-gpt2")
    folder = flat_folder(tmp_path / "sae", make(model), **changes)
    with pytest.raises(error, match=match):
        read_sae(folder, model)


def test_no_folder_and_a_damaged_one(load, tmp_path):
    model = load("demo-gpt2")
    with pytest.raises(InputError, match="no SAE"):
        read_sae(tmp_path, model)
    folder = flat_folder(tmp_path / "sae", make(model))
    (folder / "sae_weights.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot be read"):
        read_sae(folder, model)


def test_rescaled_features_count_in_units_of_decoder_length(load, tmp_path):
    """SAELens with rescale_acts_by_decoder_norm: the k largest of pre-activation x length."""
    model = load("demo-gpt2")
    sae = make(model, activation=TopK(5))
    top = {"architecture": "topk", "k": 5, "rescale_acts_by_decoder_norm": True}
    found = read_sae(flat_folder(tmp_path / "sae", sae, **top), model)
    x = torch.randn(5, sae.d_in, generator=torch.Generator().manual_seed(0))
    norm = sae.W_dec.norm(dim=-1)
    features = TopK(5)(((x - sae.b_dec) @ sae.W_enc + sae.b_enc) * norm)
    torch.testing.assert_close(found.encode(x), features)
    torch.testing.assert_close(found.reconstruct(x), features / norm @ sae.W_dec + sae.b_dec)


def test_a_dead_feature_of_a_rescaled_dictionary_is_0(load, tmp_path):
    """Not NaN, neither it nor any other."""
    model = load("demo-gpt2")
    sae = make(model, activation=TopK(5))
    sae.W_dec[[3, 7]] = 0.0
    top = {"architecture": "topk", "k": 5, "rescale_acts_by_decoder_norm": True}
    found = read_sae(flat_folder(tmp_path / "sae", sae, **top), model)
    x = torch.randn(50, sae.d_in, generator=torch.Generator().manual_seed(0))
    features = found.encode(x)
    assert features.isfinite().all()
    assert not features[:, [3, 7]].any()
    norm = sae.W_dec.norm(dim=-1)
    wanted = TopK(5)(((x - sae.b_dec) @ sae.W_enc + sae.b_enc) * norm)
    torch.testing.assert_close(features, wanted)
    assert found.reconstruct(x).isfinite().all()


def test_a_dictionary_of_centred_weights_sees_what_it_learned_from(load, tmp_path):
    """The features are those of activations in the model whose writing weights are centred."""
    model = load("demo-gpt2")
    sae = make(model, activation=Standard())
    kwargs = {"model_from_pretrained_kwargs": {"center_writing_weights": True, "fold_ln": True}}
    found = read_sae(flat_folder(tmp_path / "sae", sae, **kwargs), model)
    assert found.centred
    prompt = "The capital of France is"
    here = model.run_with_cache(prompt, [sae.address])[sae.address]
    there = _centred(model).run_with_cache(prompt, [sae.address])[sae.address]
    assert (here - there).abs().max() > 0.01, "the mean is not 0 in the weights as they are"
    torch.testing.assert_close(found.encode(here), sae.encode(there), atol=1e-4, rtol=1e-3)
    off = here - found.reconstruct(here) - (there - sae.reconstruct(there))
    assert off.abs().max() < 1e-4

    write_sae(tmp_path / "again", found)
    assert read_sae(tmp_path / "again", model).centred
    assert not read_sae(tmp_path / "sae", model, centred=False).centred
    folder = flat_folder(tmp_path / "rms", make(load("demo-qwen3")), **{**kwargs, "model_name": "demo-qwen3"})
    assert not read_sae(folder, load("demo-qwen3")).centred, "TransformerLens leaves models of RMSNorms alone"


def _centred(model):
    """The model with the mean over d_model taken off all that is written to the residual stream."""
    hf_model = copy.deepcopy(model.hf_model)
    with torch.no_grad():
        inside = hf_model.transformer
        written = [inside.wte.weight, inside.wpe.weight]
        for block in inside.h:
            for linear in (block.attn.c_proj, block.mlp.c_proj):
                written += [linear.weight, linear.bias]
        unembedding = inside.wte.weight.clone()
        for weight in written:
            weight -= weight.mean(-1, keepdim=True)
        hf_model.lm_head.weight = torch.nn.Parameter(unembedding)  # tied before; it is not written
    return interp.load_model(hf_model, model.tokenizer)


def test_known_releases_of_centred_weights(load, tmp_path, monkeypatch):
    model = load("demo-gpt2")
    folder = flat_folder(tmp_path / "sae", make(model))
    monkeypatch.setattr(sources, "fetched", lambda *_: folder)
    assert interp.load_sae("jbloom/GPT2-Small-SAEs-Reformatted:blocks.1.hook_resid_post", model).centred
    assert not interp.load_sae("org/other:blocks.1.hook_resid_post", model).centred
