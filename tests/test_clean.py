"""Clean means clean: what the model does not say, or does not favour, is told in the first lines."""

from __future__ import annotations

import pytest

import interp
from interp.figures.views import (
    ablation,
    activation_patching,
    causal_tracing,
    completeness,
    direct_logit_attribution,
    faithfulness,
    faithfulness_curve,
    head_ablation,
    patching_vs_attribution,
    path_patching,
)
from interp.methods.common.circuit import Circuit
from interp.results import read_result
from interp.tasks.base import PairDataset, encode_pair

RIGHT = {"clean": "The capital of France is", "corrupted": "The capital of Japan is"}
ANSWERS = {"answer": " Paris", "foil": " Tokyo"}
UNSAID = {"answer": " Rome", "foil": " Tokyo"}  # above the foil, perhaps, and not what the model says


def first_lines(view) -> str:
    return " ".join(view.above)


def all_of(view) -> str:
    return " ".join([*view.above, *view.below])


def test_an_answer_that_the_model_does_not_say_is_told_first(load):
    model = load("demo-gpt2")
    right = interp.causal_tracing(model, **RIGHT, **ANSWERS)
    assert right.gives_answer
    assert "sufficient here" in all_of(causal_tracing.view(right))
    assert "does not" not in first_lines(causal_tracing.view(right))
    asked = {**RIGHT, "answer": " Tokyo", "foil": " Paris"}
    swapped = {**asked, "clean": RIGHT["corrupted"], "corrupted": RIGHT["clean"]}
    assert interp.causal_tracing(model, **swapped).gives_answer
    unsaid = interp.causal_tracing(model, **RIGHT, answer=" Rome", metric="kl", foil=" Cairo")
    page = causal_tracing.view(unsaid)
    assert (
        causal_tracing.view(unsaid).above[0]
        == "The model does not say ␣Rome here: its first choice is ␣Paris."
    )
    assert "sufficient here" not in all_of(page)


def test_a_foil_above_the_answer_is_told_first_over_one_pair_and_over_many(load):
    model = load("demo-gpt2")
    odd = {**RIGHT, "answer": " Rome", "foil": " Paris", "corrupted": "The capital of Japan is"}
    one = interp.activation_patching(model, **odd, metric="kl", site="z", by="head")
    assert "first choice is ␣Paris" in first_lines(activation_patching.view(one))
    assert "suffices for it" in all_of(activation_patching.view(one))
    dataset = interp.make_dataset("indirect_objects", model, n=3, seed=0)
    lists = {"clean": dataset.clean, "corrupted": dataset.corrupted, "answer": dataset.answers}
    many = interp.activation_patching(model, **lists, foil=dataset.foils, site="z", by="head")
    assert many.pairs.said == many.pairs.answers
    assert "what the model says first" not in first_lines(activation_patching.view(many))
    effects = interp.path_patching(model, dataset)
    assert effects.pairs.said == many.pairs.said
    assert "does not" not in first_lines(path_patching.view(effects))


NOT_SAID = "The model does not say ␣Rome here: its first choice is ␣Paris."
CIRCUIT = ["a0.h0", "a1.h2", "m2"]


def asked(model, answer: str, foil: str) -> PairDataset:
    return PairDataset(name="asked", pairs=(encode_pair(model, **RIGHT, answer=answer, foil=foil),))


def measured(model, dataset: PairDataset):
    """Each method that is told a dataset, with its view."""
    one = dataset[0]
    words = {"answer": one.answer, "foil": one.foil}
    circuit = Circuit.of(model, CIRCUIT)
    scores = interp.node_attribution(model, dataset, method="eap")
    return {
        "ablation": (ablation, lambda: interp.ablation(model, dataset, ["a0.h0"], kinds="zero")),
        "head_ablation": (
            head_ablation,
            lambda: interp.head_ablation(
                model, RIGHT["clean"], ["0.1"], **words, kinds=["zero"], n_random=1, text_length=16
            ),
        ),
        "direct_logit_attribution": (
            direct_logit_attribution,
            lambda: interp.direct_logit_attribution(model, RIGHT["clean"], one.answer, one.foil),
        ),
        "patching_vs_attribution": (
            patching_vs_attribution,
            lambda: interp.patching_vs_attribution(model, dataset, attribution="attribution"),
        ),
        "faithfulness": (
            faithfulness,
            lambda: interp.faithfulness(model, dataset, circuit, compare=(), n_random=0),
        ),
        "faithfulness_curve": (
            faithfulness_curve,
            lambda: interp.faithfulness_curve(model, dataset, scores.scored, fractions=(0.1, 1), n_random=0),
        ),
        "completeness": (
            completeness,
            lambda: interp.completeness(model, dataset, circuit, n_random=0, n_greedy=0),
        ),
    }


@pytest.fixture(scope="module")
def unsaid(load):
    model = load("demo-gpt2")
    return measured(model, asked(model, " Rome", " Tokyo"))


@pytest.fixture(scope="module")
def said(load):
    model = load("demo-gpt2")
    return measured(model, asked(model, " Paris", " Tokyo"))


@pytest.mark.parametrize(
    "method",
    [
        "ablation",
        "head_ablation",
        "direct_logit_attribution",
        "patching_vs_attribution",
        "faithfulness",
        "faithfulness_curve",
        "completeness",
    ],
)
def test_every_method_tells_first_that_the_answer_is_not_the_models(unsaid, said, method):
    view, measure = unsaid[method]
    result = measure()
    assert NOT_SAID in view.view(result).above[:2]
    assert NOT_SAID in view.view(read_result(result.to_dict())).above[:2]
    assert "first choice" not in first_lines(view.view(said[method][1]()))


@pytest.mark.parametrize("method", ["ablation", "head_ablation", "direct_logit_attribution"])
def test_a_foil_above_the_answer_is_told_first_where_nothing_is_corrupted(load, method):
    model = load("demo-gpt2")
    one = asked(model, " Rome", " Paris")
    view, measure = measured(model, one)[method]
    assert view.view(measure()).above[0].startswith("The clean run does not favour ␣Rome over ␣Paris")
