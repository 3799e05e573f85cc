"""Heads taken out of a prompt and of text: against forward passes with edits, and known heads."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import interp
from interp.errors import InputError
from interp.methods.ablation.head_ablation import KINDS, head_ablation
from interp.results import read_result
from interp.tasks.plain_text import plain_text
from interp.tasks.repeated_tokens import repeated_sequences

PROMPT = "When Mary and John went to the store, John gave a drink to"
SMALL = {"n_random": 1, "n_reference": 3, "n_donors": 2, "n_texts": 2, "text_length": 20, "copy_length": 8}


def test_zero_is_a_forward_pass_with_edits(load):
    model = load("demo-qwen3")
    heads = [(2, 3), (4, 1)]
    result = head_ablation(model, PROMPT, heads, answer=" Mary", foil=" John", **SMALL)
    edits = [interp.Edit.zero("z", layer, heads=head) for layer, head in heads]
    mary, john = (model.to_single_token(t) for t in (" Mary", " John"))
    for made, found in (([], result.before), (edits, result.after[0])):
        logits = model.forward(PROMPT, made)[0].double()
        ids = torch.tensor(model.to_tokens(PROMPT).row(0))
        losses = -logits[:-1].log_softmax(-1).gather(1, ids[1:, None])
        assert found[0] == pytest.approx(float(logits[-1, mary] - logits[-1, john]), abs=1e-3)
        assert found[1] == pytest.approx(float(losses.mean()), abs=1e-4)
        text = [_loss(model, ids, range(1, 20), made) for ids in plain_text(model, n=2, length=20, seed=1)]
        assert found[2] == pytest.approx(np.mean(text), abs=1e-4)
        repeated = repeated_sequences(model, n=2, length=8)
        copies = [_loss(model, ids, repeated.second_copy[1:], made) for ids in repeated.ids]
        assert found[3] == pytest.approx(np.mean(copies), abs=1e-4)


def _loss(model, ids, positions, edits):
    log_probs = model.forward(ids, edits)[0].double().log_softmax(-1)
    return float(np.mean([-log_probs[i - 1, ids[i]] for i in positions]))


def test_means_and_donors_are_those_of_the_reference_text(load):
    """With one sequence of reference, the mean and the donor are known."""
    model = load("demo-gpt2")
    options = SMALL | {"n_reference": 1, "n_donors": 1}
    result = head_ablation(model, PROMPT, ["0.5"], answer=" Mary", foil=" John", **options)
    reference = plain_text(model, n=1, length=20, seed=0)
    z = model.run_with_cache(reference, [("z", 0)])["z", 0][0, :, 5]  # [pos, d_head]
    n = model.to_tokens(PROMPT).lengths[0]
    mary, john = (model.to_single_token(t) for t in (" Mary", " John"))
    for kind, value in (("mean", z.mean(0)), ("resample", z[:n, None])):
        logits = model.forward(PROMPT, [interp.Edit.set("z", 0, value=value, heads=5)])[0, -1]
        wanted = float(logits[mary] - logits[john])
        assert result.after[KINDS.index(kind), 0] == pytest.approx(wanted, abs=1e-3)


def test_taking_out_the_random_heads_is_what_stands_beside(load):
    model = load("demo-gpt2")
    result = head_ablation(
        model, PROMPT, ["0.5", "3.1"], answer=" Mary", foil=" John", kinds=["zero"], **SMALL
    )
    (drawn,) = result.random_heads
    assert len(drawn) == 2
    same = head_ablation(model, PROMPT, drawn, answer=" Mary", foil=" John", kinds=["zero"], **SMALL)
    np.testing.assert_allclose(same.after[0], result.random[0, 0], atol=1e-3)


@pytest.mark.parametrize(
    ("name", "heads"), [("demo-gpt2", ["0.5", "0.2"]), ("demo-qwen3", ["2.3", "2.4", "2.5"])]
)
def test_known_heads_carry_copying(load, name, heads):
    """The cards say which heads copying rests on; without them, the second copy is not known."""
    model = load(name)
    result = head_ablation(model, PROMPT, heads, answer=" Mary", foil=" John")
    copying = result.measures.index("copy_loss")
    assert result.before[copying] < 1
    assert (result.after[:, copying] > 4).all()
    assert (result.random[:, :, copying].mean(1) < result.after[:, copying] - 2).all()


def test_without_a_foil_it_is_the_probability_and_the_result_reads_back(load):
    result = head_ablation(load("demo-gpt2"), PROMPT, ["0.5"], answer=" Mary", **SMALL)
    assert result.measures[0] == "prob"
    assert 0.9 < result.before[0] <= 1
    again = read_result(result.to_dict())
    assert again.to_dict() == result.to_dict()
    np.testing.assert_array_equal(again.change, result.after - result.before)


@pytest.mark.parametrize("name", ["tiny-gpt2", "tiny-qwen3", "tiny-llama", "tiny-neox"])
def test_any_architecture_and_grouped_queries(load, name):
    model = load(name)
    options = SMALL | {"text_length": 8, "copy_length": 4}
    result = head_ablation(model, "some text", [(0, 1), (1, 0)], answer="a", foil="b", **options)
    assert result.after.shape == (3, 4)
    assert np.isfinite(result.random).all()


def test_the_seed_decides_what_is_drawn(load):
    model = load("demo-gpt2")
    results = [
        head_ablation(model, PROMPT, ["0.5"], answer=" Mary", foil=" John", seed=seed, **SMALL)
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(results[0].random, results[1].random)
    assert results[0].before[2] != results[2].before[2]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"heads": ["9.9"]}, "no head 9.9"),
        ({"heads": []}, "at least one head"),
        ({"answer": " John"}, "same token"),
        ({"kinds": ["none"]}, "Unknown kind"),
        ({"kinds": []}, "at least one kind"),
        ({"n_donors": 9}, "n_donors"),
        ({"text_length": 999}, "at most 128"),
        ({"prompt": [0]}, "single token"),
    ],
)
def test_what_cannot_be_done_is_said(load, changed, sentence):
    given = {"prompt": PROMPT, "heads": ["0.5"], "answer": " Mary", "foil": " John"} | SMALL | changed
    with pytest.raises(InputError, match=sentence):
        head_ablation(load("demo-gpt2"), given.pop("prompt"), given.pop("heads"), **given)


def test_plain_text_is_seeded_and_of_one_length(load):
    model = load("demo-gpt2")
    text = plain_text(model, n=3, length=30)
    assert [len(ids) for ids in text] == [30] * 3
    assert all(ids[0] == model.bos_id for ids in text)
    assert text == plain_text(model, n=3, length=30)
    assert text != plain_text(model, n=3, length=30, seed=1)


@pytest.mark.parametrize("backend", ["transformer_lens", "nnsight"])
def test_every_backend_gives_the_same(load, backend):
    options = SMALL | {"kinds": ["mean", "resample"]}
    one, other = (
        head_ablation(load("demo-gpt2", b), PROMPT, ["0.5", "3.1"], answer=" Mary", foil=" John", **options)
        for b in ("transformers", backend)
    )
    np.testing.assert_allclose(other.after, one.after, atol=1e-3)
    np.testing.assert_allclose(other.random, one.random, atol=1e-3)
