"""Head scores on prompts of one's own, of patterns given as arrays, and of models with little room."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import interp
import interp.figures.views.head_scores
from conftest import run
from interp.errors import InputError
from interp.methods.heads.head_scores import head_scores
from interp.results import read_result
from interp.runs import read_run
from interp.tasks.repeated_tokens import repeated_sequences
from nanogpt import nano_gpt

RNG = np.random.default_rng(0)


def attention(layers: int, heads: int, n: int) -> np.ndarray:
    """Random causal patterns."""
    scores = np.where(np.tril(np.ones((n, n))), RNG.random((layers, heads, n, n)), 0.0)
    return scores / scores.sum(-1, keepdims=True)


def test_scores_by_hand() -> None:
    """a b a c b a: each score spelled out."""
    pattern = attention(2, 3, 6)
    result = interp.head_scores_of_patterns([pattern], [list("abacba")], name="toy")
    previous = sum(pattern[..., q, q - 1] for q in range(2, 6)) / 4
    duplicates = (pattern[..., 2, 0] + pattern[..., 4, 1] + pattern[..., 5, 0] + pattern[..., 5, 2]) / 3
    induction = (pattern[..., 2, 1] + pattern[..., 4, 2] + pattern[..., 5, 1] + pattern[..., 5, 3]) / 3
    np.testing.assert_allclose(result.score("previous_token"), previous)
    np.testing.assert_allclose(result.score("duplicate_token"), duplicates)
    np.testing.assert_allclose(result.score("induction"), induction)
    np.testing.assert_allclose(result.chance[0], (1 / 3 + 1 / 4 + 1 / 5 + 1 / 6) / 4)
    np.testing.assert_allclose(result.chance[1], (1 / 3 + 1 / 5 + 2 / 6) / 3)
    assert (result.provenance.model, result.provenance.backend) == ("toy", "none")
    assert read_result(result.to_dict()).to_dict() == result.to_dict()


def test_the_token_itself_is_not_what_came_after() -> None:
    """In "x x" the token after the earlier occurrence is the query itself."""
    pattern = attention(1, 1, 4)
    result = interp.head_scores_of_patterns([pattern], [[7, 7, 7, 1]])
    np.testing.assert_allclose(result.score("induction"), pattern[..., 2, 1])
    np.testing.assert_allclose(
        result.score("duplicate_token"), (pattern[..., 1, 0] + pattern[..., 2, :2].sum(-1)) / 2
    )


def test_they_are_those_of_random_tokens_on_the_same_sequences(load: Any) -> None:
    model = load("tiny-qwen3")
    wanted = head_scores(model, n=3, length=5, seed=2)
    drawn = repeated_sequences(model, n=3, length=5, seed=2)
    found = interp.head_scores_on_prompts(model, [list(ids) for ids in drawn.ids])
    for name in ("duplicate_token", "induction"):
        # in the last query of the first copy nothing repeats yet, so the queries are the same
        np.testing.assert_allclose(found.score(name), wanted.score(name), atol=1e-7)
    four = [[*ids, *ids[drawn.start :]] for ids in drawn.ids]
    by_all = interp.head_scores_on_prompts(model, four)
    np.testing.assert_allclose(by_all.score("induction"), wanted.score("prefix_matching"), atol=1e-7)


def test_prompts_of_several_lengths_are_averaged_and_tensors_will_do(load: Any) -> None:
    model = load("tiny-gpt2")
    prompts = ["abcabc", "xyzzyxz", "a a"]
    found = interp.head_scores_on_prompts(model, prompts)
    each = [interp.head_scores_on_prompts(model, [prompt]).score("induction") for prompt in prompts]
    np.testing.assert_allclose(found.score("induction"), np.mean(each, 0))
    patterns = [model.run_with_cache(p, ["pattern"]).stack("pattern")[:, 0] for p in prompts]
    tokens = [model.to_tokens(p).row(0) for p in prompts]
    of_arrays = interp.head_scores_of_patterns(patterns, tokens)
    np.testing.assert_allclose(of_arrays.attention.mean, found.attention.mean)


def test_what_a_sequence_does_not_have_is_left_out_and_said() -> None:
    patterns = [attention(1, 2, 4), attention(1, 2, 3)]
    result = interp.head_scores_of_patterns(patterns, [[1, 2, 1, 2], [1, 2, 3]])
    assert result.scores == ("previous_token",)
    assert [(one.what, one.why) for one in result.left_out] == [
        ("duplicate_token", "sequence 1 repeats no token in such a way"),
        ("induction", "sequence 1 repeats no token in such a way"),
    ]
    with pytest.raises(InputError, match="no induction score: sequence 1 repeats no token"):
        interp.head_scores_of_patterns(patterns, [[1, 2, 1, 2], [1, 2, 3]], scores=["induction"])


@pytest.mark.parametrize(
    ("patterns", "tokens", "says"),
    [
        ([attention(1, 1, 4)], [[1, 2, 1]], r"is \[1, 1, 4, 4\]; it must be .* with 3 queries"),
        ([attention(1, 1, 3)[0]], [[1, 2, 1]], r"is \[1, 3, 3\]"),
        ([attention(1, 1, 3)] * 2, [[1, 2, 1]], "2 patterns and 1 sequences"),
        ([attention(1, 1, 3), attention(1, 2, 3)], [[1, 2, 1]] * 2, "different numbers of layers or heads"),
        ([attention(1, 1, 3) * 2], [[1, 2, 1]], "no attention"),
        ([-attention(1, 1, 3)], [[1, 2, 1]], "no attention"),
        ([attention(1, 1, 3) * np.nan], [[1, 2, 1]], "no attention"),
        ([np.full((1, 1, 3, 3), 1 / 3)], [[1, 2, 1]], "looks ahead"),
        ([attention(1, 1, 2)], [[1, 2]], "give no score"),
        ([], [], "no sequence"),
    ],
)
def test_what_are_no_patterns(patterns: Any, tokens: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        interp.head_scores_of_patterns(patterns, tokens)


def test_a_score_that_is_none() -> None:
    with pytest.raises(InputError, match="did you mean 'induction'"):
        interp.head_scores_of_patterns([attention(1, 1, 3)], [[1, 2, 1]], scores=["inductoin"])


# ---- little room, few tokens ----


@pytest.mark.parametrize(
    ("room", "vocabulary", "length", "scores"),
    [
        (128, 200, 25, 4),
        (64, 200, 16, 4),
        (64, 11, 11, 4),
        (12, 23, 3, 4),
        (11, 23, 5, 3),
        (6, 23, 3, 3),
        (64, 3, 3, 4),
    ],
)
def test_the_default_fits_the_model(room: int, vocabulary: int, length: int, scores: int) -> None:
    hf = interp.from_nanogpt(nano_gpt(block_size=room, vocab_size=vocabulary))
    model = interp.load_model(hf, device="cpu")
    result = head_scores(model, n=2)
    assert (result.copy_length, len(result.scores)) == (length, scores)
    assert len(result.chance) == scores
    explicit = head_scores(model, n=2, length=length) if scores == 4 else None
    assert explicit is None or np.array_equal(explicit.attention.mean, result.attention.mean)
    interp.figures.views.head_scores.view(result)


@pytest.mark.parametrize(("room", "vocabulary"), [(5, 23), (64, 2)])
def test_too_little_for_any(room: int, vocabulary: int) -> None:
    hf = interp.from_nanogpt(nano_gpt(block_size=room, vocab_size=vocabulary))
    with pytest.raises(InputError, match="prompts of your own"):
        head_scores(interp.load_model(hf, device="cpu"))


def test_at_the_command_line(tmp_path: Path, capsys: Any) -> None:
    prompts = 'prompts=["Mary and John met Mary and", [5, 6, 7, 5, 6]]'
    assert run("run", "head_scores", "--set", prompts, "--out", tmp_path, "--tag", "one") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "2 prompts of 5 to" in shown
    found: Any = read_run(tmp_path / "head_scores" / "one").result
    assert found.scores == ("previous_token", "duplicate_token", "induction")
    assert run("show", tmp_path / "head_scores" / "one") == 0


def test_another_vocabulary_of_outputs_has_no_loss() -> None:
    pytest.importorskip("transformer_lens")
    from hooked_toys import toy

    model = interp.load_model(toy(d_vocab_out=7))
    result = head_scores(model, n=2)
    assert result.loss is None
    assert result.copy_length == 6
    with pytest.raises(InputError, match="no loss"):
        _ = result.first_copy_loss
    assert read_result(result.to_dict()).to_dict() == result.to_dict()
    pattern = model.run_with_cache([3, 4, 3, 4], ["pattern"]).stack("pattern")
    by_prompt = interp.head_scores_on_prompts(model, [[3, 4, 3, 4]])
    assert by_prompt.score("induction")[1, 2] == pytest.approx(
        float(torch.stack([pattern[1, 0, 2, 2, 1], pattern[1, 0, 2, 3, 2]]).mean()), abs=1e-7
    )
