"""Weights packed in 8 or 4 bits: read, edited and swept; gradients that are right, or refused."""

from __future__ import annotations

import warnings
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import interp
from interp.errors import InputError, ModelLoadError, SiteError
from interp.models.base import Model
from interp.models.packed_weights import gradient_is_right

needs_torchao = pytest.mark.skipif(
    not find_spec("torchao"), reason="needs torchao (extra quantised), which is not installed"
)
needs_bitsandbytes = pytest.mark.skipif(
    not find_spec("bitsandbytes"), reason="needs bitsandbytes (extra quantised), which is not installed"
)
PAIR: dict[str, Any] = {
    "clean": "The capital of France is",
    "corrupted": "The capital of Japan is",
    "answer": " Paris",
    "foil": " Tokyo",
}


@pytest.fixture(autouse=True)
def _their_notices() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def packed(quantisation: str, **options: Any) -> Model:
    return interp.load_model("demo-qwen3", quantisation=quantisation, device="cpu", **options)


def held_to_plain_runs(model: Model) -> None:
    """Every site is read, edits act, and branches give what whole forward passes give."""
    assert model.identity.self_check == "passed"
    cache = model.run_with_cache(PAIR["clean"])
    assert {interp.Address.parse(str(hook)).site for hook in cache} == set(model.sites)
    plain = model.hf_model(input_ids=model.to_tokens(PAIR["clean"]).ids).logits
    torch.testing.assert_close(cache.logits, plain, rtol=0, atol=1e-4)
    found = interp.activation_patching(model, **PAIR, site="z", by="head")
    assert found.path == "branching"
    layer, head = np.unravel_index(np.abs(found.recovery.mean).argmax(), found.recovery.mean.shape)
    z = model.run_with_cache(PAIR["clean"], [("z", int(layer))])["z", int(layer)]
    edit = interp.Edit.set("z", int(layer), value=z[0, :, int(head)][:, None], heads=int(head))
    ids = [model.to_tokens(text).ids[0, 0].item() for text in (PAIR["answer"], PAIR["foil"])]

    def difference(prompt: str, *edits: interp.Edit) -> float:
        logits = model.forward(prompt, edits)[0, -1]
        return (logits[ids[0]] - logits[ids[1]]).item()

    clean, corrupted = difference(PAIR["clean"]), difference(PAIR["corrupted"])
    by_hand = (difference(PAIR["corrupted"], edit) - corrupted) / (clean - corrupted)
    assert found.recovery.mean[layer, head] == pytest.approx(by_hand, abs=1e-4)


def alike(*models: Model, **options: Any) -> float:
    """The correlation of the recoveries that two models find."""
    found = [interp.activation_patching(one, **PAIR, site="resid_pre", **options) for one in models]
    return float(np.corrcoef(*(one.recovery.mean.ravel() for one in found))[0, 1])


@needs_torchao
def test_torchao_int8() -> None:
    model, whole = packed("torchao-int8"), interp.load_model("demo-qwen3", device="cpu")
    assert model.identity.quantisation == "packed by torchao Int8WeightOnlyConfig"
    held_to_plain_runs(model)
    # a scale for each row: no number is off by more than half of its row's largest over 127
    exact, rounded = whole.W_O(1), model.W_O(1)
    steps = exact.flatten(0, 1).abs().amax(0) / 127
    assert ((rounded - exact).abs().flatten(0, 1) <= 0.51 * steps).all()
    assert not torch.equal(rounded, exact)
    assert alike(model, whole, method="attribution") > 0.99


@needs_torchao
def test_gradients_that_are_not_there_are_refused() -> None:
    """torchao's operator for packed activations has no gradient, and does not say so."""
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_

    hf = interp.load_model("demo-qwen3", device="cpu").hf_model
    for layer in hf.model.layers:
        quantize_(layer, Int8DynamicActivationInt8WeightConfig())
    hf.is_quantized = True
    hf.config.quantization_config = {"quant_method": "torchao", "quant_type": "packed activations"}
    model = interp.load_model(hf, self_check=False, name="mine")
    assert model.forward([[5, 17, 99]]).isfinite().all()
    with pytest.raises(InputError, match="no gradient can be relied on"):
        model.gradients([5, 17, 99], ["resid_pre"], interp.Readout.logits([-1]))


@needs_bitsandbytes
def test_bitsandbytes_nf4_in_memory_and_from_disk(tmp_path: Path) -> None:
    model = packed("bitsandbytes-nf4")
    assert model.identity.quantisation == "packed by bitsandbytes nf4"
    held_to_plain_runs(model)
    assert (model.arch.d_head, model.arch.d_mlp) == (32, 512)
    whole = interp.load_model("demo-qwen3", device="cpu")
    assert alike(model, whole) > 0.9
    with suppress(InputError):  # on some processors its operator has no gradient, which is said
        assert alike(model, whole, method="attribution") > 0.9
    again = interp.load_model(model.hf_model, model.tokenizer, name="mine")
    assert again.identity.weights is not None
    torch.testing.assert_close(again.forward([[5, 17]]), model.forward([[5, 17]]), rtol=0, atol=0)
    model.hf_model.save_pretrained(tmp_path / "saved")
    saved = interp.load_model(str(tmp_path / "saved"), device="cpu")
    assert saved.identity.quantisation == model.identity.quantisation
    torch.testing.assert_close(saved.forward([[5, 17]]), model.forward([[5, 17]]), rtol=0, atol=1e-5)


@needs_bitsandbytes
def test_bitsandbytes_int8() -> None:
    model = packed("bitsandbytes-int8")
    assert model.identity.quantisation == "packed by bitsandbytes int8"
    assert model.identity.self_check == "passed"
    whole = interp.load_model("demo-qwen3", device="cpu")
    for options in ({}, {"method": "attribution"}):
        assert alike(model, whole, **options) > 0.99
    with pytest.raises(SiteError, match="no linear map"):  # it rounds what it reads
        model.W_O(0)


class WithoutGradient(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.detach()) + 0 * x[..., :1]


class Rounding(nn.Linear):
    """It rounds what it reads to 8 bits, as packages do, and gives the gradient of the product."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        step = x.detach().abs().amax(-1, keepdim=True) / 127
        return super().forward(x + ((x / step).round() * step - x).detach())


def test_whether_a_gradient_is_right() -> None:
    torch.manual_seed(0)
    assert gradient_is_right(nn.Linear(64, 32))
    assert gradient_is_right(nn.Linear(64, 32).to(torch.bfloat16))
    assert gradient_is_right(Rounding(64, 32))
    assert not gradient_is_right(WithoutGradient(64, 32))


def test_what_cannot_be_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelLoadError, match="Unknown quantisation"):
        interp.load_model("demo-qwen3", quantisation="int3")
    with pytest.raises(ModelLoadError, match="backend='transformers'"):
        packed("torchao-int8", backend="nnsight")
    monkeypatch.setitem(__import__("sys").modules, "bitsandbytes", None)
    with pytest.raises(ModelLoadError, match=r"needs bitsandbytes.*quantised"):
        packed("bitsandbytes-nf4")
