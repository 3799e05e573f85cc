"""The Jacobian lenses that come with the demo models are what their cards say."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import interp
from interp import zoo
from interp.errors import InputError
from interp.methods.lens.cards import read_card
from interp.zoo.making.lens_card import FOLDER, measure, write_readme


@pytest.mark.parametrize("name", zoo.NAMES)
def test_they_are_what_their_cards_say(load: Any, tmp_path: Path, name: str) -> None:
    folder = zoo.path(name) / FOLDER
    assert sum(file.stat().st_size for file in folder.iterdir()) < 1e6
    card = read_card(folder)
    assert card is not None
    found = measure(name)
    np.testing.assert_allclose(found.kl, [card.logit_kl, card.kl], rtol=1e-3, atol=1e-6)
    assert found.top1 is not None
    np.testing.assert_allclose(found.top1[1], card.top1, atol=0.002)
    np.testing.assert_allclose(found.kl[1, -1], 0, atol=1e-6)
    assert (card.kl[3:-1] < card.logit_kl[3:-1]).all()  # from layer 2 on it is nearer than the logit lens
    for file in ("config.json", "card.json"):
        shutil.copy(folder / file, tmp_path)
    assert write_readme(tmp_path).read_text() == (folder / "README.md").read_text()


def test_they_are_found_by_name_and_by_the_models(load: Any) -> None:
    model = load("demo-gpt2")
    prompt = "The Eiffel Tower is in the city of"
    read = interp.logit_lens(model, prompt, " Paris", lens="jacobian")
    assert read.lens == "jacobian"
    assert "over 48 prompts" in read.lens_description
    again = interp.logit_lens(model, prompt, " Paris", lens=interp.JacobianLens.load("demo-gpt2", model))
    np.testing.assert_array_equal(read.answer_prob, again.answer_prob)
    with pytest.raises(InputError, match="another unembedding"):
        interp.JacobianLens.load("demo-qwen3", model)
