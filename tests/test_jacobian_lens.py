"""The Jacobian lens: what it reads, and how lenses are merged, kept, exchanged and recognised."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import interp
from interp import JacobianLens
from interp.errors import InputError, InterpWarning
from interp.methods.lens.lens import EMBEDDING

EIFFEL = "The Eiffel Tower is in the city of"


def random_lens(model: interp.Model, layers: tuple[int, ...] | None = None, seed: int = 0) -> JacobianLens:
    """A lens of random matrices, which reads nothing."""
    n, d = model.arch.n_layers, model.arch.d_model
    layers = tuple(range(EMBEDDING, n - 1)) if layers is None else layers
    jacobian = (
        torch.eye(d) + torch.randn(len(layers), d, d, generator=torch.Generator().manual_seed(seed)) / d
    )
    return JacobianLens.of_model(
        model,
        source_layers=layers,
        jacobian=jacobian.half().float(),
        target_layer=n - 1,
        n_prompts=5 + seed,
        error=torch.full((len(layers),), 0.25),
        settings={"text": "demo", "positions": "later"},
    )


def test_streams_are_read_through_the_matrix_of_their_layer(load) -> None:
    model = load("demo-gpt2")
    lens = random_lens(model)
    result = interp.logit_lens(model, EIFFEL, " Paris", lens=lens)
    cache = model.run_with_cache(EIFFEL, [("resid_pre", 0), "resid_post"])
    streams = [cache["resid_pre", 0], *cache.stack("resid_post")]
    paris = model.to_single_token(" Paris")
    for row, stream in enumerate(streams):
        state = stream[0, -1]
        moved = lens.jacobian[row] @ state if row < 6 else state
        expected = float(model.unembed(moved).softmax(-1)[paris])
        assert result.answer_prob[row] == pytest.approx(expected, rel=1e-4)
    assert result.lens == "jacobian"
    assert "over 5 prompts" in result.lens_description
    assert "demo-gpt2" in result.lens_description


def test_the_identity_is_the_logit_lens(load) -> None:
    model = load("demo-qwen3")
    lens = random_lens(model)
    identity = replace(lens, jacobian=torch.eye(model.arch.d_model).expand_as(lens.jacobian))
    plain = interp.logit_lens(model, EIFFEL, " Paris")
    read = interp.logit_lens(model, EIFFEL, " Paris", lens=identity)
    np.testing.assert_allclose(read.answer_prob, plain.answer_prob, rtol=1e-5)


def test_a_layer_without_a_matrix_is_read_as_it_is_and_named(load) -> None:
    model = load("demo-gpt2")
    lens = random_lens(model, layers=(1, 3))
    state = torch.randn(192)
    torch.testing.assert_close(lens.translate(state, 3), lens.jacobian[1] @ state)
    assert torch.equal(lens.translate(state, 2), state)
    assert lens.description.endswith("read as they are: embed, 0, 2, 4")
    assert "as they are" not in random_lens(model).description


def test_it_comes_back_from_a_folder(load, tmp_path: Path) -> None:
    model = load("demo-gpt2")
    lens = random_lens(model)
    lens.save(tmp_path / "lens")
    back = JacobianLens.load(tmp_path / "lens", model)
    assert torch.equal(back.jacobian, lens.jacobian)  # they were rounded to float16 before
    for name in ("source_layers", "target_layer", "n_prompts", "settings", "model", "unembed_sha256"):
        assert getattr(back, name) == getattr(lens, name)
    torch.testing.assert_close(back.error, lens.error)
    with pytest.raises(InputError, match="holds a lens already"):
        lens.save(tmp_path / "lens")
    with pytest.raises(InputError, match="another unembedding"):
        JacobianLens.load(tmp_path / "lens", load("demo-qwen3"))
    with pytest.raises(InputError, match="width 192"):
        JacobianLens.load(tmp_path / "lens", load("tiny-gpt2"))


def test_a_file_of_the_reference_is_read_and_written(load, tmp_path: Path) -> None:
    model = load("demo-gpt2")
    d, lens = model.arch.d_model, random_lens(model)
    file = tmp_path / "published" / "lens.pt"
    lens.save(file)
    payload = torch.load(file, weights_only=True)
    assert payload.keys() == {"J", "n_prompts", "source_layers", "d_model"}
    assert (payload["n_prompts"], payload["source_layers"], payload["d_model"]) == (5, [0, 1, 2, 3, 4], d)
    assert payload["J"][2].dtype == torch.float16  # and the embedding, which it has no place for, is left out
    torch.testing.assert_close(payload["J"][2].float(), lens.jacobian[3])
    with pytest.warns(InterpWarning, match="does not record which model"):
        back = JacobianLens.load(file, model)
    assert (back.source_layers, back.target_layer, back.n_prompts) == ((0, 1, 2, 3, 4), 5, 5)
    assert torch.equal(back.jacobian, lens.jacobian[1:])
    assert JacobianLens.load(file, model, check=False).unembed_sha256 == lens.unembed_sha256
    with pytest.raises(InputError, match="width 192"):
        JacobianLens.load(file, load("tiny-gpt2"), check=False)


def test_a_file_for_another_depth_or_none_at_all_is_refused(load, tmp_path: Path) -> None:
    model = load("demo-gpt2")
    d = model.arch.d_model

    def saved(name: str, payload: object) -> Path:
        torch.save(payload, tmp_path / name)
        return tmp_path / name

    whole = {"J": {layer: torch.eye(d) for layer in range(3)}, "n_prompts": 1, "d_model": d}
    with pytest.raises(InputError, match="a model of 4 layers, but demo-gpt2 has 6"):
        JacobianLens.load(saved("short.pt", {**whole, "source_layers": [0, 1, 2]}), model)
    with pytest.raises(InputError, match="no matrices of its width 7"):
        JacobianLens.load(saved("width.pt", {**whole, "d_model": 7}), model)
    with pytest.raises(InputError, match="cannot be read"):
        JacobianLens.load(saved("sums.pt", {"jacobian_sum": {}}), model)
    with pytest.raises(InputError, match="cannot be read"):
        JacobianLens.load(saved("code.pt", {"J": Path("x")}), model)  # a class: weights only are read
    large = {"J": {0: torch.zeros(d, d, dtype=torch.float64)}, "more": torch.zeros(10**6)}
    with pytest.raises(InputError, match="too large"):
        JacobianLens.load(saved("large.pt", large), model)
    with pytest.raises(InputError, match="no Jacobian lens 'nowhere'"):
        JacobianLens.load("nowhere", model)


def test_a_published_one_is_fetched_from_the_hub(load, tmp_path: Path, monkeypatch) -> None:
    import huggingface_hub

    model = load("demo-gpt2")
    random_lens(model).save(tmp_path / "lens.pt")
    asked = []

    def hf_hub_download(repo, file, *, revision=None, etag_timeout):
        asked.append((repo, file, revision))
        return str(tmp_path / "lens.pt")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hf_hub_download)
    with pytest.warns(InterpWarning, match="does not record"):
        lens = JacobianLens.load("org/lenses@main:gpt2/jlens/a_lens.pt", model)
    assert asked == [("org/lenses", "gpt2/jlens/a_lens.pt", "main")]
    assert lens.n_prompts == 5

    def offline(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", offline)
    with pytest.raises(InputError, match="hub could not give"):
        JacobianLens.load("org/lenses:a.pt", model)


def test_merged_lenses_weigh_as_their_prompts(load) -> None:
    model = load("demo-gpt2")
    one, other = random_lens(model, seed=1), random_lens(model, seed=4)  # of 6 and 9 prompts
    merged = JacobianLens.merge([one, other])
    torch.testing.assert_close(merged.jacobian, 0.4 * one.jacobian + 0.6 * other.jacobian)
    assert merged.n_prompts == 15
    norm = [float(lens.jacobian[2].norm()) for lens in (one, other, merged)]
    expected = ((0.4 * 0.25 * norm[0]) ** 2 + (0.6 * 0.25 * norm[1]) ** 2) ** 0.5 / norm[2]
    assert float(merged.error[2]) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(InputError, match="the same layers"):
        JacobianLens.merge([one, random_lens(model, layers=(1, 3))])
    with pytest.raises(InputError, match="one model"):
        JacobianLens.merge([one, random_lens(load("demo-qwen3"))])
    with pytest.raises(InputError, match="no number of prompts"):
        JacobianLens.merge([one, replace(other, n_prompts=0)])


def test_matrices_are_kept_however_they_lie_in_memory(load, tmp_path: Path) -> None:
    model = load("demo-gpt2")
    lens = random_lens(model)
    turned = replace(lens, jacobian=lens.jacobian.mT)
    for place in (tmp_path / "lens", tmp_path / "lens.pt"):
        turned.save(place)
        back = JacobianLens.load(place, model, check=False)
        assert torch.equal(back.jacobian, lens.jacobian[-len(back.jacobian) :].mT)


def test_what_float16_cannot_hold_is_not_written(load, tmp_path: Path) -> None:
    lens = random_lens(load("demo-gpt2"))
    large = replace(lens, jacobian=lens.jacobian * 1e6)
    with pytest.raises(InputError, match="float32"):
        large.save(tmp_path / "lens")
    large.save(tmp_path / "lens", dtype=torch.float32)
    assert torch.equal(JacobianLens.load(tmp_path / "lens", load("demo-gpt2")).jacobian, large.jacobian)


def test_folded_weights_are_refused(load, tmp_path: Path) -> None:
    model = load("demo-gpt2")
    random_lens(model).save(tmp_path / "lens")
    random_lens(model).save(tmp_path / "lens.pt")
    folded = copy(model)
    folded.identity = replace(model.identity, processing="folded")
    for place in ("lens", "lens.pt"):
        with pytest.raises(InputError, match=r"weights as they are, but those of demo-gpt2 are folded"):
            JacobianLens.load(tmp_path / place, folded)
