"""Usual traps are warned of in one sentence, and modes of torch change nothing."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

import interp
from interp.errors import InterpWarning

PAIR = {
    "clean": "The capital of France is",
    "corrupted": "The capital of Japan is",
    "answer": " Paris",
    "foil": " Tokyo",
}


@pytest.fixture(scope="module")
def model(load):
    return load("demo-gpt2")


def test_a_prompt_that_ends_in_a_space(model):
    with pytest.warns(InterpWarning, match="ends in a space"):
        model.to_tokens("The capital of France is ")


def test_bos_twice_and_missing(model):
    bos = model.bos_id
    with pytest.warns(InterpWarning, match="BOS twice"):
        model.to_tokens([bos, bos, 5, 6])
    with pytest.warns(InterpWarning, match="do not begin with the BOS"):
        model.to_tokens([5, 6])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.to_tokens([bos, 5, 6])
        model.to_tokens("The capital of France is")


def test_an_answer_without_its_leading_space(model):
    words = [word for word in ("Paris", "the", "in", "a") if _is_token(model, word)]
    assert words
    for word in words:
        asked = {**PAIR, "answer": word, "foil": None, "metric": "kl"}
        logits = model.forward(PAIR["clean"])[0, -1]
        likelier = logits[model.to_single_token(f" {word}")] > logits[model.to_single_token(word)]
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            interp.activation_patching(model, **asked, by="layer")
        found = [str(one.message) for one in seen if "no leading space" in str(one.message)]
        assert bool(found) == bool(likelier)


def _is_token(model, word: str) -> bool:
    try:
        return model.to_single_token(word) != model.to_single_token(f" {word}")
    except interp.errors.InputError:
        return False


def test_an_answer_and_a_foil_that_begin_alike(model):
    paris, tokyo = (model.to_single_token(word) for word in (" Paris", " Tokyo"))
    alike = {**PAIR, "answer": {"any": [[paris, paris]]}, "foil": {"any": [[paris, tokyo]]}}
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("default")
        interp.activation_patching(model, **alike, by="layer")
        interp.activation_patching(model, **alike, by="layer")
    found = [str(one.message) for one in seen if "begin with the same token" in str(one.message)]
    assert len(set(found)) == 1
    apart = {**alike, "foil": {"any": [[tokyo, paris]]}}
    interp.activation_patching(model, **apart, by="layer")  # a warning would be an error
    with pytest.raises(interp.errors.InputError, match="are the same token"):
        interp.activation_patching(model, **{**PAIR, "foil": " Paris"}, by="layer")


def test_a_model_back_in_training_mode(tiny_gpt2):
    model = interp.load_model(tiny_gpt2, device="cpu")
    expected = model.forward([0, 1, 2, 3])
    model.hf_model.train()
    torch.testing.assert_close(model.forward([0, 1, 2, 3]), expected, rtol=0, atol=0)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_methods_with_gradients_work_in_every_mode(model, mode):
    expected = interp.activation_patching(model, **PAIR, site="z", by="head", method="integrated", steps=2)
    dataset = interp.make_dataset("indirect_objects", model, n=1, seed=0)
    scores = interp.edge_attribution(model, dataset, method="eap-ig-inputs", steps=2)
    with mode():
        found = interp.activation_patching(model, **PAIR, site="z", by="head", method="integrated", steps=2)
        again = interp.edge_attribution(model, dataset, method="eap-ig-inputs", steps=2)
        parts = interp.direct_logit_attribution(model, PAIR["clean"], " Paris", " Tokyo")
    np.testing.assert_allclose(found.recovery.mean, expected.recovery.mean, atol=1e-6)
    np.testing.assert_allclose(again.scores.value, scores.scores.value, atol=1e-6)
    assert parts.by_component.mean.sum() == pytest.approx(parts.logits.mean(), abs=1e-3)
