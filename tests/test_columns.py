"""What a lens reads, column by column: as a plain softmax in float64 has it, and not read twice."""

import numpy as np
import pytest
import torch

import interp
from conftest import TINY
from interp.errors import InputError, SiteError
from interp.methods.lens.columns import BLOCK, Bounded, Column, LensReadings, top_k

PROMPT = "The capital of France is"
LONGER = "The capital of France is Paris"


def plain(logits, final, k):
    """The same by the definitions, nothing saved: in float64, with all probabilities."""
    wide, own = logits.double(), final.double()
    log_probs, own_log_probs = wide.log_softmax(-1), own.log_softmax(-1)
    probs = log_probs.exp()
    top = probs.topk(k)
    return {
        "entropy": -(probs * log_probs).sum(-1),
        "kl_to_final": (own_log_probs.exp() * (own_log_probs - log_probs)).sum(-1).clamp(min=0),
        "top_probs": top.values,
        "top_ids": top.indices,
        "probs": probs,
    }


@pytest.mark.parametrize("scale", [0.01, 1.0, 8.0, 40.0])
@pytest.mark.parametrize("n", [300, 40_007])
def test_a_column_is_what_a_plain_softmax_in_float64_says(scale, n):
    generator = torch.Generator().manual_seed(n)
    logits = scale * torch.randn(5, n, generator=generator) + 30
    logits[3] = logits[4] + 1e-3 * torch.randn(n, generator=generator)  # near the end, as later layers are
    column, by_definition = Column.of(logits, logits[-1], k=10), plain(logits, logits[-1], 10)
    for name in ("entropy", "kl_to_final", "top_probs"):
        torch.testing.assert_close(getattr(column, name), by_definition[name], rtol=1e-6, atol=1e-6)
    assert torch.equal(column.top_ids, by_definition["top_ids"])
    assert column.kl_to_final[-1] == 0
    ids = [0, n // 2, n - 1]
    torch.testing.assert_close(column.probs(ids), by_definition["probs"][:, ids], rtol=1e-6, atol=0)
    assert column.final_id == int(logits[-1].argmax())
    assert column.final_prob == pytest.approx(float(by_definition["probs"][-1].max()), rel=1e-6)


def test_ranks_count_ties_against_a_token():
    logits = torch.tensor([[1.0, 3.0, 3.0, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0, 4.0]])
    column = Column.of(logits, logits[-1], k=1)
    for ids, ranks, ties in (
        ([1], [3, 4], [2, 0]),
        ([0], [5, 5], [0, 0]),
        ([1, 2], [2, 3], [1, 0]),  # the likelier of two forms; its own ones are not counted
        ([1, 1], [3, 4], [2, 0]),
    ):
        rank, tied = column.rank(ids)
        assert (rank.tolist(), tied.tolist()) == (ranks, ties)


@pytest.mark.parametrize("n", [BLOCK * 30, BLOCK * 30 + 7])
def test_the_highest_are_found_block_by_block(n):
    logits = torch.randn(4, n, generator=torch.Generator().manual_seed(1))
    logits[0, 5 : 5 + 12] = 9 + torch.arange(12.0)  # all in one block
    logits[1, -1] = 99  # in what is left of the last block
    values, ids = top_k(logits, 10)
    expected = logits.topk(10)
    assert torch.equal(values, expected.values)
    assert torch.equal(ids, expected.indices)


@pytest.mark.parametrize("name", ["demo-gpt2", "tiny-qwen3"])
@pytest.mark.parametrize("site", ["resid", "attn_out"])
def test_the_lens_is_as_by_its_definition(load, name, site):
    model = load(name)
    ids = model.to_tokens([3, 1, 4, 1, 5] if name.startswith("tiny") else PROMPT).row(0)
    result = interp.logit_lens(model, ids, 7, position="all", site=site, k=4)
    cache = model.run_with_cache(ids, [("resid_pre", 0), "resid_post", "attn_out"])
    streams = cache.stack("attn_out")[:, 0]
    if site == "resid":
        streams = torch.cat([cache["resid_pre", 0], cache.stack("resid_post")[:, 0]])
    read = model.unembed(streams)  # [layer, pos, d_vocab]
    for position in range(len(ids)):
        expected = plain(read[:, position], cache.logits[0, position], 4)
        np.testing.assert_allclose(result.answer_prob[:, position], expected["probs"][:, 7], rtol=1e-5)
        np.testing.assert_allclose(result.entropy[:, position], expected["entropy"], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(
            result.kl_to_final[:, position], expected["kl_to_final"], rtol=1e-5, atol=1e-6
        )
        assert np.array_equal(result.top_ids[:, position], expected["top_ids"])
    assert result.final_top_token == model.labels([int(cache.logits[0, -1].argmax())])[0]


# ---- some positions, and what is kept ----


def test_some_positions_are_those_of_all(load):
    model = load("demo-gpt2")
    whole = interp.logit_lens(model, PROMPT, " Paris", position="all")
    some = interp.logit_lens(model, PROMPT, " Paris", position=[1, -1])
    assert some.positions == (1, 5)
    assert not some.one_position
    np.testing.assert_allclose(some.answer_prob, whole.answer_prob[:, [1, 5]], rtol=1e-4)
    assert np.array_equal(some.answer_rank, whole.answer_rank[:, [1, 5]])
    for wrong in ([], [1, 1], [5, -1]):
        with pytest.raises(InputError, match="position"):
            interp.logit_lens(model, PROMPT, position=wrong)


@pytest.fixture
def counted(load, monkeypatch):
    """demo-gpt2, the prompts that it runs, and how many streams it unembeds."""
    model, runs, unembedded = load("demo-gpt2"), [], []
    run, unembed = model._run_to_last_site, model._unembed

    def counting_run(ids, taps):
        runs.append(ids.shape[1])
        run(ids, taps)

    def counting_unembed(resid):
        unembedded.append(resid[..., 0].numel())
        return unembed(resid)

    monkeypatch.setattr(model, "_run_to_last_site", counting_run)
    monkeypatch.setattr(model, "_unembed", counting_unembed)
    return model, runs, unembedded


def same_numbers(one, other):
    for name in ("answer_prob", "entropy", "kl_to_final", "top_probs"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-5, atol=1e-6)
    assert np.array_equal(one.answer_rank, other.answer_rank)
    assert np.array_equal(one.top_ids, other.top_ids)


def test_another_answer_takes_no_run_and_one_more_word_one_column(counted):
    model, runs, unembedded = counted
    rows, kept = model.arch.n_layers + 1, LensReadings()
    interp.logit_lens(model, PROMPT, " Paris", position="all", kept=kept)
    assert (runs, sum(unembedded)) == ([6], 6 * rows)
    other = interp.logit_lens(model, PROMPT, " Tokyo", position="all", kept=kept)
    assert (runs, sum(unembedded)) == ([6], 6 * rows)
    same_numbers(other, interp.logit_lens(model, PROMPT, " Tokyo", position="all"))
    runs.clear(), unembedded.clear()
    longer = interp.logit_lens(model, LONGER, " Paris", position="all", kept=kept)
    assert (runs, sum(unembedded)) == ([7], rows)
    same_numbers(longer, interp.logit_lens(model, LONGER, " Paris", position="all"))


def test_readings_of_other_lenses_sites_and_beginnings_are_not_mixed_up(load):
    model, kept = load("demo-gpt2"), LensReadings()
    lens = interp.TunedLens.identity(model)
    lens.bias[2] += 0.3
    for question in (
        {},
        {"site": "mlp_out"},
        {"lens": lens},
        {"k": 20},
        {"prompt": "The capital of Japan is"},
    ):
        given = {"prompt": PROMPT, "answer": " Paris", "position": "all"} | question
        same_numbers(interp.logit_lens(model, **given, kept=kept), interp.logit_lens(model, **given))


def test_what_was_used_least_is_forgotten_first():
    held = Bounded(10)
    held.put("a", 1, 4), held.put("b", 2, 4)
    assert held.get("a") == 1
    held.put("c", 3, 4)
    assert (held.get("b"), held.get("a"), held.get("c"), held.bytes) == (None, 1, 3, 8)
    held.put("too large", 4, 11)
    assert "too large" not in held


def test_columns_stay_within_their_bytes(load):
    model = load("demo-gpt2")
    one = 4 * (model.arch.n_layers + 1) * model.arch.d_vocab
    kept = LensReadings(column_bytes=2.5 * one)
    result = interp.logit_lens(model, PROMPT, " Paris", position="all", kept=kept)
    assert kept.columns.bytes == 2 * one
    same_numbers(result, interp.logit_lens(model, PROMPT, " Paris", position="all"))


@pytest.mark.parametrize("name", [*TINY, "demo-gpt2"])
def test_a_run_without_logits_has_the_same_activations(load, name):
    model = load(name)
    with_logits = model.run_with_cache([[3, 1, 4], [1, 5]], ["resid_post", "z"])
    without = model.run_with_cache([[3, 1, 4], [1, 5]], ["resid_post", "z"], logits=False)
    assert list(with_logits) == list(without)
    assert all(torch.equal(with_logits[key], without[key]) for key in with_logits)
    for cache in (without, without.row(0)):
        with pytest.raises(SiteError, match="without logits"):
            _ = cache.logits
