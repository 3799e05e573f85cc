"""The page Circuit map: the heads by what they look at, and what is lost without those that are picked."""

from __future__ import annotations

import streamlit as st

from interp.app.ui import widgets
from interp.app.ui.model_choice import model_choice
from interp.app.views import circuit_map
from interp.figures.engine.notation import count
from interp.figures.views import head_ablation as presentation
from interp.methods.ablation.results import HeadAblationResult

_PENDING = "circuit-file-given"


def page() -> None:
    st.title("Circuit map")
    widgets.begin_with(circuit_map.EXAMPLES[0][1])
    left, right = st.columns([1, 3])
    with left:
        model = model_choice()
    _take_heads_of_file(model)
    with right:
        prompt = widgets.text("Prompt", "prompt")
    left, middle, right = st.columns([2, 1, 1])
    with left:
        written = widgets.text("Picked heads (layer.head, comma between; or click cells)", "heads")
    with middle:
        answer = widgets.text("Answer", "answer")
    with right:
        foil = widgets.text("Foil (empty: the answer's probability)", "foil")
    widgets.examples(circuit_map.EXAMPLES)
    heads = circuit_map.picked(written)
    asked = circuit_map.HeadAblation.typed(prompt=prompt, heads=written, answer=answer, foil=foil)
    with widgets.sentences():
        _scores(model, heads)
    if not heads:
        st.info("Pick a head: click a cell of a map, or go there with the arrow keys and press Enter.")
    else:
        with widgets.sentences():
            widgets.store().ask(model, circuit_map.Usable(prompt, heads))
            with widgets.sentences():
                _patterns(model, circuit_map.Patterns(prompt, heads))
            with widgets.sentences():
                _head_ablation(model, asked)
    with widgets.sentences():
        _circuit(model, heads)


def _scores(model: str, heads: tuple[str, ...]) -> None:
    question = circuit_map.Scores()
    scores = widgets.store().ask(model, question)
    framed = circuit_map.places(heads, scores.mean.shape[1:])

    def toggle(layer: int, head: int) -> None:
        st.session_state["heads"] = circuit_map.toggled(st.session_state["heads"], layer, head)

    with widgets.title("Where the heads look on random tokens said twice", key="scores"):
        widgets.take_along(model, question, scores)
    grids = circuit_map.score_grids(scores, framed)
    for part, name, grid in zip(st.columns(len(grids)), circuit_map.SCORES, grids, strict=True):
        with part:
            widgets.show_grid(grid, key=f"score-{name}", on_click=toggle)
    st.caption(
        f"{scores.sequences} sequences of {scores.copy_length} random tokens: where a head looks there, not "
        "what it writes, nor what it does on text. Click a cell to pick its head or to leave it."
    )


def _head_ablation(model: str, question: circuit_map.HeadAblation) -> None:
    result: HeadAblationResult = widgets.store().ask(model, question)
    view = presentation.view(result)
    with widgets.title(view.title, key="knock-out"):
        widgets.take_along(model, question, result)
    st.markdown(f"**{widgets.plain(presentation.verdict(result))}**")
    widgets.show_table(presentation.table_of(result))
    st.caption(widgets.plain(" ".join((view.above[1], *view.below))))
    parts = st.columns(2)
    for i, block in enumerate(presentation.bars(result)):
        with parts[i % 2]:
            widgets.show_chart(block, key=f"change-{i}")


def _patterns(model: str, question: circuit_map.Patterns) -> None:
    result = widgets.store().ask(model, question)
    with widgets.title("Where the picked heads look on the prompt", key="patterns"):
        widgets.take_along(model, question, result)
    grids = circuit_map.pattern_grids(result)
    if len(result.heads) > len(grids):
        st.caption(f"The first {len(grids)} of {len(result.heads)} are drawn; the download has them all.")
    parts = st.columns(min(len(grids), 2))
    for i, grid in enumerate(grids):
        with parts[i % 2]:
            widgets.show_grid(grid, key=f"pattern-{grid.title}")


def _circuit(model: str, heads: tuple[str, ...]) -> None:
    with widgets.title("As a circuit", key="circuit"):
        pass
    left, right = st.columns(2)
    if heads:
        with left:
            text = widgets.store().ask(model, circuit_map.CircuitFile(heads))
            st.download_button(
                f"Download the {count(len(heads), 'head')} as a circuit file",
                data=text,
                file_name=circuit_map.FILE,
                mime="application/json",
                key="circuit-download",
                on_click="ignore",
            )
            st.caption("EAP-IG's JSON. How much of a task it carries, with all MLPs, says:")
            st.code(circuit_map.circuit_command(model), language="bash", wrap_lines=True)
    with right:
        st.file_uploader(
            "Pick the heads of a circuit file",
            type="json",
            key="circuit-upload",
            on_change=_keep_file,
            max_upload_size=100,  # MB; all edges of a large model stand in one
        )


def _keep_file() -> None:
    """An uploaded file is read in the next run, where its model is known."""
    if (given := st.session_state["circuit-upload"]) is not None:
        st.session_state[_PENDING] = circuit_map.HeadsOfFile(given.name, given.getvalue())


def _take_heads_of_file(model: str) -> None:
    """Put the heads of a file that was just uploaded into the input; what is wrong with it is said here."""
    question = st.session_state.pop(_PENDING, None)
    if question is not None:
        with widgets.sentences():
            heads, others = widgets.store().ask(model, question)
            widgets.fill({"heads": ",".join(heads)})
            if others:
                st.info(circuit_map.left_out(others))
