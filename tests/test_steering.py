"""Steering by features and directions, against plain runs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import interp
from interp import feature_edit, steering
from interp.edits import Edit
from interp.errors import ConfigError, EditError, InputError, SiteError
from interp.experiments.base import find_experiment
from interp.figures.engine.view import Lines
from interp.figures.views.steering import view
from interp.results import read_result
from interp.saes.activations import Standard
from interp.sites import Address
from test_saes import make

PROMPTS = ["The capital of France is", "Mary and John went to the"]  # of different lengths
STRENGTHS = [-400.0, 0.0, 400.0]


@pytest.mark.parametrize("positions", [None, [1, -1]])
@pytest.mark.parametrize("op", ["add", "set"])
def test_every_strength_is_a_run_of_its_own(load, op, positions):
    model = load("demo-qwen3")
    sae = make(model, "resid_post", 2, activation=Standard())
    asked = {"sae": sae, "feature": 7, "op": op, "positions": positions}
    found = steering(model, PROMPTS, STRENGTHS, **asked, track=[" Paris", " store"], n_tokens=3, k=4)
    for i, prompt in enumerate(PROMPTS):
        ids = model.to_tokens(prompt).row(0)
        plain = model.forward(prompt)[0, -1].double()
        for s, strength in enumerate(STRENGTHS):
            grown, first = list(ids), None
            for _ in range(3):  # what was said is steered too, where no positions are given
                where = range(1, len(grown)) if positions is None else [1, len(ids) - 1]
                edit = feature_edit(sae, op, 7, value=strength, positions=where)
                last = model.forward([grown], [edit])[0, -1].double()
                first = last if first is None else first
                grown.append(int(last.argmax()))
            assert found.steered.continuations[i][s] == "".join(model.labels(grown[len(ids) :]))
            p = first.softmax(-1)
            tracked = [p[model.to_single_token(token)].item() for token in (" Paris", " store")]
            assert found.steered.probabilities[i, s].tolist() == pytest.approx(tracked, rel=1e-3, abs=1e-6)
            top = p.topk(4)
            assert found.steered.top_probabilities[i, s].tolist() == pytest.approx(
                top.values.tolist(), rel=1e-3
            )
            assert list(found.steered.top[i][s]) == model.labels(top.indices)
            kl = (plain.softmax(-1) * (plain.log_softmax(-1) - first.log_softmax(-1))).sum().item()
            assert found.steered.kl[i, s] == pytest.approx(kl, rel=1e-2, abs=1e-5)
    if op == "add":
        np.testing.assert_allclose(found.steered.kl[:, 1], 0, atol=1e-8)
        assert all(
            rows[1] == before
            for rows, before in zip(found.steered.continuations, found.unsteered.continuations, strict=True)
        )
        np.testing.assert_allclose(
            found.steered.probabilities[:, 1], found.unsteered.probabilities, rtol=1e-4
        )
    assert found.steered.kl[:, 2].min() > 1e-3
    assert read_result(found.to_dict()).to_dict() == found.to_dict()


def test_a_feature_is_a_direction_where_nothing_is_normalised(load):
    """Adding to a feature adds its direction, on any backend."""
    model = load("demo-gpt2")
    sae = make(model, "resid_post", 2, activation=Standard())
    a = steering(model, PROMPTS, STRENGTHS, sae=sae, feature=7, n_tokens=2)
    b = steering(model, PROMPTS, STRENGTHS, direction=sae.W_dec[7], at=Address("resid_post", 2), n_tokens=2)
    np.testing.assert_allclose(a.steered.top_probabilities, b.steered.top_probabilities, rtol=1e-3)
    assert (a.steered.continuations, a.steered.top) == (b.steered.continuations, b.steered.top)
    assert a.activation is not None
    assert b.activation is None
    x = model.run_with_cache(PROMPTS[0], [sae.address])[sae.address][0]
    assert a.activation[0] == pytest.approx(sae.encode(x)[1:, 7].max().item(), rel=1e-4)
    edit = Edit.add("resid_post", 2, value=-400 * sae.W_dec[7], positions=range(1, 6))
    best = model.forward(PROMPTS[0], [edit])[0, -1].softmax(-1).max().item()
    assert a.steered.top_probabilities[0, 0, 0] == pytest.approx(best, rel=1e-3)


def test_what_cannot_be_steered_is_refused(load):
    model = load("demo-gpt2")
    sae = make(model, "resid_post", 2)
    by = {"sae": sae, "feature": 1}
    plain = {"direction": torch.ones(192), "at": Address("resid_post", 2)}
    for strengths, asked, said in (
        ([1.0], {}, "Steer by a feature"),
        ([1.0], {**by, **plain}, "Steer by a feature"),
        ([1.0], {"sae": sae}, "Steer by a feature"),
        ([1.0], {"sae": sae, "at": plain["at"]}, "Steer by a feature"),
        ([1.0], {**plain, "op": "set"}, "no activation"),
        ([1.0], {**by, "op": "ad"}, "did you mean 'add'"),
        ([], by, "rising"),
        ([2.0, 1.0], by, "rising"),
        ([1.0], {**by, "n_tokens": -1}, "at least 0"),
        ([1.0], {**by, "n_tokens": 128}, "at most 128"),
        ([1.0], {**by, "track": [" Paris is"]}, "token"),
    ):
        with pytest.raises(InputError, match=said):
            steering(model, PROMPTS, strengths, **asked)
    with pytest.raises(InputError, match="two tokens"):
        steering(model, [[5]], [1.0], **by)
    with pytest.raises(EditError, match="no feature 40"):
        steering(model, PROMPTS, [1.0], sae=sae, feature=40)
    with pytest.raises(EditError, match="broadcast"):
        steering(model, PROMPTS, [1.0], direction=torch.ones(3), at=Address("resid_post", 2))
    for positions in ([9], [-9]):
        with pytest.raises(SiteError, match="out of range"):
            steering(model, PROMPTS, [1.0], **by, positions=positions)
    with pytest.raises(InputError, match="another unembedding"):
        steering(load("demo-qwen3"), PROMPTS, [1.0], **by)


def test_strengths_in_units_of_the_norm_are_recorded_in_both(load):
    model = load("demo-gpt2")
    prompt, at = "The capital of France is", Address("resid_post", 2)
    direction = torch.randn(model.arch.d_model, generator=torch.Generator().manual_seed(0)) * 3
    norms = model.run_with_cache(prompt, [at])[at][0].norm(dim=-1)
    typical = float(norms.median())
    found = steering(
        model, prompt, [0.5, 1.0], direction=direction, at=at, unit="norm", n_tokens=0, track=[" Paris"]
    )
    assert found.typical_norm == pytest.approx(typical, rel=1e-5)
    assert found.relative == pytest.approx([0.5, 1.0], rel=1e-4)
    own = [share * typical / float(direction.norm()) for share in (0.5, 1.0)]
    assert found.strengths == pytest.approx(own, rel=1e-4)
    same = steering(model, prompt, own, direction=direction, at=at, n_tokens=0, track=[" Paris"])
    np.testing.assert_allclose(same.steered.probabilities, found.steered.probabilities, rtol=1e-3, atol=1e-6)
    assert same.relative == pytest.approx([0.5, 1.0], rel=1e-4)
    assert "times the typical norm there" in view(found).above[0]


# ---- along a direction of a file, and what it costs ----


def test_what_a_strength_costs_on_text_is_that_of_runs_of_the_text(load):
    model = load("demo-gpt2")
    text = [[0, 40, 41, 42, 43], [0, 99, 98, 97]]
    vector = torch.randn(model.arch.d_model, generator=torch.Generator().manual_seed(0))
    found = steering(
        model, PROMPTS[0], [0.0, 5.0], direction=vector, at=Address("resid_post", 2), n_tokens=0, text=text
    )
    kl, rise, plain_loss = [], [], []
    for ids in text:
        edit = Edit.add("resid_post", 2, value=5 * vector, positions=range(1, len(ids)))
        plain, edited = (model.forward([ids], edits)[0].double().log_softmax(-1) for edits in ([], [edit]))
        kl.append((plain.exp() * (plain - edited)).sum(-1)[1:].mean().item())
        own = [
            -torch.stack([logs[p, ids[p + 1]] for p in range(1, len(ids) - 1)]).mean().item()
            for logs in (plain, edited)
        ]
        plain_loss.append(own[0])
        rise.append(own[1] - own[0])
    assert found.text_tokens == 7
    assert found.text_loss == pytest.approx(np.mean(plain_loss), rel=1e-4)
    assert found.cost.value.tolist() == pytest.approx([0, np.mean(kl)], rel=1e-3, abs=1e-6)
    assert found.rise.value.tolist() == pytest.approx([0, np.mean(rise)], rel=1e-3, abs=1e-6)
    assert "perplexity as it is" in view(found).block("cost", Lines).title
    assert read_result(found.to_dict()).to_dict() == found.to_dict()


def test_the_experiment_steers_along_a_direction_of_a_file(load, tmp_path):
    model = load("demo-gpt2")
    data = interp.make_labelled("people", model, n=16, yes="unknown", no="known")
    directions = interp.find_directions(model, data, layers=[2, 3])
    file = tmp_path / "unknown.safetensors"
    interp.write_directions(file, directions)
    experiment = find_experiment("steering")
    values = {"directions": str(file), "direction": 1, "prompts": PROMPTS[0], "strengths": [-1.0, 2.0]}
    asked = values | {"unit": "norm", "track": [" unknown"], "n_tokens": 1}
    found = experiment.run(experiment.make_config(asked), model)
    own = steering(
        model, PROMPTS[0], [-1.0, 2.0], direction=directions[1], unit="norm", track=[" unknown"], n_tokens=1
    )
    assert found.what == "the direction from 'known' to 'unknown' (mean difference)"
    np.testing.assert_allclose(found.steered.probabilities, own.steered.probabilities, rtol=1e-5)
    assert found.relative == pytest.approx((-1, 2), rel=1e-4)
    with pytest.raises(ConfigError, match="has both directions and feature"):
        experiment.make_config(values | {"feature": 3})
    with pytest.raises(ConfigError, match="There is no direction 2"):
        experiment.run(experiment.make_config(values | {"direction": 2}), model)
