"""Fitting a Jacobian lens: against Jacobians that are known, by itself, and through every family."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

import interp
from families import FAMILIES, family_model
from interp import Edit
from interp.errors import InputError
from interp.methods.lens.lens import EMBEDDING
from interp.models.pullback import pullback
from interp.progress import listening
from interp.sites import Address

_STEP = 1e-3  # of finite differences: norms and softmax are in float32 whatever the model is in


def tiny(family: str) -> interp.Model:
    """A tiny model of a family in float64, so that finite differences are exact enough."""
    return interp.load_model(family_model(family).double(), dtype="float64", device="cpu", self_check=False)


def prompts(n: int, length: int, seed: int = 0) -> list[list[int]]:
    """Random ids of the tiny models."""
    return np.random.default_rng(seed).integers(0, 256, (n, length)).tolist()


def by_differences(model: interp.Model, ids: list[int], layer: int, *, skip: int, same: bool) -> torch.Tensor:
    """J of one prompt, column by column: each source position moved both ways, in every dimension."""
    d, last, step = model.arch.d_model, model.arch.n_layers - 1, _STEP
    site, at = ("resid_pre", 0) if layer == EMBEDDING else ("resid_post", layer)
    moves = torch.cat([torch.eye(d), -torch.eye(d)]).double() * step
    valid = range(skip, len(ids) - 1)
    total = torch.zeros(d, d, dtype=torch.float64)
    for p in valid:
        edit = Edit.add(site, at, value=moves[:, None], positions=p)
        out = model.run_with_cache([ids] * (2 * d), [("resid_post", last)], [edit])["resid_post", last]
        counted = out[:, [p] if same else [q for q in valid if q >= p]].sum(1)  # [move, d_model]
        total += ((counted[:d] - counted[d:]) / (2 * step)).T
    return total / len(valid)


@pytest.mark.parametrize("family", ["gpt2", "gemma2", "falcon"])
def test_it_is_the_jacobian_by_finite_differences(family: str) -> None:
    model, text = tiny(family), prompts(2, 7)
    lens, _ = interp.fit_jacobian_lens(model, text, skip_first=2)
    assert lens.source_layers == (EMBEDDING, 0, 1)
    for row, layer in enumerate(lens.source_layers):
        each = [by_differences(model, ids, layer, skip=2, same=False) for ids in text]
        torch.testing.assert_close(
            lens.jacobian[row], torch.stack(each).mean(0).float(), rtol=1e-3, atol=2e-3
        )


def linear_model(d: int = 16) -> tuple[interp.Model, torch.Tensor, torch.Tensor]:
    """Two layers without norms or MLP, whose heads attend to all positions alike: each adds W times the mean
    of the stream up to its position. The model, and W of both layers."""
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=257, hidden_size=d, num_hidden_layers=2, num_attention_heads=2,
                         intermediate_size=8, max_position_embeddings=64)  # fmt: skip
    hf_model = LlamaForCausalLM(config).double().eval()
    maps = []
    for layer in hf_model.model.layers:
        layer.input_layernorm, layer.post_attention_layernorm = nn.Identity(), nn.Identity()
        nn.init.zeros_(layer.self_attn.q_proj.weight)
        nn.init.zeros_(layer.mlp.down_proj.weight)
        nn.init.normal_(layer.self_attn.v_proj.weight)
        nn.init.normal_(layer.self_attn.o_proj.weight)
        maps.append((layer.self_attn.o_proj.weight @ layer.self_attn.v_proj.weight).detach())
    model = interp.load_model(hf_model, dtype="float64", device="cpu", self_check=False)
    return model, maps[0], maps[1]


def test_of_a_linear_model_it_is_known_in_closed_form() -> None:
    """h_2 = h + M h W_0' + M h W_1' + M M h W_0' W_1', M being the means over positions."""
    model, first, second = linear_model()
    length, skip = 9, 3
    lens, curve = interp.fit_jacobian_lens(model, prompts(3, length), skip_first=skip)
    means = torch.ones(length, length).tril().double() / torch.arange(1, length + 1)[:, None]
    counted = slice(skip, length - 1)

    def paths(power: int) -> float:
        return float(torch.linalg.matrix_power(means, power)[counted, counted].sum(0).mean())

    one = torch.eye(len(first), dtype=torch.float64)
    expected = [
        paths(0) * one + paths(1) * (first + second) + paths(2) * second @ first,
        paths(0) * one + paths(1) * second,
    ]
    torch.testing.assert_close(lens.jacobian, torch.stack(expected).float(), rtol=1e-5, atol=1e-5)
    assert lens.error is not None
    assert float(lens.error.max()) < 1e-3  # the same in every prompt
    assert curve.prompts == (1, 2, 3)


@pytest.fixture(scope="module")
def small() -> interp.Model:
    """A model of 32 dimensions and 3 layers, in float32."""
    return interp.load_model(family_model("llama"), device="cpu", self_check=False)


TEXT = prompts(60, 12)


def test_its_error_is_what_it_is_off_by(small: interp.Model) -> None:
    """Fits on other prompts differ by as much as their standard errors say."""
    options: Any = {"layers": [0, 1], "skip_first": 2}
    pairs = []
    for seed in range(4):
        texts = (prompts(24, 12, seed=10 + seed), prompts(24, 12, seed=50 + seed))
        one, other = (interp.fit_jacobian_lens(small, text, **options)[0] for text in texts)
        assert one.error is not None
        assert other.error is not None
        sizes = [lens.jacobian.flatten(1).norm(dim=1) * lens.error for lens in (one, other)]
        foretold = sizes[0] ** 2 + sizes[1] ** 2
        pairs.append(((one.jacobian - other.jacobian).flatten(1).norm(dim=1) ** 2, foretold))
    apart, foretold = (torch.stack(values).mean(0) for values in zip(*pairs, strict=True))
    torch.testing.assert_close((apart / foretold).sqrt(), torch.ones(2), rtol=0, atol=0.2)


def test_the_same_position_alone() -> None:
    """With signs at random, other positions cancel: what is left is as far off as the error says."""
    model, ids = tiny("qwen3"), prompts(1, 7)[0]
    lens, _ = interp.fit_jacobian_lens(model, [ids] * 60, positions="same", skip_first=2)
    assert lens.error is not None
    for row, layer in enumerate(lens.source_layers):
        exact = by_differences(model, ids, layer, skip=2, same=True)
        off = float((lens.jacobian[row] - exact).norm() / exact.norm())
        assert 0 < off < 1.5 * float(lens.error[row])
        later = by_differences(model, ids, layer, skip=2, same=False)
        assert float((later - exact).norm() / exact.norm()) > 2 * off


def test_another_target_and_chosen_layers(small: interp.Model) -> None:
    """From layer 1 to the last is from 1 to 3 and on from there, where nothing is left out."""
    model = tiny("gpt2")
    ids = prompts(1, 5)
    whole, _ = interp.fit_jacobian_lens(model, ids, skip_first=0, layers=[0])
    part, _ = interp.fit_jacobian_lens(model, ids, skip_first=0, target_layer=1)
    assert (part.source_layers, part.target_layer) == ((EMBEDDING, 0), 1)
    assert (whole.source_layers, whole.target_layer) == ((0,), 2)
    assert whole.error is None  # of one prompt
    linear, first, _ = linear_model()
    lens, _ = interp.fit_jacobian_lens(linear, prompts(1, 4), skip_first=0, target_layer=0)
    paths = (torch.ones(4, 4).tril() / torch.arange(1, 5)[:, None])[:3, :3].sum(0).mean()
    torch.testing.assert_close(
        lens.jacobian[0], (torch.eye(16) + paths * first).float(), rtol=1e-5, atol=1e-5
    )


def test_it_stops_where_it_is_certain_enough(small: interp.Model) -> None:
    options: Any = {"layers": [1], "skip_first": 2}
    whole, curve = interp.fit_jacobian_lens(small, TEXT[:20], **options)
    assert curve.error.shape == (20, 1)
    assert np.isnan(curve.error[0]).all()
    wanted = float(curve.error[9, 0])
    lens, shorter = interp.fit_jacobian_lens(small, TEXT[:20], error=wanted, **options)
    assert lens.n_prompts < whole.n_prompts == 20
    assert shorter.prompts == curve.prompts[: len(shorter.prompts)]
    assert float(shorter.error[-1, 0]) <= wanted < np.nanmin(shorter.error[:-1, 0])


def test_it_goes_on_from_where_it_was_stopped(small: interp.Model, tmp_path: Any) -> None:
    options: Any = {"layers": [1], "skip_first": 2}
    plain, _ = interp.fit_jacobian_lens(small, TEXT[:20], **options)

    class Killed(Exception):
        pass

    asked = []

    def stop_at(number: int) -> Any:
        def listen(_: str, done: int, total: int) -> None:
            asked.append(done)
            if done == number:
                raise Killed

        return listen

    with interp.resuming(tmp_path):
        with pytest.raises(Killed), listening(stop_at(13)):
            interp.fit_jacobian_lens(small, TEXT[:20], **options)
        asked.clear()
        with listening(stop_at(99)):
            lens, _ = interp.fit_jacobian_lens(small, TEXT[:20], **options)
    assert asked == list(range(13, 21))
    assert torch.equal(lens.jacobian, plain.jacobian)


def test_parts_on_several_machines_make_the_whole(small: interp.Model) -> None:
    options: Any = {"layers": [0, 1], "skip_first": 2}
    whole, *parts = (
        interp.fit_jacobian_lens(small, some, **options)[0] for some in (TEXT[:9], TEXT[:3], TEXT[3:9])
    )
    merged = interp.JacobianLens.merge(parts)
    torch.testing.assert_close(merged.jacobian, whole.jacobian, rtol=1e-4, atol=1e-5)
    assert merged.n_prompts == 9


@pytest.mark.parametrize("backend", [
    pytest.param("transformer_lens", marks=pytest.mark.tl), pytest.param("nnsight", marks=pytest.mark.nnsight)
])  # fmt: skip
@pytest.mark.parametrize("name", ["tiny-gpt2", "tiny-qwen3"])
def test_backends_agree(load: Any, backend: Any, name: str) -> None:
    lenses = [
        interp.fit_jacobian_lens(load(name, own), TEXT[:8], layers=[-1, 1], skip_first=2)[0]
        for own in ("transformers", backend)
    ]
    torch.testing.assert_close(lenses[0].jacobian, lenses[1].jacobian, rtol=1e-3, atol=1e-3)
    assert lenses[0].unembed_sha256 == lenses[1].unembed_sha256


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_cotangents_are_taken_back_through_every_family(family: str) -> None:
    """Their product with a small step of the source is the step of the target, by finite differences."""
    model, ids, step = tiny(family), prompts(1, 9)[0], _STEP
    last, d = model.arch.n_layers - 1, model.arch.d_model
    source, target = Address("resid_post", 0), Address("resid_post", last)
    generator = torch.Generator().manual_seed(0)
    cotangents = torch.randn(3, len(ids), d, dtype=torch.float64, generator=generator)
    move = torch.randn(1, len(ids), d, dtype=torch.float64, generator=generator)
    called = []
    handle = model.hf_model.get_output_embeddings().register_forward_hook(lambda *_: called.append(1))
    run = pullback(model, ids, [source], target)
    handle.remove()
    assert not called  # nothing above the target is computed
    (gradients,) = run(cotangents)
    assert gradients.shape == cotangents.shape
    assert all(parameter.grad is None for parameter in model.hf_model.parameters())
    ends = [
        model.run_with_cache(ids, [target], [Edit.add("resid_post", 0, value=sign * step * move)])
        for sign in (1, -1)
    ]
    moved = (ends[0]["resid_post", last] - ends[1]["resid_post", last])[0] / (2 * step)
    torch.testing.assert_close(
        (gradients * move).sum((1, 2)), (cotangents * moved).sum((1, 2)), rtol=2e-3, atol=2e-2
    )


def test_it_leaves_the_owners_model_as_it_was(load: Any) -> None:
    hf_model = family_model("llama").train()
    for parameter in hf_model.parameters():
        parameter.requires_grad_(False)
    model = interp.load_model(hf_model, device="cpu", self_check=False)
    with torch.inference_mode():
        lens, _ = interp.fit_jacobian_lens(model, prompts(2, 6), skip_first=1)
    assert torch.isfinite(lens.jacobian).all()
    assert hf_model.training
    assert not any(parameter.requires_grad for parameter in hf_model.parameters())


def test_in_bfloat16_it_is_nearly_the_same_and_for_the_same_model(load: Any) -> None:
    from interp.text.sequences import load_text

    model = load("demo-qwen3")
    half = interp.load_model("demo-qwen3", dtype="bfloat16", device="cpu", self_check=False)
    text, _ = load_text(model, "demo", training=2, held_out=1, length=8)
    lens, rounded = (
        interp.fit_jacobian_lens(one, text, layers=[-1, 3], skip_first=2)[0] for one in (model, half)
    )
    off = (rounded.jacobian - lens.jacobian).flatten(1).norm(dim=1) / lens.jacobian.flatten(1).norm(dim=1)
    assert lens.error is not None
    assert (off < lens.error / 5).all()
    assert (off < 0.03).all()
    assert rounded.settings["dtype"] == "bfloat16"
    rounded.check_fits(model)


def test_what_cannot_be_fitted_is_refused(small: interp.Model) -> None:
    def refused(match: str, text: Any = TEXT, **options: Any) -> None:
        with pytest.raises(InputError, match=match):
            interp.fit_jacobian_lens(small, text, **{"skip_first": 2, **options})

    refused("shortest prompt has 12 tokens, but 11 are skipped", skip_first=11)
    refused("shortest prompt has 0 tokens", text=[])
    refused(r"source layers \[2\] of target 2 are out of range", layers=[2])
    refused("target 3", target_layer=3)
    refused("positions", positions="all")


def test_its_settings_are_kept_with_it(small: interp.Model) -> None:
    options: Any = {"layers": [1], "skip_first": 2, "described": "tales", "seed": 3}
    lens, _ = interp.fit_jacobian_lens(small, TEXT[:10], **options)
    assert lens.settings == {
        "text": "tales", "positions": "later", "skip_first": 2, "length": [12, 12],
        "dtype": "float32",
        "seed": 3,
    }  # fmt: skip
    assert (lens.model, lens.n_prompts) == (small.identity.name, 10)
