"""The page Trace: a clean and a corrupted prompt, and the exact map of what carries the answer."""

from __future__ import annotations

import streamlit as st

from interp.app.markdown import escape_markdown
from interp.app.server.session import ask
from interp.app.ui import address, inputs, show
from interp.app.ui.answers import read_answers, suggest
from interp.app.ui.copies import copy_or_download
from interp.app.ui.errors import show_errors
from interp.app.ui.explain import explain
from interp.app.ui.files import read_file
from interp.app.ui.model_choice import choose_model
from interp.app.ui.parts import part
from interp.app.views import trace
from interp.app.views.alignment import Alignment
from interp.app.views.tokens import PromptTokens
from interp.figures.engine.view import Words
from interp.figures.views.activation_patching import view


def page() -> None:
    explain("Trace")
    left, middle, right = st.columns([6, 3, 2])
    with right:
        model = choose_model()
    examples = inputs.fitting(model, list(trace.EXAMPLES.items()), prompt="clean", answer="answer")
    inputs.set_default_texts(examples[0][1])
    with left:
        clean, clean_tokens = _prompt(model, "Clean prompt", "clean")
        corrupted, corrupted_tokens = _prompt(model, "Corrupted prompt", "corrupted")
    with middle:
        of_answer = inputs.text("Answer", "answer"), st.container(), False
        no_foil = "none: the metric is the answer's probability"
        of_foil = inputs.text("Foil", "foil", placeholder=no_foil), st.container(), True
    inputs.examples(examples)
    answer, foil = read_answers(model, of_answer, of_foil)
    if _aligned(clean_tokens, corrupted_tokens) and answer is not None and foil is not None:
        _map(model, clean, corrupted, answer, foil or None)
    suggest(model, clean, answer=of_answer[1], foil=of_foil[1])


def _prompt(model: str, label: str, key: str) -> tuple[str, tuple[str, ...]]:
    """A prompt and its tokens; no tokens where it cannot be used, which is said below the input."""
    prompt = inputs.prompt(label, key, model=model)
    with show_errors():
        return prompt, ask(model, PromptTokens(prompt))
    return prompt, ()


def _aligned(clean: tuple[str, ...], corrupted: tuple[str, ...]) -> bool:
    """Show both prompts, token over token; whether activations can be patched between them."""
    if not clean or not corrupted:
        return False
    alignment = Alignment.between(clean, corrupted)
    st.html(f'<style>{read_file("trace.css")}</style><div class="interp">{alignment.html}</div>')
    if alignment.problem:
        st.error(escape_markdown(alignment.problem))
    else:
        st.caption(escape_markdown(alignment.differences))
    return not alignment.problem


@part
def _map(model: str, clean: str, corrupted: str, answer: str, foil: str | None) -> None:
    left, right = st.columns([6, 5], gap="medium")
    with left, show.title("Patched", key="map"):
        part = inputs.switch(
            "What is patched", "part", tuple(trace.PARTS), on_change=address.forget_clicks
        )  # another one begins with its own strongest cell
        direction = inputs.switch("Direction", "direction", tuple(trace.DIRECTIONS))
        question = trace.ActivationPatching(clean, corrupted, answer, foil, part, direction)
        beside_title = st.container(width="content")
    with left:
        result = ask(model, question)
        for doubt in trace.doubts_of(result):
            st.warning(escape_markdown(doubt))
        show.words(view(result).block("verdict", Words))
        cell = address.clicked_cell((len(result.recovery.mean), len(result.columns)), result.peak)
        show.grid(
            trace.recovery_grid(result), key="map", selected=cell, around=cell[1], on_click=address.go_to_cell
        )
    with beside_title:
        copy_or_download(model, question, result)
    with right, show_errors():
        predictions = ask(model, trace.CellPredictions(question, *cell))
        with show.title(trace.cell_in_words(result, direction, cell), key="predictions"):
            pass
        show.table(trace.metric_table(result, predictions, cell))
        show.table(trace.prediction_table(predictions))
