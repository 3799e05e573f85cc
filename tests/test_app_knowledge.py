"""The page Knowledge: its question without Streamlit, and the page as Streamlit runs it."""

from __future__ import annotations

import pytest

import interp
from app_pages import run_copied_command, run_without_errors, texts, without_provenance
from interp.app.views.knowledge import MOST_PROBED, Knowledge, as_python, entities, offered, probed
from interp.runs import read_run

pytest.importorskip("sklearn", reason="needs scikit-learn, the extra 'probes'")

FEW = Knowledge(data="facts", n=4, lens="logit", probe_layers=(-1, 3, 5))


def test_copies_give_what_is_shown(load, tmp_path):
    model = load("demo-gpt2")
    assert offered("demo-gpt2")[0] == "people"  # what a demo model was told is known
    assert offered("tiny-gpt2")[0] == "entities"
    result = FEW(model)
    names: dict[str, object] = {}
    exec(as_python("demo-gpt2", FEW), names)
    assert without_provenance(names["result"]) == without_provenance(result)
    assert without_provenance(read_run(run_copied_command(FEW, tmp_path)).result) == without_provenance(
        result
    )


def test_a_deep_model_is_asked_less():
    assert probed(6) is None
    assert entities("demo-gpt2") > entities("gemma-3-270m")
    for n_layers in (8, 18, 80):
        layers = probed(n_layers)
        assert (layers[0], layers[-1], len(layers)) == (-1, n_layers - 1, MOST_PROBED)
        assert list(layers) == sorted(set(layers))


def test_the_page_says_what_differs(open_page):
    page = open_page("Knowledge", data="facts", n="4")
    run_without_errors(page)
    data = interp.make_known("facts", interp.load_model("demo-gpt2"), n=4)
    assert all(status in texts(page) for status in data.statuses)
    assert "interp.make_known('facts', model, n=4)" in texts(page)
    assert "it takes longer" in texts(page)
