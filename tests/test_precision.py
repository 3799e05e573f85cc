"""Below float32: the lens reads in float32, ties count as ties, NaN is explained."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import interp
from families import family_model
from interp.errors import InterpWarning, NonFiniteError

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
