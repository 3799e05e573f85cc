"""Prompts, answers and their alignment."""

import pytest
import torch

import interp
from interp import Edit
from interp.errors import InputError
from interp.tokens import Tokens, differing_positions


@pytest.fixture(scope="module", params=["demo-gpt2", "demo-qwen3"])
def model(request) -> interp.Model:
    return interp.load_model(request.param)


def test_padding_is_on_the_right():
    tokens = Tokens.pad([[1, 2, 3], [4]])
    assert tokens.ids.tolist() == [[1, 2, 3], [4, 0, 0]]
    assert tokens.mask.tolist() == [[True] * 3, [True, False, False]]
    assert tokens.row(1) == [4]


def test_the_bos_policy_is_the_tokenizers_own_and_recorded(model):
    ids = model.to_tokens("The capital").row(0)
    own = model.tokenizer.bos_token_id
    if own is None:  # Qwen has none
        assert model.identity.bos == "none"
        assert ids == model.tokenizer("The capital")["input_ids"]
        with pytest.raises(InputError, match="no beginning-of-sequence"):
            interp.load_model(model.identity.name, bos=True)
    else:
        assert model.identity.bos == model.tokenizer.bos_token
        assert ids == [own, *model.tokenizer("The capital", add_special_tokens=False)["input_ids"]]
        bare = interp.load_model(model.identity.name, bos=False)
        assert bare.to_tokens("The capital").row(0) == ids[1:]
        assert bare.identity.bos == "none"


def test_the_bos_is_put_in_front_once():
    model = interp.load_model("demo-gpt2")
    assert model.to_tokens("<|endoftext|>The capital").row(0) == model.to_tokens("The capital").row(0)


def test_ids_are_taken_as_they_are(model):
    for ids in ([5, 6, 7], torch.tensor([5, 6, 7]), torch.tensor([[5, 6, 7]])):
        assert model.to_tokens(ids).row(0) == [5, 6, 7]
    several = model.to_tokens(["The capital", [5, 6]])
    assert several.row(1) == [5, 6]


@pytest.mark.parametrize("prompt", ["", "   ", [], [-1], [10**6], [1.5], [[1, 2], [3, 4]], None, [True]])
def test_bad_prompts(model, prompt):
    with pytest.raises(InputError):
        model.to_tokens([prompt])


def test_no_prompt_at_all(model):
    with pytest.raises(InputError, match="no prompt"):
        model.to_tokens([])


def test_answers_are_exactly_one_token(model):
    paris = model.to_single_token(" Paris")
    assert model.labels([paris]) == [" Paris"]
    assert model.to_single_token(paris) == paris
    with pytest.raises(InputError, match=r"2 tokens .* choose an answer"):
        model.to_single_token(" Paris is")
    for answer in ("", -1, 10**6, 1.5, None, True):
        with pytest.raises(InputError):
            model.to_single_token(answer)


def test_positions_of_a_substring(model):
    prompt = "The Eiffel Tower is in the city of"
    labels = model.labels(model.to_tokens(prompt).row(0))
    found = [labels[p] for p in model.positions_of(prompt, "The Eiffel Tower")]
    assert "".join(found) == "The Eiffel Tower"
    assert [labels[p] for p in model.positions_of(prompt, " city")] == [" city"]
    assert [labels[p] for p in model.positions_of(prompt, "city")] == [" city"]
    for missing, says in (("Narnia", "does not occur"), ("t", "occurs"), ("", "does not occur")):
        with pytest.raises(InputError, match=says):
            model.positions_of(prompt, missing)


def test_positions_of_a_span_and_of_a_token(model):
    prompt = "The capital of France is"
    start = prompt.index("France")
    where = model.positions_of(prompt, "France")
    assert model.positions_of(prompt, span=(start, start + 6)) == where
    assert model.positions_of(prompt, span=(start + 2, start + 3)) == where, "a part of a token is the token"
    assert model.positions_of(prompt, token=" France") == where
    assert model.positions_of(prompt, token=model.to_single_token(" France")) == where
    twice = model.positions_of("Paris is in France, and France is in Europe", token=" France")
    assert len(twice) == 2


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_batch_that_the_tokenizer_padded(model, side):
    """As it comes from the tokenizer: the numbers of the prompts one at a time; -1 is the last token."""
    texts = ["The capital of France is", "Paris", "The Eiffel Tower is in the city of"]
    ids = [model.to_tokens(text).row(0) for text in texts]
    batch = model.tokenizer.pad({"input_ids": ids}, padding_side=side, return_tensors="pt")
    edit = Edit.scale("resid_post", 2, value=0.5, positions=-1)
    together = model.forward(batch, [edit])
    assert model.to_tokens(batch).lengths == tuple(map(len, ids))
    for row, text in enumerate(texts):
        alone = model.forward(text, [edit])[0]
        torch.testing.assert_close(together[row, : len(alone)], alone, rtol=0, atol=1e-4)


def test_differing_positions():
    assert differing_positions([1, 2, 3], [1, 5, 3]) == [1]
    with pytest.raises(InputError, match="3 tokens and the corrupted one 2"):
        differing_positions([1, 2, 3], [1, 2])
    with pytest.raises(InputError, match="the same"):
        differing_positions([1, 2], [1, 2])


def test_without_a_tokenizer_only_ids_will_do(model):
    bare = interp.load_model(model.hf_model)
    assert bare.to_tokens([1, 2]).row(0) == [1, 2]
    assert bare.labels([1]) == ["<1>"]
    for call in (lambda: bare.to_tokens("text"), lambda: bare.to_single_token(" a")):
        with pytest.raises(InputError, match="no tokenizer"):
            call()
