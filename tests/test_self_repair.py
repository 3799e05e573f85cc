"""A planted backup, an inhibition head and a sink: what each method sees of them, and what it cannot see."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import interp
from compiled import LOGIT
from compiled_backup import BACKUP, INHIBITION, PRINCIPAL, WHOLE, Planted, self_repair_model
from conftest import needs_backend
from edges_by_hand import exact_effects
from interp.methods.attribution.results import EDGE_METHODS
from interp.methods.common.circuit import Circuit
from interp.models.base import Model
from interp.tasks.base import PairDataset
from planting import BOS
from test_heads import as_dataset

INHIBITED, MAIN, OTHER = "a0.h3", "a1.h2", "a2.h1"
CLOSE = 0.03 * LOGIT


@pytest.fixture(scope="module")
def made() -> tuple[Planted, Model, PairDataset]:
    planted = self_repair_model()
    return planted, interp.load_model(planted.hf_model, device="cpu"), as_dataset(planted, 4)


def change(model: Model, pairs: PairDataset, *names: str, kind: str = "zero", **options) -> float:
    """What the logit difference changes by without these, together."""
    return float(interp.ablation(model, pairs, [list(names)], kinds=kind, **options).change.mean[0, 0])


# ---- it is what it says it is ----


def test_it_answers_and_its_heads_look_where_they_should(made):
    planted, model, _ = made
    pairs = planted.pairs(20)
    prompts = [pair.clean for pair in pairs]
    patterns = model.run_with_cache(prompts, ["pattern"]).stack("pattern")
    for row, (pair, logits) in enumerate(zip(pairs, model.forward(prompts), strict=True)):
        assert logits[-1].softmax(-1)[pair.answer] > 0.99
        assert float(logits[-1, pair.answer] - logits[-1, pair.foil]) == pytest.approx(WHOLE, rel=0.01)
        for name, query, key in planted.attention:
            place = (planted.heads | planted.distractors)[name]
            assert patterns[place[0], row, place[1]][pair.positions[query], pair.positions[key]] > 0.99, name
        end = patterns[PRINCIPAL[0], row, PRINCIPAL[1], -1]
        assert end[pair.positions["BEFORE"]] == pytest.approx(0.5, abs=0.01)
        assert end[0] == pytest.approx(0.5, abs=0.01)


def test_exactly_the_planted_edges_carry_what_differs(made):
    planted, model, _ = made
    for pair in planted.pairs(2):
        effects = exact_effects(model, pair.clean, pair.corrupted, pair.readout)
        assert {edge for edge, effect in effects.items() if abs(effect) > 1e-2} == planted.edges
        negative = {edge for edge in planted.edges if effects[edge] > 0}  # noising raises the metric
        assert negative == {("input", "a0.h3<v>"), ("a0.h3", "a1.h2<q>"), ("input", "a1.h2<k>")}


# ---- the backup ----


def test_zeroing_the_principal_alone_shows_nothing_and_the_set_shows_it(made):
    _, model, pairs = made
    assert abs(change(model, pairs, MAIN)) < 0.01 * WHOLE
    assert abs(change(model, pairs, OTHER)) < 0.01 * WHOLE
    assert change(model, pairs, MAIN, OTHER) == pytest.approx(-WHOLE, rel=0.02)
    every = interp.ablation(model, pairs, "heads", kinds="zero")
    strongest = every.sets[int(np.abs(every.change.mean[0]).argmax())]
    assert strongest == INHIBITED  # of single heads, by zeros, the only one that matters


def test_what_another_run_writes_does_not_wake_the_backup(made):
    _, model, pairs = made
    for kind in ("mean", "resample"):
        assert change(model, pairs, MAIN, kind=kind) < -0.9 * WHOLE
        assert abs(change(model, pairs, OTHER, kind=kind)) < 0.01 * WHOLE


def test_head_ablation_and_direct_attribution_disagree_about_the_principal(made):
    _, model, pairs = made
    parts = interp.direct_logit_attribution(
        model, pairs.clean, pairs.answers, pairs.foils, views=("head",)
    ).by_head
    assert parts is not None
    assert parts.mean[PRINCIPAL] == pytest.approx(WHOLE, rel=0.01)
    assert abs(parts.mean[BACKUP]) < CLOSE


def test_no_method_on_one_part_at_a_time_finds_the_backup_and_completeness_misses_it(made):
    _, model, pairs = made
    for method in EDGE_METHODS:
        scores = interp.node_attribution(model, pairs, method=method, steps=2).by_name()
        assert abs(scores[OTHER]) < 1e-2
    found = Circuit.of(model, [INHIBITED, MAIN])
    options = {"ablation": "zero", "keep_mlps": True}
    faithful = interp.faithfulness(model, pairs, found, compare=(), n_random=0, **options)
    assert faithful.faithfulness.value[0, 2] == pytest.approx(1, abs=0.02)
    groups = {"principal": [MAIN]}
    apart = interp.completeness(model, pairs, found, groups=groups, n_random=0, n_greedy=0, **options)
    lacking = dict(zip(apart.parts, apart.incompleteness, strict=True))
    assert lacking["principal"] == pytest.approx(WHOLE, rel=0.02)
    whole = Circuit.of(model, [INHIBITED, MAIN, OTHER])
    apart = interp.completeness(model, pairs, whole, groups=groups, n_random=0, n_greedy=0, **options)
    assert dict(zip(apart.parts, apart.incompleteness, strict=True))["principal"] < CLOSE


# ---- the inhibition head ----


@pytest.mark.parametrize("kind", ["zero", "mean", "resample"])
def test_without_the_inhibition_head_the_answer_is_twice_as_strong(made, kind):
    _, model, pairs = made
    assert change(model, pairs, INHIBITED, kind=kind) == pytest.approx(LOGIT - WHOLE, rel=0.03)


@pytest.mark.parametrize("method", EDGE_METHODS)
def test_inhibition_is_negative_by_every_method_on_edges_and_the_planted_come_first(made, method):
    planted, model, pairs = made
    scores = interp.edge_attribution(model, pairs[:2], method=method, steps=3)
    names = {f"{sender}->{receiver}" for sender, receiver in planted.edges}
    assert {name for name, _ in scores.strongest(len(names))} == names
    by_name = scores.by_name()
    for name in ("input->a0.h3<v>", "a0.h3->a1.h2<q>", "input->a1.h2<k>"):
        assert by_name[name] < -0.1 * WHOLE
    assert by_name["a1.h2->logits"] > WHOLE


def test_direct_attribution_does_not_see_inhibition(made):
    _, model, pairs = made
    parts = interp.direct_logit_attribution(
        model, pairs.clean, pairs.answers, pairs.foils, views=("head",)
    ).by_head
    assert parts is not None
    assert parts.mean[INHIBITION] == pytest.approx(0, abs=1e-3)


# ---- the sink ----


def test_zeros_at_bos_blame_an_mlp_that_does_nothing_for_the_answer(made):
    _, model, pairs = made
    found = interp.ablation(model, pairs, ["m0"], kinds=["zero", "mean"])
    assert found.outliers is not None
    assert found.outliers.at == ((0,),) * len(pairs)
    assert found.outliers.largest > 50
    np.testing.assert_allclose(found.change.mean, 0, atol=1e-3)
    everywhere = interp.ablation(model, pairs, ["m0"], kinds=["zero", "mean"], include_outliers=True)
    np.testing.assert_allclose(everywhere.change.mean, WHOLE, rtol=0.01)  # the backup has no place to rest


def test_a_mean_that_takes_bos_in_is_no_mean_of_what_others_write(made):
    _, model, pairs = made
    run = model.run_with_cache(pairs.clean, [("mlp_out", 0)])["mlp_out", 0]
    assert float(run[:, 1:].norm(dim=-1).max()) < 3
    assert float(run.mean((0, 1)).norm()) > 100
    assert set(torch.tensor(pairs.clean)[:, 0].tolist()) == {BOS}


@pytest.mark.parametrize("backend", ["transformer_lens", "nnsight"])
def test_it_loads_on_every_backend(made, backend):
    needs_backend(backend)
    planted, model, pairs = made
    other = interp.load_model(planted.hf_model, backend=backend, device="cpu")
    torch.testing.assert_close(other.forward(pairs.clean), model.forward(pairs.clean), rtol=0, atol=1e-3)
