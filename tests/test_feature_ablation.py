"""Knock-outs of chosen features: every number by plain runs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from interp import feature_ablation, feature_edit, make_dataset
from interp.errors import InputError
from interp.figures.views.feature_ablation import view
from interp.methods.features.feature_ablation import NEAREST, _as_active
from interp.results import read_result
from interp.saes.activations import TopK
from interp.text.sequences import load_text
from test_saes import make


@pytest.fixture(scope="module")
def asked(load):
    model = load("demo-gpt2")
    sae = make(model, "resid_post", 3, activation=TopK(5))
    text = load_text(model, "demo", training=1, held_out=3, length=20)[1]
    return model, sae, text


def without(model, sae, ids, features):
    edits = [feature_edit(sae, "ablate", features, positions=range(1, len(ids)))] if features else []
    return model.forward([list(ids)], edits)[0].double()


def test_every_number_is_that_of_plain_runs(asked):
    model, sae, text = asked
    dataset, other = make_dataset("facts", model, n=6), make_dataset("indirect_objects", model, n=2)
    found = feature_ablation(
        model, sae, dataset, text, others=[other], sizes=[1, 3], n_random=2, batch_size=2
    )
    first, second = found.tasks
    assert (first.task, second.task, found.sizes) == ("facts", "indirect_objects", (0, 1, 3))
    assert (found.n_chosen_on, first.n_prompts, second.n_prompts) == (3, 3, 2)
    for size, k in enumerate(found.sizes):
        diffs = []
        for pair in other:
            last = without(model, sae, pair.clean, found.chosen[:k])[-1]
            diffs.append((last[pair.answer] - last[pair.foil]).item())
        assert second.logit_diff.value[0, size] == pytest.approx(np.mean(diffs), abs=1e-3)
        assert second.accuracy[0, size] == np.mean(np.array(diffs) > 0)
        losses = []
        for ids in text:
            said = without(model, sae, ids, found.chosen[:k])[1:-1].log_softmax(-1)
            losses.append(-said.gather(1, torch.tensor(ids)[2:, None]).mean().item())
        assert found.text.loss[0, size] == pytest.approx(np.mean(losses), abs=1e-4)
        change = found.text.loss[0, size] - found.text.loss[0, 0]
        assert found.text.change_low[0, size] <= change <= found.text.change_high[0, size]
    for task in found.tasks:
        assert task.logit_diff.value[0, 0] == pytest.approx(task.logit_diff.value[1, 0])
    said = " ".join(view(found).below)
    assert f"over {first.logit_diff.clusters} cluster" in said
    assert "3 sequences of text" in said
    assert (found.text.loss[:, 1:] != found.text.loss[:, :1]).all()
    assert found.effects.tolist() == sorted(found.effects)
    assert read_result(found.to_dict()).to_dict() == found.to_dict()


def test_the_chosen_are_those_that_the_task_loses_most_without(asked):
    model, sae, text = asked
    dataset = make_dataset("facts", model, n=2)
    found = feature_ablation(model, sae, dataset, text, sizes=[2], n_random=1)
    by_half = []
    for pair in dataset:
        alone = []
        for feature in range(sae.n_features):
            last = without(model, sae, pair.clean, [feature])[-1]
            alone.append((last[pair.answer] - last[pair.foil]).item())
        by_half.append(tuple(np.argsort(alone)[:2].tolist()))
    assert found.chosen in by_half


def test_features_that_are_as_active_are_others():
    activity = np.exp(np.arange(60) / 10.0)
    activity[[5, 6]] = 0
    chosen = [30, 31, 59]
    drawn = _as_active(chosen, activity, "0")
    assert len(set(drawn)) == 3
    assert not {*drawn} & {*chosen, 5, 6}, "neither the chosen nor silent ones"
    assert all(abs(a - b) <= NEAREST for a, b in zip(drawn, chosen, strict=True))
    assert drawn == _as_active(chosen, activity, "0") != _as_active(chosen, activity, "1")


def test_what_cannot_be_asked_is_refused(asked):
    model, sae, text = asked
    dataset = make_dataset("facts", model, n=2)
    for data, given, options, said in (
        (dataset, text, {"sizes": [3, 1]}, "rising"),
        (dataset, text, {"sizes": [0]}, "rising"),
        (dataset, text, {"n_random": 0}, "at least 1"),
        (dataset, text, {"sizes": [39]}, "too few"),
        (dataset[:1], text, {}, "half"),
        (dataset, [[1, 2, 3], [1, 2, 3, 4]], {}, "one length"),
    ):
        with pytest.raises(InputError, match=said):
            feature_ablation(model, sae, data, given, **options)
