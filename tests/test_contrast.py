"""Two prompts side by side: who is ahead, where they part, and where the lead is handed over."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import interp
from conftest import run
from interp.errors import InputError
from interp.figures.engine.notation import probability
from interp.figures.views.contrast import verdict
from interp.methods.lens.results import ContrastResult
from interp.results import read_result

FRANCE, JAPAN = "The capital of France is", "The capital of Japan is"
CAPITALS = {"target": " Paris", "competitor": " Tokyo"}


@pytest.mark.parametrize("name", ["demo-gpt2", "demo-qwen3"])
def test_known_facts_end_apart(load, name: str) -> None:
    model = load(name)
    result = interp.contrast(model, FRANCE, JAPAN, **CAPITALS)
    assert result.marks[:, -1].tolist() == [1, -1]
    # Both prompts end with the same token, so that they cannot differ before attention has moved anything.
    assert result.marks[0, 0] == result.marks[1, 0]
    np.testing.assert_allclose(result.ahead[0, 0], result.ahead[1, 0], atol=1e-3)
    assert result.parting is not None
    assert result.parting > 0
    assert (result.marks[0, result.parting :] != result.marks[1, result.parting :]).all()
    assert result.marks[0, result.parting - 1] == result.marks[1, result.parting - 1]
    assert result.differing == tuple((i, i + 1) for i in [len(result.tokens[0]) - 2] * 2)


def test_the_traces_are_those_of_the_logit_lens(load) -> None:
    model = load("demo-qwen3")
    result = interp.contrast(model, FRANCE, JAPAN, **CAPITALS)
    for row, prompt in enumerate((FRANCE, JAPAN)):
        paris, tokyo = (interp.logit_lens(model, prompt, token) for token in CAPITALS.values())
        np.testing.assert_allclose(result.target_prob[row], paris.answer_prob, rtol=1e-9)
        np.testing.assert_allclose(result.competitor_prob[row], tokyo.answer_prob, rtol=1e-9)
        assert result.top_tokens[row] == tuple(tops[0] for tops in paris.top_tokens)
    odds = np.log(result.target_prob) - np.log(result.competitor_prob)
    np.testing.assert_allclose(result.ahead, odds, atol=1e-6)


def test_the_margin_decides_what_is_ahead(load) -> None:
    wide = interp.contrast(load("demo-gpt2"), FRANCE, JAPAN, **CAPITALS, margin=1000.0)
    assert (wide.marks == 0).all()
    assert wide.parting is None
    assert wide.hand_offs == (None, None)
    narrow = interp.contrast(load("demo-gpt2"), FRANCE, JAPAN, **CAPITALS, margin=1e-9)
    np.testing.assert_array_equal(narrow.marks, np.sign(narrow.ahead))


def marked(load, first: list[int], second: list[int]) -> ContrastResult:
    result = interp.contrast(load("demo-gpt2"), FRANCE, JAPAN, **CAPITALS)
    return replace(result, marks=np.array([first, second]))


def test_parting_and_hand_off_by_their_definitions(load) -> None:
    result = marked(load, [-1, 1, -1, 0, 1, 1, 1], [-1, 1, 1, 0, 0, -1, -1])
    assert result.parting == 4  # they differ at 2, agree again at 3, and differ from 4 to the end
    assert result.hand_offs == (4, 5)
    result = marked(load, [1] * 7, [-1, -1, -1, -1, -1, -1, 0])
    assert result.parting == 0
    assert result.hand_offs == (None, None)  # ahead from the embedding on; neither at the end
    assert marked(load, [-1] * 7, [1, 1, 1, 1, 1, 1, -1]).parting is None


@pytest.mark.parametrize(
    ("first", "second", "differing"),
    [
        ([1, 2, 3, 4], [1, 9, 3, 4], ((1, 2), (1, 2))),
        ([1, 2, 3, 4], [1, 3, 4], ((1, 2), (1, 1))),
        ([1, 2, 3], [1, 2, 3, 4], ((3, 3), (3, 4))),
        ([1, 1, 1], [1, 1], ((2, 3), (2, 2))),
        ([1, 2], [3, 4, 5], ((0, 2), (0, 3))),
    ],
)
def test_the_part_in_which_prompts_differ(load, first, second, differing) -> None:
    result = interp.contrast(load("tiny-qwen3"), first, second, target=20, competitor=30)
    assert result.differing == differing
    again = read_result(json.loads(json.dumps(result.to_dict())))
    assert again.differing == differing
    assert again.hand_offs == result.hand_offs


def test_bad_questions(load) -> None:
    model = load("demo-gpt2")
    with pytest.raises(InputError, match="the same"):
        interp.contrast(model, FRANCE, FRANCE, **CAPITALS)
    with pytest.raises(InputError, match="same token"):
        interp.contrast(model, FRANCE, JAPAN, target=" Paris", competitor=" Paris")
    for margin in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="margin"):
            interp.contrast(model, FRANCE, JAPAN, **CAPITALS, margin=margin)


def test_the_command_line(tmp_path, capsys) -> None:
    assert run("run", "contrast", "--tag", "x", "--out", tmp_path) == 0
    assert "Who is ahead differs from layer" in capsys.readouterr().out
    assert (tmp_path / "contrast" / "x" / "contrast.png").stat().st_size > 10_000
    assert run("run", "contrast", "--set", f"lens={tmp_path}", "--out", tmp_path) == 2
    assert "no tuned lens" in " ".join(capsys.readouterr().err.split())


# ---- the sentence ----


def test_ranks_are_those_of_the_lens(load) -> None:
    result = interp.contrast(load("demo-gpt2"), FRANCE, JAPAN, **CAPITALS)
    assert result.target_rank is not None
    assert result.competitor_rank is not None
    for row, prompt in enumerate((FRANCE, JAPAN)):
        paris, tokyo = (interp.logit_lens(load("demo-gpt2"), prompt, token) for token in CAPITALS.values())
        np.testing.assert_array_equal(result.target_rank[row], paris.answer_rank)
        np.testing.assert_array_equal(result.competitor_rank[row], tokyo.answer_rank)


def test_the_sentence_says_where_a_leader_stands_and_what_the_model_says(load) -> None:
    """A token that is ahead of one other may be out of the question: then the sentence says so."""
    result = interp.contrast(load("demo-gpt2"), FRANCE, JAPAN, **CAPITALS)
    column = result.hand_offs[0]
    assert column is not None
    rank, prob = int(result.target_rank[0, column]), probability(float(result.top_probs[0, -1]))
    said = [top == " Paris" for top in result.top_tokens[0]]
    on_top = next(i for i in range(len(said)) if all(said[i:]))
    sentence = (
        f"is ahead of ␣Tokyo from layer {result.layers[column]} on (rank {rank:,} there), and the likeliest "
        f"of all from layer {result.layers[on_top]} on: the model says ␣Paris"
    )
    assert f"In the first, ␣Paris {sentence} ({prob})." in verdict(result)

    unlikely = interp.contrast(
        load("demo-gpt2"), FRANCE, JAPAN, target=" Cairo", competitor=" Lima", margin=1e-6
    )
    assert (unlikely.target_rank[:, -1] > 1).all()
    text = verdict(unlikely)
    assert text.count("but only ahead of") == 2
    assert f"the model says ␣Paris ({prob})" in text
    for row in range(2):
        ranks = unlikely.target_rank if unlikely.marks[row, -1] == 1 else unlikely.competitor_rank
        assert f"has rank {int(ranks[row, -1]):,}." in text
    neither = interp.contrast(load("demo-gpt2"), FRANCE, JAPAN, **CAPITALS, margin=1000.0)
    assert f"In the first, neither is ahead at the end; the model says ␣Paris ({prob})." in verdict(neither)


def test_a_run_without_ranks_tells_probabilities(load) -> None:
    result = interp.contrast(load("demo-gpt2"), FRANCE, JAPAN, **CAPITALS)
    stored = json.loads(json.dumps(result.to_dict()))
    del stored["target_rank"], stored["competitor_rank"]
    old = read_result(stored)
    assert old.target_rank is None
    column = result.hand_offs[0]
    assert f"(probability {probability(float(result.target_prob[0, column]))} there)" in verdict(old)
