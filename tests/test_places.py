"""A model whose parts lie in several places: read, edited and swept as where it lies in one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import interp
from interp.errors import ModelLoadError
from interp.models.base import Model
from interp.models.places import is_spread

pytest.importorskip("accelerate")
Load = Callable[..., Model]
PAIR = {
    "clean": "The capital of France is",
    "corrupted": "The capital of Japan is",
    "answer": " Paris",
    "foil": " Tokyo",
}
#: Where the parts of each model go: some stay, some wait in memory for their turn, some on the disk.
PLACES = {
    "demo-gpt2": ("transformer.wte", "transformer.wpe", "transformer.ln_f", "transformer.h"),
    "demo-qwen3": ("model.embed_tokens", "model.rotary_emb", "model.norm", "model.layers"),
}


def spread(name: str, folder: Path, n_layers: int = 6, **options: Any) -> Model:
    """The model with its first layers in place, and the last two on the disk."""
    *parts, layers = PLACES[name]
    places: dict[str, Any] = dict.fromkeys(parts, "cpu") | {"lm_head": "cpu"}
    places |= {f"{layers}.{i}": "disk" if i >= n_layers - 2 else "cpu" for i in range(n_layers)}
    return interp.load_model(name, device_map=places, offload_folder=folder, **options)


@pytest.fixture(params=PLACES)
def both(request: pytest.FixtureRequest, load: Load, tmp_path: Path) -> tuple[Model, Model]:
    """A model in one place, and in several."""
    one = load(request.param)
    return one, spread(request.param, tmp_path / "offload", one.arch.n_layers)


def test_every_site_is_read_where_it_lives(both: tuple[Model, Model]) -> None:
    one, several = both
    assert is_spread(several.hf_model)
    assert any(weight.device.type == "meta" for weight in several.hf_model.parameters()), "some are elsewhere"
    assert several.identity.self_check == "passed"
    ours, theirs = (model.run_with_cache(PAIR["clean"], one.sites) for model in (several, one))
    assert list(ours) == list(theirs)
    for hook in theirs:
        torch.testing.assert_close(ours[hook], theirs[hook], rtol=0, atol=0, msg=str(hook))
    torch.testing.assert_close(ours.logits, theirs.logits, rtol=0, atol=0)


def test_edits_branches_and_gradients_are_the_same(both: tuple[Model, Model]) -> None:
    last = both[0].arch.n_layers - 1
    edits = [interp.Edit.zero("z", last, heads=1), interp.Edit.scale("mlp_out", 0, value=0.5)]
    logits = [model.forward(PAIR["clean"], edits) for model in both]
    torch.testing.assert_close(*logits, rtol=0, atol=0)
    for options in (
        {"site": "resid_pre"},
        {"site": "z", "by": "head"},
        {"site": "z", "method": "attribution"},
    ):
        found = [interp.activation_patching(model, **PAIR, **options) for model in both]
        assert found[0].path == found[1].path
        np.testing.assert_allclose(found[1].recovery.mean, found[0].recovery.mean, rtol=0, atol=1e-5)


def test_weights_are_known_by_calling_what_holds_them(both: tuple[Model, Model]) -> None:
    one, several = both
    last = one.arch.n_layers - 1
    for of in (lambda m: m.W_O(last), lambda m: m.W_out(last), lambda m: m.W_U, lambda m: m.W_E):
        torch.testing.assert_close(of(several), of(one), rtol=1e-5, atol=1e-5)
    parts = [interp.direct_logit_attribution(m, PAIR["clean"], " Paris", " Tokyo") for m in both]
    np.testing.assert_allclose(parts[1].by_component.mean, parts[0].by_component.mean, atol=1e-4)


def test_text_is_generated_alike(both: tuple[Model, Model]) -> None:
    texts = [model.generate(PAIR["clean"], n_tokens=4) for model in both]
    assert texts[0].said == texts[1].said


def test_what_is_no_map(tmp_path: Path, load: Load) -> None:
    for options, sentence in (
        ({"device_map": "everywhere"}, "is no choice"),
        ({"device_map": {"": "disk"}}, "offload_folder"),
        ({"device_map": "auto", "device": "cpu"}, "not both"),
        ({"device_map": "auto", "backend": "nnsight"}, "goes with backend='transformers'"),
    ):
        with pytest.raises(ModelLoadError, match=sentence):
            interp.load_model("demo-gpt2", **options)
    with pytest.raises(ModelLoadError, match="in memory"):
        interp.load_model(load("demo-gpt2").hf_model, device_map="auto")


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs, which this machine does not have")
def test_layers_on_two_gpus(load: Load) -> None:
    one = load("demo-gpt2")
    *parts, layers = PLACES["demo-gpt2"]
    places: dict[str, Any] = dict.fromkeys(parts, 0) | {"lm_head": 1}
    places |= {f"{layers}.{i}": int(i >= one.arch.n_layers // 2) for i in range(one.arch.n_layers)}
    several = interp.load_model("demo-gpt2", device_map=places)
    found = [interp.activation_patching(model, **PAIR) for model in (one, several)]
    assert found[1].path == "branching"
    np.testing.assert_allclose(found[1].recovery.mean, found[0].recovery.mean, atol=1e-3)
