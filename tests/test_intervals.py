"""Intervals cover what they say, by simulation; cells are told from chance at the rate that is said."""

from __future__ import annotations

import json

import numpy as np
import pytest

import interp
from interp.errors import DegeneratePairError, InputError
from interp.figures.views.activation_patching import report
from interp.figures.views.chance_text import chance_sentence, framed_cells
from interp.figures.views.pairs_text import how_interval
from interp.methods.common.chance import benjamini_hochberg, standing_out
from interp.methods.common.intervals import (
    Interval,
    magnitude,
    mean_interval,
    probability_interval,
    ratio_interval,
    share_interval,
)
from interp.methods.common.statistics import estimate, ratio_estimate
from interp.methods.common.student_t import quantile, two_sided_p
from interp.results import decoded

CELLS = 3000  # simulated datasets


@pytest.fixture
def gpt2(load):
    return load("demo-gpt2")


def covers(found: Interval, truth: float) -> float:
    return float(((found.low <= truth) & (truth <= found.high)).mean())


@pytest.mark.parametrize("n", [5, 10, 30, 100])
@pytest.mark.parametrize(("sigma", "truth"), [(None, 0.0), (0.5, np.exp(0.125)), (1.0, np.exp(0.5))])
def test_intervals_of_a_mean_cover_95_percent_of_normal_and_of_skewed_values(n, sigma, truth):
    rng = np.random.default_rng(n)
    each = rng.normal(size=(n, CELLS)) if sigma is None else rng.lognormal(0, sigma, size=(n, CELLS))
    least = 0.90 if (n, sigma) == (5, 1.0) else 0.92  # five very skewed values hardly show that they are
    assert least <= round(covers(mean_interval(each, seed=n), truth), 2) <= 0.97


@pytest.mark.parametrize("n", [2, 3, 4])
def test_fewer_than_five_prompts_have_student_s_interval(n):
    each = np.random.default_rng(0).normal(size=(n, CELLS))
    found = mean_interval(each, seed=0)
    assert covers(found, 0.0) == pytest.approx(0.95, abs=0.01)
    np.testing.assert_allclose(found.high - found.value, quantile(0.95, n - 1) * found.error)


def test_prompts_of_a_template_are_drawn_together():
    """300 prompts from 15 templates, which make up half of the variance: alone, they cover 0.45."""
    rng = np.random.default_rng(0)
    each = (rng.normal(size=(15, 1, CELLS)) + rng.normal(size=(15, 20, CELLS))).reshape(300, CELLS)
    labels = [f"template {i // 20}" for i in range(300)]
    assert covers(mean_interval(each, 0), 0.0) < 0.6
    assert 0.92 <= covers(mean_interval(each, 0, labels), 0.0) <= 0.97
    assert mean_interval(each, 0, labels).clusters == 15


@pytest.mark.parametrize("n", [5, 10, 30])
def test_intervals_of_a_ratio_of_means_cover(n):
    rng = np.random.default_rng(n)
    spans = rng.gamma(4, 1, size=(n, CELLS))
    found = ratio_interval(0.5 * spans + 0.3 * spans * rng.normal(size=(n, CELLS)), spans, seed=0)
    assert 0.92 <= covers(found, 0.5) <= 0.97


def test_of_one_prompt_there_is_no_interval_and_that_is_kept():
    found = estimate(np.array([[[1.0, 2.0]]]), seed=0)
    assert np.isnan(found.low).all()
    assert np.isnan(found.high).all()
    assert found.clusters == 1
    text = json.dumps(found.to_dict(), allow_nan=False)
    back = decoded(json.loads(text))
    assert back.equals(found)
    assert np.isnan(back.low).all()
    assert how_interval(found, over="pairs") == "One pair alone: there is no interval."
    assert standing_out(found) is None
    assert framed_cells(found)["framed_means"] == "the strongest"


