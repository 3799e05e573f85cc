"""The page Circuit map: the heads by what they look at, and what is lost without those that are picked."""

from __future__ import annotations

from contextlib import suppress

import streamlit as st

from interp.app.markdown import escape_markdown
from interp.app.server.session import ask
from interp.app.ui import inputs, show
from interp.app.ui.answers import read_answers, suggest
from interp.app.ui.copies import copy_or_download
from interp.app.ui.errors import show_errors
from interp.app.ui.explain import explain
from interp.app.ui.model_choice import choose_model
from interp.app.views import circuit_map
from interp.app.views.attention import AttentionPatterns, pattern_grids
from interp.errors import InterpError
from interp.figures.engine.notation import count
from interp.figures.engine.view import Bars, Table, Words, block_name
from interp.figures.views import head_ablation as head_ablation_view
from interp.figures.views import head_scores as head_scores_view
from interp.methods.ablation.results import HeadAblationResult

_UPLOADED = "uploaded circuit file"  # key of the session's state


def page() -> None:
    explain("Circuit map")
    left, right = st.columns([1, 3])
    with left:
        model = choose_model()
    named = circuit_map.examples_of(model)
    examples = inputs.fitting(model, named, prompt="prompt", answer="answer")
    inputs.set_default_texts(examples[0][1])
    _pick_heads_of_uploaded_file(model)
    with right:
        prompt = inputs.prompt("Prompt", "prompt", model=model)
    left, middle, right = st.columns([2, 1, 1])
    with left:
        typed = inputs.text("Picked heads (layer.head, comma between; or click cells)", "heads")
    with middle:
        of_answer = inputs.text("Answer", "answer"), st.container(), False
    with right:
        no_foil = "none: the answer's probability"
        of_foil = inputs.text("Foil", "foil", placeholder=no_foil), st.container(), True
    inputs.examples(examples)
    answer, foil = read_answers(model, of_answer, of_foil)
    heads = circuit_map.parse_heads(typed)
    with show_errors():
        _scores(model, heads)
    if not heads:
        st.info("Pick a head: click a cell of a map, or go there with the arrow keys and press Enter.")
    else:
        with show_errors():
            ask(model, circuit_map.CheckInputs(prompt, heads))
            with show_errors():
                _patterns(model, AttentionPatterns(prompt, heads))
            if answer is not None and foil is not None:
                with show_errors():
                    _head_ablation(model, circuit_map.HeadAblation(prompt, heads, answer, foil or None))
    with show_errors(), suppress(InterpError):  # heads that are none were refused above
        _circuit(model, heads)
    suggest(model, prompt, answer=of_answer[1], foil=of_foil[1])


def _scores(model: str, heads: tuple[str, ...]) -> None:
    question = circuit_map.HeadScores()
    scores = ask(model, question)
    picked = circuit_map.cells_of_heads(heads, scores.attention.shape[1:])

    def toggle(layer: int, head: int) -> None:
        st.session_state["heads"] = circuit_map.toggle_head(st.session_state["heads"], layer, head)

    with show.title("Where the heads look on random tokens said twice", key="scores"):
        copy_or_download(model, question, scores)
    show.words(head_scores_view.verdict(scores))
    grids = circuit_map.score_grids(scores, picked)
    for place, name, grid in zip(st.columns(len(grids)), circuit_map.SCORES, grids, strict=False):
        with place:
            show.grid(grid, key=f"score-{name}", on_click=toggle)
    st.caption(
        f"{scores.sequences} sequences of {scores.copy_length} random tokens: where a head looks there, not "
        "what it writes, nor what it does on text. Click a cell to pick its head or to leave it."
    )


def _patterns(model: str, question: AttentionPatterns) -> None:
    result = ask(model, question)
    with show.title("Where the picked heads look on the prompt", key="patterns"):
        copy_or_download(model, question, result)
    grids = pattern_grids(result, most=circuit_map.MOST_PATTERNS)
    if len(result.heads) > len(grids):
        st.caption(f"The first {len(grids)} of {len(result.heads)} are drawn; the download has them all.")
    places = st.columns(min(len(grids), 2))
    for i, grid in enumerate(grids):
        with places[i % 2]:
            show.grid(grid, key=f"pattern-{grid.title}", pinned=True)


def _head_ablation(model: str, question: circuit_map.HeadAblation) -> None:
    result: HeadAblationResult = ask(model, question)
    view = head_ablation_view.view(result)
    with show.title(view.title, key="head-ablation"):
        copy_or_download(model, question, result)
    *doubts, _, explained = view.above  # between them the prompt, which stands in the input
    for doubt in doubts:
        st.warning(escape_markdown(doubt))
    show.words(view.block("verdict", Words))
    show.table(view.block("before_and_after", Table))
    st.caption(escape_markdown(" ".join((explained, *view.below))))
    places = st.columns(2)
    for i, measure in enumerate(result.measures):
        with places[i % 2]:
            show.chart(view.block(block_name("change", measure), Bars), key=f"change-{i}")


def _circuit(model: str, heads: tuple[str, ...]) -> None:
    with show.title("As a circuit", key="circuit"):
        pass
    left, right = st.columns(2)
    if heads:
        with left:
            st.download_button(
                f"Download the {count(len(heads), 'head')} as a circuit file",
                data=ask(model, circuit_map.CircuitFile(heads)),
                file_name=circuit_map.FILE,
                mime="application/json",
                key="circuit-download",
                on_click="ignore",
            )
            st.caption("EAP-IG's JSON. How much of a task it carries, with all MLPs, says:")
            st.code(circuit_map.faithfulness_command(model), language="bash", wrap_lines=True)
    with right:
        st.file_uploader(
            "Pick the heads of a circuit file",
            type="json",
            key="circuit-upload",
            on_change=_keep_uploaded_file,
            max_upload_size=100,  # MB; all edges of a large model stand in one
        )


def _keep_uploaded_file() -> None:
    """Keep an uploaded file until the next run of the script, which knows its model."""
    if (file := st.session_state["circuit-upload"]) is not None:
        st.session_state[_UPLOADED] = circuit_map.HeadsOfCircuitFile(file.name, file.getvalue())


def _pick_heads_of_uploaded_file(model: str) -> None:
    """Put the heads of a file that was just uploaded into the input; what is wrong with it is said here."""
    question = st.session_state.pop(_UPLOADED, None)
    if question is not None:
        with show_errors():
            heads, others = ask(model, question)
            inputs.fill({"heads": ",".join(heads)})
            if others:
                st.info(circuit_map.left_out(others))
