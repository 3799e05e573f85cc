"""Below float32: the lens reads in float32, ties count as ties, NaN is explained."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import interp
from conftest import needs_backend
from families import family_model
from hooked_toys import toy
from interp.errors import InterpWarning, NonFiniteError
from interp.models.devices import find_dtype
from interp.models.precise import precise_unembed

IDS = [5, 17, 80, 3, 42]


def half(dtype: str) -> interp.Model:
    return interp.load_model(family_model("llama").to(getattr(torch, dtype)), dtype=dtype, device="cpu")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_the_lens_of_a_half_precision_model_reads_its_streams_in_float32(dtype):
    model = half(dtype)
    wide = interp.load_model(family_model("llama").to(getattr(torch, dtype)).float(), device="cpu")
    with pytest.warns(InterpWarning, match=rf"In {dtype} the model's own logits are rounded by up to"):
        found = interp.logit_lens(model, IDS, answer=7)
    streams = model.run_with_cache(IDS, ["resid_post"])
    for layer in range(3):
        expected = wide.unembed(streams["resid_post", layer][0, -1].float()).double().softmax(-1)[7]
        assert found.answer_prob[layer + 1] == pytest.approx(float(expected), rel=1e-5)
    assert found.kl_to_final[-1] == pytest.approx(0, abs=1e-9)


def test_a_token_beside_another_top_token_is_not_of_rank_1():
    model = interp.load_model(family_model("llama"), device="cpu")
    head = model.hf_model.get_output_embeddings().weight
    top = int(model.forward(IDS)[0, -1].argmax())
    twin = 7 if top != 7 else 8
    with torch.no_grad():
        head[twin] = head[top]
    found = interp.logit_lens(model, IDS, answer=top)
    assert found.answer_rank[-1] == 2
    assert (found.answer_ties == 1).all()
    assert found.crossover_layer is None


def test_nan_in_float16_names_the_layer_that_overflows():
    hf = family_model("llama").half()
    with torch.no_grad():
        hf.model.layers[1].mlp.down_proj.weight.mul_(6e4)
    model = interp.load_model(hf, dtype="float16", device="cpu", self_check=False)
    asked = {"clean": IDS, "corrupted": [5, 18, 80, 3, 42], "answer": 7, "foil": 9}
    with pytest.raises(NonFiniteError, match=r"float16 the residual stream .* layer 1 .*65,504"):
        interp.causal_tracing(model, **asked)
    with pytest.raises(NonFiniteError, match=r"layer 1"):
        interp.activation_patching(model, **asked)


def test_ranks_without_ties_are_as_they_were(load):
    found = interp.logit_lens(load("demo-gpt2"), "The capital of France is", answer=" Paris")
    assert found.answer_rank[-1] == 1
    assert not np.any(found.answer_ties)


@pytest.mark.parametrize("processing", ["none", "folded"])
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
def test_the_lens_reads_in_float32_through_transformer_lens_too(family, processing):
    """Gemma 2 caps its logits; folded norms have no weights left."""
    needs_backend("transformer_lens")
    hf = family_model(family).bfloat16()
    options = {"backend": "transformer_lens", "processing": processing, "device": "cpu"}
    model = interp.load_model(hf, dtype="bfloat16", **options)
    resid = 3 * torch.randn(4, model.arch.d_model, generator=torch.Generator().manual_seed(0))
    found = precise_unembed(model, resid.bfloat16())
    wide = interp.load_model(family_model(family).bfloat16().float(), device="cpu")
    expected = wide.unembed(resid.bfloat16().float())
    assert found.dtype == torch.float32
    if processing == "folded":  # weights are centred and rounded to bfloat16: each row may be shifted by one
        found, expected = found.log_softmax(-1), expected.log_softmax(-1)
        torch.testing.assert_close(found, expected, rtol=0, atol=0.05)
    else:
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    rounded = model.unembed(resid.bfloat16())
    assert rounded.dtype == torch.bfloat16  # and the model itself is as it was
    assert len(found[0].unique()) > len(rounded[0].unique())


@pytest.mark.parametrize("norm", ["LN", "RMS", "LNPre", "RMSPre", None])
def test_the_lens_of_a_hooked_transformer_in_bfloat16_reads_in_float32(norm):
    needs_backend("transformer_lens")
    hooked = toy(normalization_type=norm, dtype=torch.bfloat16).to(torch.bfloat16)
    model = interp.load_model(hooked, dtype="bfloat16", device="cpu")
    resid = 3 * torch.randn(4, model.arch.d_model, generator=torch.Generator().manual_seed(0)).bfloat16()
    wide = toy(normalization_type=norm)
    wide.load_state_dict({name: value.float() for name, value in hooked.state_dict().items()})
    expected = interp.load_model(wide, device="cpu").unembed(resid.float())
    torch.testing.assert_close(precise_unembed(model, resid), expected, rtol=1e-5, atol=1e-5)
    assert model.unembed(resid).dtype == torch.bfloat16
    assert hooked.cfg.dtype == torch.bfloat16


@pytest.mark.parametrize("fast", [True, False])
def test_auto_is_bfloat16_where_the_machine_multiplies_it(monkeypatch, fast):
    capabilities = {"avx512_bf16": fast, "amx_bf16": False}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert find_dtype("auto", torch.device("cpu")) == (torch.bfloat16 if fast else torch.float32)


def test_auto_takes_a_model_in_memory_as_it_is():
    for dtype in (torch.float64, torch.bfloat16):
        model = interp.load_model(family_model("llama").to(dtype), dtype="auto", device="cpu")
        assert model.dtype == dtype