def test_the_same_number_everywhere_has_an_interval_of_itself_and_sparse_values_a_finite_one():
    same = mean_interval(np.full((8, 1), 0.25), seed=0)
    assert same.low == same.high == 0.25
    assert same.error == 0
    sparse = mean_interval(np.eye(20)[:, :1], seed=0)  # one prompt of twenty: many samples have none
    assert 0 > sparse.low[0] > -0.1
    assert 0.2 > sparse.high[0] > 0.1


def test_a_size_has_an_interval_from_zero_where_both_signs_are_in_it():
    ends = {"low": np.array([-2.0, 1.0, -3.0]), "high": np.array([1.0, 2.0, -1.0])}
    found = magnitude(Interval(value=np.array([-0.5, 1.5, -2.0]), **ends))
    np.testing.assert_array_equal([found.low, found.value, found.high], [[0, 1, 1], [0.5, 1.5, 2], [2, 2, 3]])


def test_labels_of_clusters_are_one_for_each_prompt():
    with pytest.raises(InputError, match=r"3 prompts and 2 labels"):
        mean_interval(np.zeros((3, 1)), 0, ["a", "b"])


def test_student_s_t_is_that_of_the_tables():
    for freedom, far in ((1, 12.7062), (2, 4.30265), (5, 2.57058), (30, 2.04227), (299, 1.96793)):
        assert quantile(0.95, freedom) == pytest.approx(far, abs=1e-4)
        assert float(two_sided_p(np.asarray(far), freedom)) == pytest.approx(0.05, abs=1e-5)


# ---- which cells stand out ----


def test_discoveries_are_benjamini_and_hochberg_s():
    """The example of their paper (15 p values, of which four are discoveries at 0.05)."""
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719]
    assert benjamini_hochberg(np.array([*p, 0.6528, 0.7590, 1.0])).sum() == 4


def test_of_heads_without_effect_hardly_one_stands_out_and_those_with_one_do():
    rng = np.random.default_rng(0)
    each = rng.normal(size=(20, 12, 12))
    each[:, 3, :2] += 3.0
    found = standing_out(estimate(each, seed=0))
    assert found is not None
    assert found.cells[3, :2].all()
    assert found.n <= 4
    assert found.by_chance == pytest.approx(7.2)
    (sentence,) = chance_sentence(estimate(each, seed=0), "heads")
    assert sentence.startswith(f"{found.n} of 144 heads are told from chance (Benjamini-Hochberg")
    assert set(framed_cells(estimate(each, seed=0))["framed"]) >= {(3, 0), (3, 1)}


def test_rounding_does_not_stand_out():
    each = np.random.default_rng(0).normal(5, 1, size=(10, 2))
    each[:, 1] = 1e-15
    found = standing_out(estimate(each, seed=0))
    assert found is not None
    assert found.cells.tolist() == [True, False]


# ---- a ratio of means ----


def test_a_pair_with_a_tiny_span_does_not_make_the_recovery():
    """Spans 4, 5 and -0.23; the mean of the ratios would be 6.2."""
    numerators, spans = np.array([[0.4], [0.5], [-4.554]]), np.array([4.0, 5.0, -0.23])
    assert (numerators[:, 0] / spans).mean() > 6
    found = ratio_estimate(numerators, spans, seed=0)
    assert found.mean[0] == pytest.approx((0.4 + 0.5 - 4.554) / 8.77)
    np.testing.assert_allclose(found.each.mean(0), found.mean)


