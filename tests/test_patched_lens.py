"""A cell of one prompt's lens put into another prompt: against plain runs, and what is known in advance."""

import numpy as np
import pytest
import torch

import interp
from app_pages import DEMOS, same_numbers, without_provenance
from interp.errors import InputError
from interp.experiments.base import find_experiment
from interp.figures.engine.view import Grid, Words
from interp.figures.views.patched_lens import view

FRANCE, JAPAN = "The capital of France is", "The capital of Japan is"
LENSES = ("answer_prob", "answer_rank", "entropy", "kl_to_final", "top_ids", "top_probs")


def patched(model, source=FRANCE, target=JAPAN, source_cell=(2, -2), target_cell=(2, -2), **options):
    return interp.patched_lens(
        model, source, target, source_cell=source_cell, target_cell=target_cell, **options
    )


def same(a, b, columns=slice(None), rows=slice(None)):
    for name in LENSES:
        np.testing.assert_allclose(
            getattr(a, name)[rows, columns], getattr(b, name)[rows, columns], rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("name", DEMOS)
def test_it_is_an_edit_and_a_lens(load, name):
    model = load(name)
    result = patched(model, source_cell=(1, -2), target_cell=(3, 1))
    value = model.run_with_cache(FRANCE, ["resid_post"])["resid_post", 1][0, -2]
    edit = interp.Edit.set("resid_post", 3, value=value, positions=1)
    by_hand = interp.logit_lens(model, JAPAN, result.source.answer_id, position="all", edits=[edit])
    same(result.patched, by_hand)
    probs = model.forward(JAPAN, [edit])[0].double().softmax(-1)[:, result.source.answer_id]
    np.testing.assert_allclose(result.patched.answer_prob[-1], probs, rtol=1e-5, atol=1e-7)
    assert by_hand.edits == ("set at blocks.3.hook_resid_post[pos=1]",)
    assert interp.logit_lens(model, JAPAN).edits == ()


def test_a_prompt_patched_into_itself_is_itself(load):
    result = patched(load("demo-gpt2"), target=FRANCE)
    assert (result.change == 0).all()
    same(result.patched, result.source)


def test_the_embedding_of_the_word_that_differs_makes_it_the_other_prompt(load):
    """The two prompts differ at one position: with the source's embedding there, the target is the source."""
    result = patched(load("demo-qwen3"), source_cell=(-1, -2), target_cell=(-1, -2))
    same(result.patched, result.source)


def test_behind_the_last_layer_it_says_what_the_source_says(load):
    model = load("demo-gpt2")
    last = model.arch.n_layers - 1
    result = patched(model, source_cell=(last, -1), target_cell=(last, -1))
    same(result.patched, result.source, columns=-1, rows=-1)
    assert result.source.final_top_token == result.patched.final_top_token == " Paris"
    before = patched(model, source_cell=(last, -1), target_cell=(last, 1))
    same(before.patched, before.target, columns=slice(2, None))
    assert "it reaches nothing" in view(before).block("verdict", Words).text


@pytest.mark.parametrize("cell", [(-1, 0), (2, 2), (4, 1), (0, -1)])
@pytest.mark.parametrize("name", DEMOS)
def test_what_it_changes_is_the_cone(load, name, cell):
    result = patched(load(name), target="People in Germany speak a lot", target_cell=cell)
    differs = np.zeros_like(result.reached)
    for array in ("entropy", "answer_prob"):
        differs |= np.abs(getattr(result.patched, array) - getattr(result.target, array)) > 1e-5
    layer, position = result.target_cell
    n = len(result.target.tokens)
    for row, place in np.ndindex(result.reached.shape):
        can = (place == position and row - 1 >= layer) or (place > position and row - 1 > layer)
        assert result.reached[row, place] == can
    assert result.reached.shape == (len(result.target.layers), n)
    assert not (differs & ~result.reached).any()
    assert differs[layer + 1, position]
    assert differs[result.reached].mean() > 0.5


def test_what_was_kept_gives_the_same(load):
    model, kept = load("demo-gpt2"), interp.LensReadings()
    first = patched(model, kept=kept)
    again = patched(model, kept=kept)
    fresh = patched(model)
    for one in (first, again):
        same_numbers(one.to_dict(), fresh.to_dict())
    interp.logit_lens(model, JAPAN, position="all", kept=kept)
    same(interp.logit_lens(model, JAPAN, fresh.source.answer_id, position="all", kept=kept), fresh.target)


def test_some_positions_are_those_of_all(load):
    model = load("demo-gpt2")
    every, some = patched(model), patched(model, source_positions=[1, 4], target_positions=[4, 5])
    np.testing.assert_allclose(some.change, every.change[:, 4:6], rtol=1e-4, atol=1e-6)
    assert (some.reached == every.reached[:, 4:6]).all()
    assert some.source.positions == (1, 4)
    assert view(some).block("source", Grid).framed == ((3, 1),)


def test_the_answer_is_what_the_source_says(load):
    model = load("demo-gpt2")
    assert patched(model).target.answer == " Paris"
    assert patched(model, answer=" Tokyo").source.answer == " Tokyo"


def test_the_sentence_tells_what_the_model_says(load):
    model = load("demo-gpt2")
    moved = patched(model, source_cell=(-1, -2), target_cell=(-1, -2))
    text = view(moved).block("verdict", Words).text
    assert text.startswith("With the patch the model says ␣Paris (")
    assert "where it said ␣Tokyo (" in text
    nothing = patched(model, target=FRANCE)
    assert view(nothing).block("verdict", Words).text.startswith("The model says the same with the patch")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"source_cell": (99, 0)}, "layer 99"),
        ({"target_cell": (-2, 0)}, "layer -2"),
        ({"target_cell": (0, 99)}, "position 99"),
        ({"source_cell": (1, 2, 3)}, "a layer and a position"),
        ({"answer": " Paris is"}, "one token"),
        ({"target_positions": [77]}, "77"),
        ({"source_positions": [77]}, "77"),
    ],
)
def test_refused_before_the_first_run(load, monkeypatch, options, said):
    model = load("demo-gpt2")
    monkeypatch.setattr(type(model), "run_with_cache", lambda *_, **__: pytest.fail("a run"))
    with pytest.raises(InputError, match=said):
        patched(model, **options)


def test_edits_take_answers_of_one_token(load):
    model = load("demo-gpt2")
    with pytest.raises(InputError, match="one token"):
        interp.logit_lens(model, FRANCE, " Paris is", edits=[interp.Edit.zero("mlp_out", 1)])


def test_a_lens_of_other_sites_reads_the_edited_run(load):
    model = load("demo-gpt2")
    edit = interp.Edit.zero("mlp_out", 1, positions=-1)
    zeroed = interp.logit_lens(model, FRANCE, site="mlp_out", edits=[edit])
    uniform = model.unembed(torch.zeros(model.W_U.shape[0])).double().softmax(-1)
    assert zeroed.top_probs[1, 0] == pytest.approx(float(uniform.max()), abs=1e-6)


def test_the_experiment_is_the_call(load):
    experiment = find_experiment("patched_lens")
    config = experiment.make_config({"model": "demo-gpt2", "source_cell": [1, -2], "target_cell": [2, 1]})
    expected = patched(load("demo-gpt2"), source_cell=(1, -2), target_cell=(2, 1))
    found = experiment.run(config, load("demo-gpt2"))
    assert without_provenance(found) == without_provenance(expected)
