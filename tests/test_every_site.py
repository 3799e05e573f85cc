"""A run for which no sites are named keeps all of them, if there is memory for them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import interp
from conftest import NEEDS
from interp.errors import InputError
from interp.models import every_site
from interp.models.every_site import bytes_at
from interp.sites import SITES

PROMPTS = [[256, 5, 9, 7], [256, 5]]
BACKENDS = ["transformers", *NEEDS]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["tiny-gpt2", "tiny-qwen3", "tiny-neox"])
def test_a_run_without_sites_keeps_them_all(load: Any, name: str, backend: str) -> None:
    try:
        model = load(name, backend)
    except interp.InterpError as error:
        pytest.skip(f"{backend} does not run it: {error}")
    cache, named = model.run_with_cache(PROMPTS), model.run_with_cache(PROMPTS, model.sites)
    layers = {site: model.arch.n_layers if SITES[site].per_layer else 1 for site in model.sites}
    assert len(cache) == sum(layers.values())
    assert list(cache) == list(named)
    for hook in cache:
        assert torch.equal(cache[hook], named[hook])
    assert torch.equal(cache.logits, named.logits)
    tokens = model.to_tokens(PROMPTS)
    kept = sum(value.numel() * value.element_size() for value in cache.values())
    assert kept == bytes_at(model.arch, model.sites, tokens, dtype=model.dtype)


@pytest.mark.parametrize("backend", BACKENDS)
def test_none_are_kept_where_none_are_asked_for(load: Any, backend: str) -> None:
    model = load("tiny-gpt2", backend)
    assert len(model.run_with_cache(PROMPTS, ())) == 0
    assert torch.equal(model.run_with_cache(PROMPTS, ()).logits, model.forward(PROMPTS))


def test_edits_act_in_a_run_of_every_site(load: Any) -> None:
    model = load("tiny-gpt2")
    cache = model.run_with_cache(PROMPTS, edits=[interp.Edit.zero("z", 0, heads=1)])
    assert not cache["z", 0][:, :, 1].any()
    assert cache["z", 0][:, :, 0].any()


def test_what_does_not_fit_is_refused_before_the_run(load: Any, monkeypatch: Any) -> None:
    model = load("tiny-gpt2")
    needed = bytes_at(model.arch, model.sites, model.to_tokens(PROMPTS), dtype=model.dtype)
    logits = 2 * 4 * model.arch.d_vocab * 4
    monkeypatch.setattr(every_site, "free_bytes", lambda device: needed + logits)
    model.run_with_cache(PROMPTS)
    monkeypatch.setattr(every_site, "free_bytes", lambda device: needed + logits - 1)
    model.run_with_cache(PROMPTS, logits=False)
    monkeypatch.setattr(model, "_run", None)
    with pytest.raises(InputError, match=r"takes .* GB, and .* GB are free; name the sites that you want"):
        model.run_with_cache(PROMPTS)
    monkeypatch.setattr(model, "memory", 10)
    with pytest.raises(InputError, match=r"are allowed \(the model's memory\)"):
        model.run_with_cache(PROMPTS)
