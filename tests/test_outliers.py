"""Positions of outlying norm: found by the rule, left out by default, taken in on request."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

import interp
from families import family_model
from interp.edits import Edit
from interp.methods.circuits.runs import circuit_values
from interp.methods.common.circuit import Circuit
from interp.methods.common.outliers import find_outliers
from interp.results import read_result
from interp.tasks.base import Pair, PairDataset

BOS = 250
PAIRS = (
    Pair(clean=(BOS, 17, 80, 3, 42), corrupted=(BOS, 64, 80, 90, 42), answer=7, foil=9, template="a"),
    Pair(clean=(BOS, 64, 12, 3, 41), corrupted=(BOS, 17, 12, 90, 41), answer=9, foil=7, template="a"),
)
DATASET = PairDataset(name="made", pairs=PAIRS)


@pytest.fixture(scope="module")
def model():
    """A tiny model whose first token is a hundred times as long as others, in the stream of every layer."""
    hf = family_model("llama").double()
    with torch.no_grad():
        embed = hf.get_input_embeddings().weight
        embed[BOS] *= 100
    return interp.load_model(hf, dtype="float64", device="cpu")


def logit_diff(model, pair, edits=()) -> float:
    logits = model.forward([list(pair.clean)], edits)[0, -1]
    return float(logits[pair.answer] - logits[pair.foil])


def test_the_rule_finds_bos_and_nothing_in_an_ordinary_model(model):
    found = find_outliers(model, DATASET.clean)
    assert found.positions == found.at == ((0,), (0,))
    assert found.largest > 10
    assert "position 0; up to" in found.sentence
    plain = find_outliers(interp.load_model(family_model("llama"), device="cpu"), DATASET.clean)
    assert plain.n == 0
    assert plain.largest < 5
    assert "No position has an outlying norm" in plain.sentence


@pytest.mark.parametrize("include", [False, True])
def test_zeros_and_means_leave_bos_as_it_is(model, include):
    result = interp.ablation(model, DATASET, ["m1"], kinds=["zero", "mean"], include_outliers=include)
    rest = None if include else (1, 2, 3, 4)
    runs = torch.cat([model.run_with_cache([p.corrupted], [("mlp_out", 1)])["mlp_out", 1] for p in PAIRS])
    mean = runs[:, 0 if include else 1 :].mean((0, 1))
    for i, pair in enumerate(PAIRS):
        zero = logit_diff(model, pair, [Edit.zero("mlp_out", 1, positions=rest)])
        by_mean = logit_diff(model, pair, [Edit.set("mlp_out", 1, value=mean, positions=rest)])
        assert result.after_each[i, :, 0] == pytest.approx([zero, by_mean], abs=1e-8)
    assert result.outliers.left_out is not include
    assert result.outliers.positions == ((0,), (0,))
    assert read_result(result.to_dict()).equals(result)


def test_a_position_that_is_named_is_ablated(model):
    result = interp.ablation(model, DATASET, ["m1@0"], kinds=["zero"])
    expected = [logit_diff(model, pair, [Edit.zero("mlp_out", 1, positions=0)]) for pair in PAIRS]
    assert result.after_each[:, 0, 0] == pytest.approx(expected, abs=1e-8)


def test_resampled_activations_are_put_everywhere(model):
    result = interp.ablation(model, DATASET, ["m1"], kinds=["resample"])
    assert result.outliers is None
    other = model.run_with_cache([PAIRS[0].corrupted], [("mlp_out", 1)])["mlp_out", 1]
    expected = logit_diff(model, PAIRS[0], [Edit.set("mlp_out", 1, value=other)])
    assert result.after_each[0, 0, 0] == pytest.approx(expected, abs=1e-8)


def test_circuits_have_the_clean_run_at_bos(model):
    """Of nodes and as edges; by zeros, everything outside keeps what it is at BOS."""
    circuit = Circuit.of(model, []).full.without(["m1", "a0.h1"])
    outliers = find_outliers(model, DATASET.clean)
    found = circuit_values(model, DATASET, [circuit], ablation="zero", outliers=outliers)[0]
    rest = (1, 2, 3, 4)
    edits = [Edit.zero("mlp_out", 1, positions=rest), Edit.zero("z", 0, heads=1, positions=rest)]
    assert found == pytest.approx([logit_diff(model, pair, edits) for pair in PAIRS], abs=1e-8)
    as_edges = circuit_values(model, DATASET, [circuit.as_edges()], ablation="zero", outliers=outliers)[0]
    assert as_edges == pytest.approx(found, abs=1e-6)
    whole = circuit_values(model, DATASET, [circuit], ablation="zero")[0]
    assert np.abs(whole - found).max() > 1e-3


def test_circuits_tell_of_outliers_only_where_a_kind_would_overwrite_them(model):
    circuit = Circuit.of(model, []).full.without(["m1"])
    one = partial(interp.faithfulness, model, DATASET, circuit, n_random=1)
    assert one(ablation="resample", compare=[]).outliers is None
    assert one(ablation="resample", compare=["zero"]).outliers.positions == ((0,), (0,))