@pytest.mark.parametrize("direction", ["denoising", "noising"])
def test_recovery_over_pairs_is_a_ratio_of_means_and_weak_pairs_are_counted(gpt2, direction):
    """Two good pairs, and one the wrong way round: its answer is what the corrupted prompt says."""
    cities = {"France": " Paris", "Japan": " Tokyo", "Italy": " Rome"}
    pairs = [("France", "Japan", " Paris", " Tokyo"), ("Italy", "France", " Rome", " Paris")]
    pairs.append(("Japan", "Italy", cities["Italy"], cities["Japan"]))
    asked = {
        "clean": [f"The capital of {a} is" for a, *_ in pairs],
        "corrupted": [f"The capital of {b} is" for _, b, *_ in pairs],
        "answer": [answer for *_, answer, _ in pairs],
        "foil": [foil for *_, foil in pairs],
    }
    found = interp.activation_patching(gpt2, **asked, site="z", by="head", direction=direction)
    spans = found.clean_values - found.corrupted_values
    assert found.weak == (2,)
    assert spans[2] < 0
    alone = [
        interp.activation_patching(
            gpt2, **{key: value[i] for key, value in asked.items()}, site="z", by="head", direction=direction
        )
        for i in (0, 1)
    ]
    np.testing.assert_allclose(found.values[0], alone[0].values[0], atol=1e-4)
    np.testing.assert_allclose(found.effects[1], alone[1].effects[0], atol=1e-4)
    brought_back = found.values - found.corrupted_values[:, None, None]
    np.testing.assert_allclose(found.recovery.mean, brought_back.sum(0) / spans.sum(), atol=1e-9)
    page = report(found)
    assert "In 1 of 3 pairs the clean run does not favour the answer" in page
    with pytest.raises(DegeneratePairError, match="favours the clean answer less"):
        interp.activation_patching(gpt2, **{key: value[2] for key, value in asked.items()})


def test_what_a_span_is_compared_with_goes_with_the_model_s_logits(gpt2):
    """Logits a hundred times smaller have spans a hundred times smaller, and recoveries as before."""
    from interp.methods.common.pairs import check_span, metric_spread

    logits = gpt2.forward("The capital of France is")[0, -1]
    assert metric_spread("logit_diff", logits / 100) == pytest.approx(
        metric_spread("logit_diff", logits) / 100, rel=1e-4
    )
    check_span(0.04, 0.0, "logit_diff", spread=0.03)
    with pytest.raises(DegeneratePairError, match="hardly differ"):
        check_span(0.04, 0.0, "logit_diff", spread=3.0)
    check_span(0.0, 0.2, "kl", spread=3.0)  # a divergence is lower where it is as clean


def test_pairs_of_a_template_are_clusters_whatever_the_order_of_the_names(gpt2):
    dataset = interp.make_dataset("indirect_objects", gpt2, n=60, seed=0)
    assert dataset.clustered_by == "template"
    assert len(set(dataset.clusters)) == 15
    one = dataset.where(template=dataset[0].template)
    assert one.clustered_by in ("", "answer")
    facts = interp.make_dataset("facts", gpt2, n=10, seed=0)
    assert facts.clusters is None or len(facts.clusters) == 10


def test_shares_and_probabilities_end_within_0_and_1():
    rng = np.random.default_rng(0)
    each = rng.random((6, 40)) ** 8  # most near 0, some near 1: plain intervals leave [0, 1]
    plain = mean_interval(each, 0)
    assert plain.low.min() < 0 or plain.high.max() > 1
    found = probability_interval(each, 0)
    assert found.low.min() >= 0
    assert found.high.max() <= 1
    assert np.array_equal(found.value, plain.value)
    right = np.array([[1.0, 0.0, 1.0], [1.0, 0.0, 0.0], [1.0, 0.0, 1.0], [1.0, 0.0, 1.0]])
    share = share_interval(right, 0)
    least = 0.025 ** (1 / 4)  # four of four: a lower share would give that in less than one case of 40
    assert share.low == pytest.approx([least, 0, max(0, mean_interval(right, 0).low[2])])
    assert share.high == pytest.approx([1, 1 - least, 1])
    of_two = share_interval(right, 0, ["a", "a", "b", "b"])
    assert of_two.low[0] == pytest.approx(0.025 ** (1 / 2))
