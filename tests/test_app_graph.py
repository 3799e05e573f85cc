"""The page Graph: its question without Streamlit, and the page as Streamlit runs it."""

from __future__ import annotations

import pytest

import interp
from app_pages import run_copied_command, run_without_errors, texts, without_provenance
from interp.app.views.attribution_graph import AttributionGraph, ScaleNodes, as_python, node_names
from interp.methods.graphs.names import names_by_corpus
from interp.runs import read_run

FRANCE = AttributionGraph(
    transcoders="demo-gpt2", prompt="The capital of France is", answer=" Paris", nodes=0.5
)


@pytest.mark.slow
def test_copies_give_what_is_shown(load, tmp_path):
    result = FRANCE(load("demo-gpt2"))
    names: dict[str, object] = {}
    exec(as_python("demo-gpt2", FRANCE), names)
    assert without_provenance(names["result"]) == without_provenance(result)
    assert without_provenance(read_run(run_copied_command(FRANCE, tmp_path)).result) == without_provenance(
        result
    )


def test_features_of_another_text_have_no_names(load):
    """Neither in the run nor in the program that is offered to copy."""
    transcoders = interp.load_transcoders("demo-gpt2", load("demo-gpt2"))
    assert names_by_corpus(load("tiny-gpt2"), transcoders) is None
    assert "names_by_corpus(model, transcoders)" in as_python("mine", FRANCE)


def test_the_page_shows_the_graph_and_its_truth(open_page):
    page = open_page("Graph", nodes="0.3")
    run_without_errors(page)
    assert "Which features made the answer?" in texts(page)
    assert "interp run attribution_graph --model demo-gpt2" in texts(page)


def test_a_model_without_transcoders_is_told_so(open_page, monkeypatch):
    monkeypatch.setattr("interp.app.views.attribution_graph.NAMES", ())
    page = open_page("Graph")
    run_without_errors(page)
    said = " ".join(one.value for one in page.info)
    assert "No transcoders of" in said
    assert "interp saes lists" in said


@pytest.mark.slow
def test_nodes_are_scaled_on_the_page(open_page):
    page = open_page("Graph", nodes="0.3")
    run_without_errors(page)
    page.multiselect(key="scaled").select_index(0)
    run_without_errors(page)
    assert "times 0" in texts(page)


def test_nodes_have_names_by_what_they_are(load):
    graph = FRANCE(load("demo-gpt2"))
    names = node_names(graph)
    assert len(names) == len(graph.nodes) - int(graph.nodes.of_kind("logit").sum())
    result = ScaleNodes(
        transcoders="demo-gpt2",
        prompt=FRANCE.prompt,
        answer=" Paris",
        nodes=(next(iter(names)),),
        factors=(0,),
    )(load("demo-gpt2"))
    assert result.answer == " Paris"
