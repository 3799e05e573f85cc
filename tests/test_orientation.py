"""Scores are positive where they support the answer, in both directions and by every metric; a first-order
estimate is refused where the first order is zero."""

from __future__ import annotations

import json

import numpy as np
import pytest

import interp
from interp.errors import InputError
from interp.methods.attribution.edge_attribution import edge_attribution, node_attribution
from interp.results import read_result

PAIR = {
    "clean": "When John and Mary went to the store, John gave a drink to",
    "corrupted": "When John and Mary went to the store, Mary gave a drink to",
    "answer": " Mary",
    "foil": " John",
}


@pytest.fixture(scope="module")
def model(load):
    return load("demo-gpt2")


@pytest.fixture(scope="module")
def pairs(model):
    return interp.make_dataset("indirect_objects", model, n=4, seed=0)


def test_positive_scores_make_the_circuit_and_negative_ones_the_anti_circuit(model, pairs):
    """By the highest scores alone, a circuit of a tenth of the nodes does what the model does."""
    both = [node_attribution(model, pairs, direction=one) for one in ("noising", "denoising")]
    scored = both[0].scored
    n = len(scored.scores) // 3
    best = scored.top(n, absolute=False)
    worst = scored.full.without(scored.top(len(scored.scores) - n, absolute=False).members)
    found = [
        interp.faithfulness(model, pairs, circuit, compare=(), n_random=0).faithfulness.value[0, 2]
        for circuit in (best, worst)
    ]
    assert found[0] > 0.6 > 0.1 > found[1]
    for scores in both:
        top = max(scores.scored.scores, key=lambda name: scores.scored.scores[name])
        assert scores.by_name()[top] > 0
        changed = scores.changes[scores.names.index(top)]
        assert changed < 0 if scores.direction == "noising" else changed > 0


def test_a_divergence_supports_where_it_would_grow(model, pairs):
    scores = node_attribution(model, pairs[:1], metric="kl")
    np.testing.assert_allclose(scores.changes, scores.scores.value)
    assert scores.by_name()["input"] > 0


def test_runs_stored_before_are_turned_when_read(model, pairs):
    scores = node_attribution(model, pairs[:2])
    old = scores.to_dict()
    del old["oriented"]
    old["scores"] = scores.scores.times(-1).to_dict()  # changes, as they were
    assert read_result(old).equals(scores)
    assert read_result(json.loads(json.dumps(scores.to_dict()))).equals(scores)


def test_files_say_what_their_scores_are(model, pairs, tmp_path):
    scored = node_attribution(model, pairs[:1]).scored
    for meaning in ("support", "changes"):
        interp.write_circuit(scored, tmp_path / "c.json", model, scores_are=meaning)
        assert interp.read_circuit(tmp_path / "c.json", model).scores == scored.scores
    held = json.loads((tmp_path / "c.json").read_text())["nodes"]
    name = next(iter(scored.scores))
    assert held[name]["score"] == -scored.scores[name]
    before = json.loads((tmp_path / "c.json").read_text())
    before["interp"] = {"format": 1, "level": "node", "scored": True}
    (tmp_path / "old.json").write_text(json.dumps(before))
    assert interp.read_circuit(tmp_path / "old.json", model).scores == scored.scores
    del before["interp"]  # EAP-IG's own
    (tmp_path / "theirs.json").write_text(json.dumps(before))
    read = interp.read_circuit(tmp_path / "theirs.json", model, level="node", scores_are="changes")
    assert read.scores == scored.scores


def test_no_first_order_estimate_of_a_divergence_at_its_own_run(model, pairs):
    with pytest.raises(InputError, match=r"no gradient at the clean run.*'eap-ig-inputs'"):
        edge_attribution(model, pairs, method="eap", metric="kl")
    with pytest.raises(InputError, match="no gradient at the clean run"):
        node_attribution(model, pairs, method="eap", metric="kl")
    options = {**PAIR, "site": "z", "by": "head", "metric": "kl", "direction": "noising"}
    with pytest.raises(InputError, match=r"no gradient at the clean run.*'integrated'"):
        interp.activation_patching(model, **options, method="attribution")
    found = interp.activation_patching(model, **options, method="integrated", steps=4)
    assert np.abs(1 - found.recovery.mean).max() > 0.01
    sae = interp.load_sae("demo-gpt2", model)
    with pytest.raises(InputError, match="'denoising' with corrupted prompts"):
        interp.feature_effects(model, sae, PAIR["clean"], answer=" Mary", foil=" John", metric="kl")
