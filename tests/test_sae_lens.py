"""Folders go both ways between this package and SAELens itself, and both compute the same from them.

    make test-saelens

SAELens cannot share an environment with TransformerLens 4, so these run in one of their own.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

import interp
from interp.errors import InputError
from interp.saes.activations import BatchTopK, JumpReLU, Standard, TopK
from interp.saes.layout import read_density
from test_saes import make

pytest.importorskip("sae_lens", reason="sae-lens is not installed; run make test-saelens")
pytestmark = pytest.mark.saelens

NORMALISE = ["none", "layer_norm", "constant_norm_rescale"]
KINDS = [Standard(), TopK(5), BatchTopK(5, 0.4), JumpReLU(torch.linspace(0, 1, 40))]


def activations(d_in: int) -> torch.Tensor:
    return torch.randn(3, 7, d_in, generator=torch.Generator().manual_seed(1)) * 2 + 1


def assert_same(ours, theirs, x: torch.Tensor) -> None:
    """Features and reconstructions, to the rounding of float32."""
    with torch.no_grad():
        features = theirs.encode(x)
        y = theirs.decode(features)
    torch.testing.assert_close(ours.encode(x), features, atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(ours.decode(ours.encode(x), x), y.reshape(x.shape), atol=5e-5, rtol=1e-5)
    assert (ours.encode(x) > 0).any()


@pytest.mark.parametrize("b_dec_first", [True, False])
@pytest.mark.parametrize("normalise", NORMALISE)
@pytest.mark.parametrize("activation", KINDS, ids=lambda a: a.kind)
def test_sae_lens_reads_what_is_written_here(load, tmp_path, activation, normalise, b_dec_first):
    from sae_lens import SAE

    sae = make(
        load("tiny-gpt2"), activation=activation, normalise=normalise, apply_b_dec_to_input=b_dec_first
    )
    density = np.linspace(0, 1, sae.n_features)
    interp.write_sae(tmp_path, sae, density=density, training={"steps": 3})
    theirs = SAE.load_from_disk(tmp_path)
    assert_same(sae, theirs, activations(sae.d_in))
    assert theirs.cfg.metadata.hook_name == "blocks.1.hook_resid_post"
    assert theirs.cfg.metadata.model_name == sae.model
    np.testing.assert_allclose(read_density(tmp_path), density, atol=1e-7)


def test_sae_lens_reads_a_dictionary_of_all_heads(load, tmp_path):
    from sae_lens import SAE

    model = load("demo-gpt2")
    sae = make(model, "z", 1)
    interp.write_sae(tmp_path, sae)
    theirs = SAE.load_from_disk(tmp_path)
    z = model.run_with_cache("The capital of France is", [("z", 1)])["z", 1]  # [batch, pos, head, d_head]
    theirs.turn_on_forward_pass_hook_z_reshaping()
    torch.testing.assert_close(theirs.encode(z), sae.encode(z.flatten(2)), atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["demo-gpt2", "demo-qwen3"])
def test_sae_lens_reads_the_dictionaries_of_the_package(load, name):
    from sae_lens import SAE

    from interp.saes.sources import sae_folder

    model = load(name)
    ours, theirs = interp.load_sae(name, model), SAE.load_from_disk(sae_folder(name), dtype="float32")
    x = model.run_with_cache("The capital of France is", [ours.address])[ours.address][:, 1:]
    assert_same(ours, theirs, x)


def their_config(kind: str, **options):
    import sae_lens.saes as saes

    metadata = saes.sae.SAEMetadata(model_name="demo-gpt2", hook_name="blocks.2.hook_resid_mid")
    config = {
        "standard": saes.standard_sae.StandardSAEConfig,
        "topk": saes.topk_sae.TopKSAEConfig,
        "jumprelu": saes.jumprelu_sae.JumpReLUSAEConfig,
        "gated": saes.gated_sae.GatedSAEConfig,
    }[kind]
    return config(d_in=192, d_sae=64, metadata=metadata, **options)


def their_sae(config):
    """One of theirs with random weights, thresholds included."""
    from sae_lens.saes.sae import SAE

    theirs = SAE.get_sae_class_for_architecture(config.architecture())(config)
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, weight in theirs.named_parameters():
            weight.copy_(torch.randn(weight.shape, generator=draw) / 8)
            if name == "threshold":
                weight.abs_()
    return theirs


@pytest.mark.parametrize("normalise", NORMALISE)
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("standard", {}),
        ("standard", {"apply_b_dec_to_input": False}),
        ("topk", {"k": 6}),
        ("topk", {"k": 6, "rescale_acts_by_decoder_norm": True}),
        ("jumprelu", {}),
        ("gated", {}),
        ("gated", {"apply_b_dec_to_input": False}),
    ],
)
def test_what_sae_lens_saved_is_read_here(load, tmp_path, kind, options, normalise):
    theirs = their_sae(their_config(kind, normalize_activations=normalise, **options))
    theirs.save_model(tmp_path)
    ours = interp.read_sae(tmp_path, load("demo-gpt2"))
    x = activations(192)
    if options.get("rescale_acts_by_decoder_norm"):  # theirs takes the norm out in decode; ours has none
        torch.testing.assert_close(ours.W_dec.norm(dim=-1), torch.ones(64))
    assert_same(ours, theirs, x)
    assert ours.activation.kind == ("jumprelu" if kind == "gated" else kind)
    assert str(ours.address) == "blocks.2.hook_resid_mid"


@pytest.mark.parametrize(
    "kind", ["standard", "topk", "batchtopk", "jumprelu", "gated", "matryoshka_batchtopk"]
)
def test_what_sae_lens_trained_is_read_here(load, tmp_path, kind):
    """After a few steps of its own trainer, as its runner saves it; a batchtopk and a Matryoshka one as a
    jumprelu. As it is kept in training, where that is something else, it is read as the same."""
    from sae_lens.config import LoggingConfig, SAETrainerConfig
    from sae_lens.saes.sae import SAE
    from sae_lens.training.sae_trainer import SAETrainer

    training_class, config_class = __import__(
        "sae_lens.registry", fromlist=["get_sae_training_class"]
    ).get_sae_training_class(kind)
    options = {"k": 6} if "topk" in kind else {}
    if kind == "matryoshka_batchtopk":
        options["matryoshka_widths"] = [16, 64]
    config = config_class(d_in=192, d_sae=64, **options)
    config.metadata.model_name, config.metadata.hook_name = "demo-gpt2", "blocks.2.hook_resid_post"
    x = load("demo-gpt2").run_with_cache([[5, 6, 7, 8, 9, 10, 11, 12] * 8], [("resid_post", 2)])[
        "resid_post", 2
    ]
    x = x[0, 1:].clone()
    settings = SAETrainerConfig(
        total_training_samples=63 * 5,
        train_batch_size_samples=63,
        lr=1e-3,
        lr_end=1e-4,
        lr_scheduler_name="constant",
        lr_warm_up_steps=0,
        lr_decay_steps=0,
        adam_beta1=0.9,
        adam_beta2=0.999,
        device="cpu",
        autocast=False,
        n_checkpoints=0,
        checkpoint_path=None,
        save_final_checkpoint=False,
        n_restart_cycles=1,
        dead_feature_window=100,
        feature_sampling_window=100,
        logger=LoggingConfig(log_to_wandb=False),
    )
    trained = SAETrainer(cfg=settings, sae=training_class(config), data_provider=iter([x] * 9)).fit()
    trained.save_inference_model(tmp_path / "in use")
    ours = interp.read_sae(tmp_path / "in use", load("demo-gpt2"))
    assert_same(ours, SAE.load_from_disk(tmp_path / "in use"), x[None])
    trained.save_model(tmp_path / "in training")
    again = interp.read_sae(tmp_path / "in training", load("demo-gpt2"))
    torch.testing.assert_close(again.encode(x), ours.encode(x), atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(again.reconstruct(x), ours.reconstruct(x), atol=5e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "kind", ["transcoder", "skip_transcoder", "jumprelu_transcoder", "jumprelu_skip_transcoder"]
)
def test_transcoders_that_sae_lens_saved_are_read_here(load, tmp_path, kind):
    """They read the residual stream behind the norm, without gain and bias."""
    from sae_lens.registry import get_sae_class
    from sae_lens.saes.sae import SAEMetadata

    model = load("demo-gpt2")
    theirs, config_class = [], get_sae_class(kind)[1]
    for layer in range(model.arch.n_layers):
        metadata = SAEMetadata(
            model_name="demo-gpt2",
            hook_name=f"blocks.{layer}.ln2.hook_normalized",
            hook_name_out=f"blocks.{layer}.hook_mlp_out",
        )
        config = config_class(d_in=192, d_sae=64, d_out=192, apply_b_dec_to_input=False, metadata=metadata)
        theirs.append(their_sae(config))
        theirs[-1].save_model(tmp_path / f"layer_{layer}")
    ours = interp.load_transcoders(tmp_path, model)
    x = activations(192)
    for one, their in zip(ours, theirs, strict=True):
        with torch.no_grad():
            out, features = their.forward_with_activations(one.norm(x))
        torch.testing.assert_close(one.encode(x), features, atol=2e-5, rtol=1e-5)
        torch.testing.assert_close(one.replace_mlp(x), out, atol=5e-5, rtol=1e-5)


@pytest.mark.parametrize("skip", [False, True], ids=["", "skip"])
@pytest.mark.parametrize("activation", [Standard(), JumpReLU(torch.linspace(0, 1, 40))], ids=lambda a: a.kind)
def test_sae_lens_reads_transcoders_that_are_written_here(load, tmp_path, skip, activation):
    from sae_lens import SAE

    from test_attribution_graph import random_transcoders

    model = load("tiny-gpt2")
    ours = random_transcoders(model, lambda n: activation, n=40, skip=skip)
    interp.write_transcoders(tmp_path, ours)
    x = activations(ours[0].d_in)
    for layer, one in enumerate(ours):
        theirs = SAE.load_from_disk(tmp_path / f"layer_{layer}")
        with torch.no_grad():
            out, features = theirs.forward_with_activations(one.norm(x))
        torch.testing.assert_close(one.encode(x), features, atol=2e-5, rtol=1e-5)
        torch.testing.assert_close(one.replace_mlp(x), out, atol=5e-5, rtol=1e-5)


def test_what_it_normalises_by_an_average_needs_the_scale(load, tmp_path):
    theirs = their_sae(their_config("standard", normalize_activations="expected_average_only_in"))
    theirs.save_model(tmp_path)
    with pytest.raises(InputError, match="give it as scale"):
        interp.read_sae(tmp_path, load("demo-gpt2"))
    ours = interp.read_sae(tmp_path, load("demo-gpt2"), scale=0.25)
    theirs.fold_activation_norm_scaling_factor(0.25)
    assert_same(ours, theirs, activations(192))
