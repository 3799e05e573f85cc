"""Runs of texts that grow: what was read is not read again, and the numbers are those of a whole run."""

from __future__ import annotations

import pytest
import torch

from interp.methods.lens.columns import LensReadings, read_columns
from interp.methods.lens.lens import STREAMS
from interp.methods.lens.sources import load_lens
from interp.models import growing
from interp.models.growing import can_grow, grown


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(growing, "LEAST", 4)


def same(run, model, ids):
    whole = model.run_with_cache([ids], STREAMS, logits=False)
    assert len(run.values) == len(whole) == model.arch.n_layers + 1
    for key, value in run.values.items():
        torch.testing.assert_close(value, whole[key], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["demo-gpt2", "demo-qwen3"])
def test_a_run_that_grows_is_that_of_the_whole_text(short, load, name):
    model = load(name)
    ids = [1 + i * 7 % 50 for i in range(12)]
    assert can_grow(model, ids)
    first = grown(model, ids[:8], STREAMS)
    same(first, model, ids[:8])
    for text in (ids, [*ids[:6], 3, 4, 5], ids[:5], [2, *ids]):  # longer, otherwise, shorter, from the start
        same(grown(model, text, STREAMS, first), model, text)
    same(first, model, ids[:8])  # what was kept is as it was


def test_only_what_is_new_is_run(short, load, monkeypatch):
    model = load("demo-gpt2")
    ids, lengths = list(range(1, 13)), []
    run = model._run_to_last_site
    monkeypatch.setattr(
        model, "_run_to_last_site", lambda ids, *rest: lengths.append(ids.shape[1]) or run(ids, *rest)
    )
    last = grown(model, ids[:8], STREAMS)
    last = grown(model, ids, STREAMS, last)
    last = grown(model, ids, STREAMS, last)
    grown(model, [*ids[:3], *ids], STREAMS, last)
    assert lengths == [8, 4, 1, 15]


def test_a_backend_that_keeps_no_keys_runs_whole_texts(load):
    pytest.importorskip("transformer_lens")
    assert not can_grow(load("demo-gpt2", backend="transformer_lens"), list(range(100)))


def test_the_lens_of_a_text_that_grows(short, load):
    model, kept = load("demo-gpt2"), LensReadings()
    ids, lens = [1 + i * 7 % 50 for i in range(12)], load_lens("logit", load("demo-gpt2"))
    list(read_columns(model, ids[:8], range(8), lens=lens, kept=kept))
    assert kept.last is not None
    found = list(read_columns(model, ids, range(12), lens=lens, kept=kept))
    right = list(read_columns(model, ids, range(12), lens=lens))
    for one, other in zip(found, right, strict=True):
        torch.testing.assert_close(one.logits, other.logits, rtol=1e-4, atol=1e-4)
