"""Two models side by side: a planted difference is found where it is, and nothing where there is none."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import Qwen3ForCausalLM

import interp
from conftest import byte_tokenizer, run
from families import family_model
from interp.errors import InputError
from interp.figures.engine.view import Bars, Lines, Words
from interp.figures.views import compare_models as presentation
from interp.methods.comparison.alikeness import linear_cka
from interp.methods.comparison.comparable import check_room, labels_of
from interp.methods.comparison.results import CompareModelsResult
from interp.results import read_result
from interp.runs import read_run
from interp.tasks.base import encode_pair
from interp.tasks.inspection import inspect_dataset
from interp.text.sequences import load_text

Changed = Callable[[Callable], interp.Model]


@pytest.fixture(scope="module")
def model(load) -> interp.Model:
    return load("demo-gpt2")


@pytest.fixture(scope="module")
def pairs(model) -> interp.PairDataset:
    return interp.make_dataset("indirect_objects", model, n=2)


@pytest.fixture(scope="module")
def text(model) -> list[list[int]]:
    return load_text(model, "demo", training=1, held_out=3, length=32)[1]


@pytest.fixture(scope="module")
def changed(model) -> Changed:
    """A copy of the demo model, its weights changed in place by a function of it."""

    def made(change: Callable) -> interp.Model:
        hf = copy.deepcopy(model.hf_model)
        with torch.no_grad():
            change(hf)
        return interp.load_model(hf, model.tokenizer, name="changed", self_check=False)

    return made


def noise(weight: Tensor, size: float = 0.2, seed: int = 0) -> None:
    weight.add_(size * torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed)))


def change_m2(hf) -> None:
    noise(hf.transformer.h[2].mlp.c_proj.weight)


def compared(model, other, pairs, **options) -> CompareModelsResult:
    return interp.compare_models(model, other, datasets=[pairs], **options)


def one_pair(model: interp.Model, **texts: str) -> interp.PairDataset:
    return interp.PairDataset(name="own", pairs=(encode_pair(model, **texts),))


# ---- where a difference lives ----


def test_the_same_weights_change_nothing(model, changed, pairs, text) -> None:
    same = changed(lambda hf: None)
    result = compared(model, same, pairs, text=text, untrained=False)
    for of in (result.text.alike.cka, result.text.alike.cosine):
        np.testing.assert_allclose(of.value, 1, atol=1e-12)
    assert not result.text.alike.distance.value.any()
    assert not float(result.text.kl.value)
    assert not float(result.text.loss_change.value)
    (task,) = result.tasks
    assert len(task.stitched) == 16  # 4 activations, 3 parts and the unembedding, in both directions
    for one in task.stitched:
        assert one.closed is None
        ends = one.site in ("unembed", "resid_pre")  # the last cut, too, is read off the final stream at once
        np.testing.assert_allclose(one.effect.value, 0, atol=2e-5 if ends else 0)
        np.testing.assert_allclose(one.kl.value, 0, atol=1e-9)
    exactly = compared(model, same, pairs[:1], stitch=["mlp_out"], exact=True).tasks[0]
    assert not any(one.effect.value.any() or one.kl.value.any() for one in exactly.stitched)
    assert task.parts() == {}
    assert "the two predict the same" in presentation.view(result).block("verdict", Words).text
    assert "does not tell the two streams apart" in presentation.verdicts(result)[0]


def test_one_changed_mlp_is_found_and_no_other_part(model, changed, pairs, text) -> None:
    result = compared(model, changed(change_m2), pairs, text=text, untrained=False)
    cka = result.text.alike.cka.value
    np.testing.assert_allclose(cka[:3], 1, atol=1e-12)  # the embedding, and after layers 0 and 1
    assert (cka[3:] < 0.999).all()
    (task,) = result.tasks
    assert (task.kl.value > 0.05).all()
    for into in (0, 1):
        parts = task.parts(into)
        assert parts.pop("m2") == pytest.approx((1, 1, 1), abs=1e-5)
        assert len(parts) == 13
        assert max(abs(value) for value, _, _ in parts.values()) < 1e-5
        assert np.abs(task.stitch("z", into=into).closed.value).max() < 1e-5
        cut = task.stitch("resid_pre", into=into, carries="activation").closed.value[:, 0]
        np.testing.assert_allclose(cut, [0, 0, 0, 1, 1, 1, 1], atol=1e-5)
        effect = task.stitch("mlp_out", into=into).effect.value[2, 0]
        assert effect == pytest.approx(float(task.change.value) * (1 - 2 * into), abs=1e-4)
    # its activation brings it all, too; and activations behind it bring some of it, as they have read it
    behind = task.stitch("mlp_out", carries="activation").closed.value[:, 0]
    assert behind[2] == pytest.approx(1, abs=1e-5)
    assert np.abs(behind[:2]).max() < 1e-5
    assert np.abs(behind[3:]).max() > 1e-3
    words = presentation.view(result).block("verdict", Words).text
    assert "the other's m2 alone closes 1.00" in words
    assert "is 1 up to after layer 1, " in words
    assert presentation.view(result).block("parts_indirect_objects_0", Bars).values[6] == pytest.approx(1)
    assert read_result(json.loads(json.dumps(result.to_dict()))).equals(result)


def test_one_changed_head_is_found_among_all(model, changed, pairs) -> None:
    def change(hf) -> None:
        width = hf.config.n_embd
        noise(hf.transformer.h[3].attn.c_attn.weight[:, 2 * width + 4 * 32 : 2 * width + 5 * 32])  # v of 3.4

    (task,) = compared(model, changed(change), pairs[:1], stitch=["attn_out", "z"]).tasks
    for into in (0, 1):
        heads = task.stitch("z", into=into).closed.value
        assert heads[3, 4] == pytest.approx(1, abs=1e-5)
        heads[3, 4] = 0
        assert np.abs(heads).max() < 1e-5
        assert task.stitch("attn_out", into=into).closed.value[3, 0] == pytest.approx(1, abs=1e-5)


def test_the_embedding_and_the_unembedding_are_parts(model, changed, pairs) -> None:
    def change(hf) -> None:
        noise(hf.transformer.wpe.weight, 0.05)

    (task,) = compared(model, changed(change), pairs[:1], stitch=["resid_pre"]).tasks
    assert task.parts()["embed"][0] == pytest.approx(1, abs=1e-5)
    assert abs(task.parts()["unembed"][0]) < 1e-5

    def change_norm(hf) -> None:
        noise(hf.transformer.ln_f.weight, 0.3)

    (task,) = compared(model, changed(change_norm), pairs[:1], stitch=["resid_pre"]).tasks
    assert abs(task.parts()["embed"][0]) < 1e-5
    assert task.parts()["unembed"][0] == pytest.approx(1, abs=1e-5)
    cut = task.stitch("resid_pre", carries="activation")
    assert np.abs(cut.closed.value).max() < 1e-5  # whatever stands below, the base's norm comes last


def test_a_stitch_by_weights_is_a_model_with_these_weights(model, changed, pairs) -> None:
    """Everything is changed; then each part is put into a copy of the base, and that is run."""

    def change(hf) -> None:
        for i, weight in enumerate(hf.parameters()):
            noise(weight, 0.02, seed=i)

    other = changed(change)
    (task,) = compared(model, other, pairs, stitch=["attn_out", "mlp_out"]).tasks
    for site, name, layer in (("attn_out", "attn", 1), ("mlp_out", "mlp", 4)):
        whole = copy.deepcopy(model.hf_model)
        theirs, block = other.hf_model.transformer.h[layer], whole.transformer.h[layer]
        norm = "ln_1" if name == "attn" else "ln_2"
        setattr(block, name, getattr(theirs, name))
        setattr(block, norm, getattr(theirs, norm))
        swapped = interp.load_model(whole, model.tokenizer, name="swapped", self_check=False)
        plain, after = (inspect_dataset(m, pairs).clean_logit_diff.mean() for m in (model, swapped))
        assert task.stitch(site).effect.value[layer, 0] == pytest.approx(after - plain, abs=1e-4)
        logits = [
            torch.stack([m.forward([list(ids)])[0, -1].double() for ids in pairs.clean]).log_softmax(-1)
            for m in (other, swapped)
        ]
        kl = float((logits[0].exp() * (logits[0] - logits[1])).sum(-1).mean())
        assert task.stitch(site).kl.value[layer, 0] == pytest.approx(kl, rel=1e-3, abs=1e-6)


def test_with_norms_behind_and_grouped_heads_too() -> None:
    hf = family_model("gemma3_text")
    other = copy.deepcopy(hf)
    with torch.no_grad():
        other.model.layers[1].mlp.down_proj.weight.mul_(-1)
    models = [
        interp.load_model(one, byte_tokenizer(), name=name, self_check=False)
        for one, name in ((hf, "first"), (other, "other"))
    ]
    data = one_pair(models[0], clean="abcde", corrupted="abxde", answer="f", foil="g")
    (task,) = compared(*models, data).tasks
    parts = task.parts()
    assert parts.pop("m1")[0] == pytest.approx(1, abs=1e-4)
    assert max(abs(value) for value, _, _ in parts.values()) < 1e-4


# ---- what is blind to what ----


def rotated(hf: Qwen3ForCausalLM) -> Qwen3ForCausalLM:
    """The same function with its residual stream rotated: norm weights go into what reads behind them."""
    turned = copy.deepcopy(hf)
    d = hf.config.hidden_size
    turn = torch.linalg.qr(
        torch.randn(d, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    )[0]

    def reads(linear: torch.nn.Linear, norm: Tensor) -> None:
        linear.weight.copy_(linear.weight.double() * norm.double() @ turn)

    def writes(linear: torch.nn.Linear) -> None:
        linear.weight.copy_(turn.T @ linear.weight.double())

    with torch.no_grad():
        turned.model.embed_tokens.weight.copy_(hf.model.embed_tokens.weight.double() @ turn)
        for layer in turned.model.layers:
            attention, mlp = layer.self_attn, layer.mlp
            for linear in (attention.q_proj, attention.k_proj, attention.v_proj):
                reads(linear, layer.input_layernorm.weight)
            for linear in (mlp.gate_proj, mlp.up_proj):
                reads(linear, layer.post_attention_layernorm.weight)
            writes(attention.o_proj)
            writes(mlp.down_proj)
            layer.input_layernorm.weight.fill_(1)
            layer.post_attention_layernorm.weight.fill_(1)
        reads(turned.lm_head, turned.model.norm.weight)
        turned.model.norm.weight.fill_(1)
    return turned


def test_cka_is_blind_to_a_rotation_and_cosine_and_stitches_are_not() -> None:
    hf = family_model("qwen3")
    assert not hf.config.tie_word_embeddings
    models = [
        interp.load_model(one, byte_tokenizer(), name=name, self_check=False)
        for one, name in ((hf, "first"), (rotated(hf), "rotated"))
    ]
    data = one_pair(models[0], clean="abcde", corrupted="abxde", answer="f", foil="g")
    words = ["The quick brown fox jumps over", "a lazy dog, and then it goes", "on to sleep for ever 0123."]
    result = compared(*models, data, text=words, untrained=False)
    np.testing.assert_allclose(result.text.alike.cka.value, 1, atol=1e-5)
    assert np.abs(result.text.alike.cosine.value).max() < 0.5
    assert float(result.text.kl.value) < 1e-6  # the same function
    (task,) = result.tasks
    for site in ("attn_out", "mlp_out"):  # and nothing of the one fits the other
        assert task.stitch(site).kl.value.min() > 0.01
    # but for heads, which stand before the projection that was turned
    assert task.stitch("z", carries="activation").kl.value.max() < 1e-6


def test_streams_are_blind_to_the_order_of_heads_and_heads_are_not(model, changed, pairs, text) -> None:
    order = [1, 0, 2, 3, 4, 5]

    def change(hf) -> None:
        attention, width = hf.transformer.h[4].attn, hf.config.n_embd
        columns = torch.arange(width).view(6, -1)[order].flatten()
        every = torch.cat([columns + i * width for i in range(3)])
        attention.c_attn.weight.copy_(attention.c_attn.weight[:, every])
        attention.c_attn.bias.copy_(attention.c_attn.bias[every])
        attention.c_proj.weight.copy_(attention.c_proj.weight[columns])

    result = compared(model, changed(change), pairs, text=text, untrained=False, stitch=["attn_out", "z"])
    np.testing.assert_allclose(result.text.alike.cka.value, 1, atol=1e-6)
    np.testing.assert_allclose(result.text.alike.cosine.value, 1, atol=1e-6)
    (task,) = result.tasks
    assert task.stitch("attn_out").kl.value.max() < 1e-6
    heads = task.stitch("z").kl.value
    assert (heads[4, :2] > 1e-6).all()
    assert heads[4, 2:].max() < 1e-6
    assert heads[[0, 1, 2, 3, 5]].max() < 1e-6


def test_cka_is_that_of_the_kernels_without_their_diagonals() -> None:
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(12, 5, generator=draw)
    y = x @ torch.randn(5, 7, generator=draw) + 0.3 * torch.randn(12, 7, generator=draw)

    def hsic(k: Tensor, m: Tensor) -> float:
        k, m = k.double().fill_diagonal_(0), m.double().fill_diagonal_(0)
        n, ones = len(k), torch.ones(len(k), dtype=torch.float64)
        a, b = k @ ones, m @ ones
        parts = (k @ m).trace() + a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2 * (a @ b) / (n - 2)
        return float(parts / (n * (n - 3)))

    def by_kernels(x: Tensor, y: Tensor) -> float:
        k, m = x.double() @ x.T.double(), y.double() @ y.T.double()
        return hsic(k.clone(), m.clone()) / np.sqrt(hsic(k.clone(), k.clone()) * hsic(m.clone(), m.clone()))

    value, error = linear_cka(x, y, [5, 4, 3])
    assert value == pytest.approx(by_kernels(x, y), abs=1e-10)
    spans = [slice(0, 5), slice(5, 9), slice(9, 12)]
    left = [
        by_kernels(*(torch.cat([values[: s.start], values[s.stop :]]) for values in (x, y))) for s in spans
    ]
    assert error == pytest.approx(np.sqrt(2 / 3 * ((np.array(left) - np.mean(left)) ** 2).sum()), abs=1e-10)
    turn = torch.linalg.qr(torch.randn(5, 5, generator=draw))[0]
    assert linear_cka(x, 3 * x @ turn + 2, [12])[0] == pytest.approx(1, abs=1e-6)


def test_cka_of_unrelated_wide_activations_is_none() -> None:
    """The plain estimate would give 0.7 here: 64 tokens of width 160."""
    draw = torch.Generator().manual_seed(1)
    values = [
        linear_cka(torch.randn(64, 160, generator=draw), torch.randn(64, 160, generator=draw), [16] * 4)[0]
        for _ in range(8)
    ]
    assert abs(np.mean(values)) < 0.05
    with pytest.raises(InputError, match="alike"):
        linear_cka(torch.ones(8, 3), torch.ones(8, 3), [4, 4])


def test_trained_models_are_more_alike_than_untrained_ones(model, changed, text) -> None:
    result = interp.compare_models(model, changed(change_m2), text=text)
    (first, other), alike = result.text.untrained, result.text.alike
    assert (alike.cka.value[1:] > first.cka.value[1:]).all()
    assert (np.abs(first.cosine.value) < 0.3).all()
    assert not np.allclose(first.cka.value[-1], other.cka.value[-1])
    np.testing.assert_allclose(first.cka.value[:3], other.cka.value[:3], atol=1e-12)  # m2 is behind
    assert presentation.view(result).block("cka", Lines).series[1].name.endswith("untrained")


# ---- metrics and the lens ----


def test_metrics_and_lens_are_those_of_each_model_alone(model, changed, pairs, text) -> None:
    other = changed(change_m2)
    result = compared(model, other, pairs, text=text, stitch=[], untrained=False)
    (task,) = result.tasks
    assert task.stitched == ()
    for i, one in enumerate((model, other)):
        alone = inspect_dataset(one, pairs)
        assert task.values.value[i] == pytest.approx(alone.clean_logit_diff.mean(), abs=1e-5)
        read = [
            interp.logit_lens(one, list(ids), answer).answer_prob
            for ids, answer in zip(pairs.clean, pairs.answers, strict=True)
        ]
        np.testing.assert_allclose(task.lens.value[i], np.log(read).mean(0), atol=1e-4)
        ids = torch.tensor(text)
        logits = one.hf_model(ids).logits[:, :-1].detach()
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        assert result.text.losses.value[i] == pytest.approx(float(loss), abs=1e-5)
    assert float(task.change.value) == pytest.approx(task.values.value[1] - task.values.value[0])


def test_answers_of_several_tokens_are_stitched_too(model, changed) -> None:
    france, japan = "The capital of France is", "The capital of Japan is"
    data = one_pair(model, clean=france, corrupted=japan, answer=" Paris and", foil=" Tokyo")
    (task,) = compared(model, changed(change_m2), data).tasks
    effect = task.stitch("mlp_out").effect.value[:, 0]
    assert effect[2] == pytest.approx(float(task.change.value), abs=1e-4)
    assert np.abs(np.delete(effect, 2)).max() < 1e-4


# ---- what is refused, kept, and asked on the command line ----


def test_models_that_do_not_fit_are_refused_in_a_sentence(model, load, pairs) -> None:
    with pytest.raises(InputError, match="family is gpt2 in the one and qwen3 in the other"):
        compared(model, load("demo-qwen3"), pairs)
    with pytest.raises(InputError, match="set bos alike"):
        compared(model, load("demo-gpt2", bos=False, self_check=False), pairs)
    bare = interp.load_model(model.hf_model, name="bare", bos=False, self_check=False)
    with pytest.raises(InputError, match=r"set bos alike|different vocabularies"):
        compared(model, bare, pairs)
    with pytest.raises(InputError, match="nothing to compare"):
        interp.compare_models(model, model)
    with pytest.raises(InputError, match="site to stitch"):
        compared(model, model, pairs, stitch=["q"])
    with pytest.raises(InputError, match="twice"):
        compared(model, model, pairs, stitch=["z", "z"])
    with pytest.raises(InputError, match="need about"):
        check_room(model, 10**7)


def test_two_of_one_name_are_told_apart(model, changed) -> None:
    assert labels_of(model, changed(change_m2)) == ("demo-gpt2", "changed")
    first, second = labels_of(changed(change_m2), changed(lambda hf: None))
    assert first != second
    assert first.startswith("changed, ")
    assert labels_of(model, model) == ("demo-gpt2", "demo-gpt2 (again)")


def test_pairs_that_were_done_are_not_asked_again(model, changed, pairs, tmp_path, monkeypatch) -> None:
    other = changed(change_m2)
    with interp.resuming(tmp_path):
        first = compared(model, other, pairs, stitch=["mlp_out"])
    monkeypatch.setattr(type(model), "sweep", lambda *_, **__: pytest.fail("asked again"))
    with interp.resuming(tmp_path):
        assert compared(model, other, pairs, stitch=["mlp_out"]).equals(first)


def test_on_the_command_line(tmp_path: Path, capsys) -> None:
    given = [
        "n=2",
        "held_out=2",
        "length=16",
        "other_dtype=bfloat16",
        "untrained=false",
        'stitch=["mlp_out"]',
    ]
    arguments = [part for one in given for part in ("--set", one)]
    assert run("run", "compare_models", *arguments, "--tag", "x", "--out", tmp_path) == 0, (
        capsys.readouterr().err
    )
    result = read_run(tmp_path / "compare_models" / "x").result
    assert isinstance(result, CompareModelsResult)
    assert result.names == ("demo-gpt2, float32", "demo-gpt2, bfloat16")
    assert result.weight_bytes[0] == 2 * result.weight_bytes[1]
    assert result.text.alike.cka.value.min() > 0.99
    assert 0 < float(result.text.kl.value) < 0.1
    assert run("run", "compare_models", "--tag", "y", "--out", tmp_path) == 2
    assert "There is one model" in capsys.readouterr().err
