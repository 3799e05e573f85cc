"""Clean means clean: what the model does not say, or does not favour, is told in the first lines."""

from __future__ import annotations

import interp
from interp.figures.views import activation_patching, causal_tracing, path_patching

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
