"""The lens that the pages Explore and Contrast read with: one click, in the URL, and in what is copied."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from app_pages import error_of, run_copied_command, run_copied_program, texts, without_provenance
from conftest import run
from interp import TunedLens
from interp.app.server import settings
from interp.app.server.access import Permissions
from interp.app.views import contrast, explore
from interp.app.views.lens import LensNames, LogitLens
from interp.runs import read_run
from test_lens_sources import CARD

FRANCE = "The capital of France is"
CAPITALS = contrast.Contrast.typed(**contrast.EXAMPLES[0][1], lens="patchscope")


@pytest.fixture
def folder(load, tmp_path, monkeypatch) -> str:
    """A saved lens of demo-gpt2, in a folder that the app may read."""
    monkeypatch.setenv(settings.FILES, str(tmp_path))
    lens = TunedLens.identity(load("demo-gpt2"))
    noise = torch.randn(lens.weight.shape, generator=torch.Generator().manual_seed(0))
    replace(lens, weight=0.02 * noise, card=CARD).save(tmp_path / "lens")
    return str(tmp_path / "lens")


# ---- without Streamlit ----


@pytest.mark.parametrize("question", [LogitLens(FRANCE, " Paris", lens="patchscope"), CAPITALS])
def test_what_is_copied_reads_with_the_lens(load, question, tmp_path) -> None:
    shown = question(load("demo-gpt2"))
    assert shown.lens == "patchscope"
    expected = without_provenance(shown)
    assert without_provenance(run_copied_program(question)) == expected
    assert without_provenance(read_run(run_copied_command(question, tmp_path)).result) == expected


def test_tracked_tokens_follow_the_lens(load, folder, tmp_path) -> None:
    import shlex

    model = load("demo-gpt2")
    question = explore.TrackedTokens(FRANCE, 3, (" Paris", " Tokyo"), folder)
    shown = question(model)
    assert not np.allclose(shown, explore.TrackedTokens(FRANCE, 3, (" Paris", " Tokyo"))(model))
    names: dict = {}
    exec(explore.tracked_as_python("demo-gpt2", question), names)
    command = explore.tracked_as_commands("demo-gpt2", question).split("\n")[1]
    assert run(*shlex.split(command)[1:], "--out", tmp_path, "--tag", "t") == 0
    np.testing.assert_allclose(names["result"][" Paris"], shown[:, 0], rtol=1e-4)
    np.testing.assert_allclose(
        read_run(tmp_path / "logit_lens" / "t").result.answer_prob, shown[:, 1], rtol=1e-4
    )


def test_both_prompts_of_a_contrast_are_read_with_its_lens(load) -> None:
    result = CAPITALS(load("demo-gpt2"))
    for prompt in range(2):
        reading = CAPITALS.reading(prompt)(load("demo-gpt2"))
        assert reading.lens == "patchscope"
        assert reading.grid["top_tokens"][3, -1, 0] == result.top_tokens[prompt][3]


# ---- the pages ----


@pytest.mark.parametrize("page", ["Explore", "Contrast"])
def test_one_click_switches_the_lens_and_stands_in_the_url(open_page, load, page: str) -> None:
    app = open_page(page).run()
    assert app.segmented_control(key="lens").value == "logit"
    offered = app.segmented_control(key="lens").options
    assert list(offered) == [*LensNames()(load("demo-gpt2")), "saved"]
    app.segmented_control(key="lens").set_value("patchscope").run()
    assert not app.error
    assert "lens='patchscope'" in texts(app)
    assert "cat -> cat; 1135 -> 1135" in texts(app)  # the context is named
    again = open_page(page, lens="patchscope").run()
    assert again.segmented_control(key="lens").value == "patchscope"
    assert "lens='patchscope'" in texts(again)


def test_a_lens_that_is_not_there_is_said(open_page) -> None:
    app = open_page("Explore", lens="nonsense").run()
    assert not app.error
    assert "There is no lens 'nonsense' for this model" in texts(app)
    assert app.segmented_control(key="lens").value == "logit"


def test_a_saved_lens_is_opened_by_its_folder(open_page, folder: str) -> None:
    app = open_page("Explore", lens="saved").run()
    assert "Give the folder of a saved lens" in texts(app)
    app.text_input(key="lens_folder").set_value(folder).run()
    assert not app.error
    assert "Tuned lens. Target" in texts(app)
    assert "on two texts (40 tokens)" in texts(app).lower()
    assert f"lens={folder!r}" in texts(app)
    assert "There is no lens" in error_of(app.text_input(key="lens_folder").set_value("nowhere"))


def test_a_link_to_a_saved_lens_asks_first(open_page, folder: str, monkeypatch) -> None:
    monkeypatch.setattr("interp.app.ui.permission.permissions", lambda given=Permissions(): given)  # noqa: B008
    app = open_page("Explore", lens="saved", lens_folder=folder).run()
    assert not app.exception
    assert any("asks for the lens" in warning.value.replace("\\", "") for warning in app.warning)
    assert "Target" not in "".join(title.value for title in app.subheader)
