"""Noise in the units of what it is added to, with its standard error; few branches are compared."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import interp
from families import family_model
from interp.edits import Edit
from interp.methods.patching.causal_tracing import draw_noise, embedding_std
from interp.models.branching import agreement

IDS = (5, 17, 80, 3, 42)


def test_noise_is_in_the_units_of_scaled_embeddings():
    """Gemma multiplies its embeddings by the root of its width; the matrix has them without."""
    model = interp.load_model(family_model("gemma3_text"), device="cpu")
    tokens = model.to_tokens(list(IDS)).repeat(1)
    matrix = model.hf_model.get_input_embeddings().weight.detach()
    rows = matrix[list(IDS[1:3])].double() * model.arch.d_model**0.5
    assert embedding_std(model, tokens, [1, 2]) == pytest.approx(float(rows.std()), rel=1e-2)


def test_draws_are_added_until_the_error_is_small_or_there_are_enough(load):
    model = load("demo-gpt2")
    asked = {"clean": "The capital of France is", "answer": " Paris", "corruption": "noise"}
    asked |= {"subject": "France"}
    few = interp.causal_tracing(model, **asked, samples=4, most_samples=4)
    more = interp.causal_tracing(model, **asked, samples=4, most_samples=16)
    assert few.samples == 4
    span = few.clean_value - few.corrupted_value
    assert more.samples == (4 if few.corrupted_error <= 0.05 * span else more.samples)
    assert more.samples == 16 or more.corrupted_error <= 0.05 * (more.clean_value - more.corrupted_value)
    where = model.positions_of("The capital of France is", "France")
    std = 3 * embedding_std(model, model.to_tokens(asked["clean"]).repeat(1), where)
    values = []
    for noise in draw_noise(model, n_positions=len(where), std=std, samples=4, seed=0):
        logits = model.forward(asked["clean"], [Edit.add("embed", value=noise, positions=where)])
        values.append(float(logits[0, -1].double().softmax(-1)[few.answer_id]))
    assert few.corrupted_value == pytest.approx(np.mean(values), abs=1e-5)
    assert few.corrupted_error == pytest.approx(np.std(values, ddof=1) / 2, abs=1e-5)


def test_the_first_draws_are_the_same_however_many_there_are(load):
    model = load("demo-gpt2")
    few, many = (draw_noise(model, n_positions=2, std=1.0, samples=n, seed=3) for n in (2, 5))
    torch.testing.assert_close(many[:2], few, rtol=0, atol=0)


@pytest.mark.parametrize(("n", "compared"), [(8, 4), (60, 4), (120, 2)])
def test_few_branches_of_a_long_prompt_are_compared(load, monkeypatch, n, compared):
    model = load("demo-gpt2")
    tokens = model.to_tokens([i % 90 + 5 for i in range(n)]).repeat(1)
    branches = [[Edit.zero("mlp_out", layer)] for layer in range(6)]
    asked = []
    real = agreement.sweep

    def counted(model, tokens, branches, readout):
        asked.append((len(branches), len(readout.positions), max(readout.positions)))
        return real(model, tokens, branches, readout)

    monkeypatch.setattr(agreement, "sweep", counted)
    assert agreement.sweeps_agree(model, tokens, branches)
    assert asked == [(compared, min(n, 32), n - 1)]
    monkeypatch.setattr(agreement, "sweep", lambda *given: 1.1 * real(*given))
    with pytest.warns(UserWarning, match="differ from plain"):
        assert not agreement.sweeps_agree(model, tokens, branches)
