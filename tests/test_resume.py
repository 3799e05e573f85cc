"""A sweep over several pairs goes on from where it was stopped, and never takes parts of another question."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import interp
from interp.errors import RunError
from interp.methods import patch_sweep
from interp.models.base import Model

Load = Callable[..., Model]
COUNTRIES = ["France", "Italy", "Spain"]
PAIRS: dict[str, Any] = {
    "clean": [f"The capital of {country} is" for country in COUNTRIES],
    "corrupted": ["The capital of Japan is"] * 3,
    "answer": [" Paris", " Rome", " Madrid"],
    "foil": " Tokyo",
}


def stopped_after(n: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let exact sweeps be interrupted at the n-th; the list grows by one for each that began."""
    begun: list[int] = []
    real = patch_sweep._exact

    def exact(*arguments: Any) -> Any:
        begun.append(len(begun))
        if len(begun) > n:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(patch_sweep, "_exact", exact)
    return begun


def test_it_goes_on_from_where_it_was_stopped(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load("demo-gpt2")
    whole = interp.patch_sweep(model, **PAIRS)
    with monkeypatch.context() as patched, interp.resuming(tmp_path / "parts"):
        stopped_after(2, patched)
        with pytest.raises(KeyboardInterrupt):
            interp.patch_sweep(model, **PAIRS)
    with monkeypatch.context() as patched, interp.resuming(tmp_path / "parts"):
        begun = stopped_after(9, patched)
        found = interp.patch_sweep(model, **PAIRS)
        assert len(begun) == 1, "two of the three pairs were there"
        assert found.path == "branching"
        np.testing.assert_array_equal(found.by_pair, whole.by_pair)
        interp.patch_sweep(model, **PAIRS, direction="noising")
        assert len(begun) == 4, "another question"
    assert not list((tmp_path / "parts").glob("*.unfinished"))


def test_other_weights_are_another_question(load: Load, tmp_path: Path) -> None:
    """The same folder name, the same prompts, and one norm of the model changed."""
    import torch

    model = interp.load_model("demo-gpt2", device="cpu")
    with interp.resuming(tmp_path):
        before = interp.patch_sweep(model, **PAIRS)
        with torch.no_grad():
            model.hf_model.transformer.h[3].ln_2.weight.mul_(0.9)  # type: ignore[union-attr, operator]
        after = interp.patch_sweep(model, **PAIRS)
    assert len(list(tmp_path.glob("*.npz"))) == 6
    assert np.abs(before.by_pair - after.by_pair).max() > 1e-3


def test_a_damaged_part_is_computed_again(load: Load, tmp_path: Path) -> None:
    model = load("demo-gpt2")
    with interp.resuming(tmp_path):
        before = interp.patch_sweep(model, **PAIRS)
        for part in tmp_path.glob("*.npz"):
            part.write_bytes(part.read_bytes()[:50])
        after = interp.patch_sweep(model, **PAIRS)
    np.testing.assert_array_equal(before.by_pair, after.by_pair)


def test_a_place_that_cannot_be_written_is_said(load: Load, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with interp.resuming(tmp_path / "file" / "parts"), pytest.raises(RunError, match="choose another"):
        interp.patch_sweep(load("demo-gpt2"), **PAIRS)
