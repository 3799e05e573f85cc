"""The page Contrast: two prompts side by side, layer by layer."""

from __future__ import annotations

import streamlit as st

from interp.app.markdown import escape_markdown
from interp.app.server.session import ask
from interp.app.ui import address, inputs, show
from interp.app.ui.answers import suggest, typed_token
from interp.app.ui.copies import copy_or_download
from interp.app.ui.errors import show_errors
from interp.app.ui.explain import explain
from interp.app.ui.lens_choice import choose_lens
from interp.app.ui.model_choice import choose_model
from interp.app.ui.parts import part
from interp.app.views import contrast
from interp.figures.engine.view import Lines, Words
from interp.figures.views import contrast as contrast_view


def page() -> None:
    explain("Contrast")
    left, middle, right = st.columns([2, 1, 1])
    with left:
        model = choose_model()
    examples = inputs.fitting(model, contrast.EXAMPLES, prompt="first", answer="target")
    inputs.set_default_texts(examples[0][1])
    with middle:
        margin = inputs.number("Ahead by at least (logits)", "margin", 1.0, min_value=0.1, step=0.5)
    with right:
        position = inputs.number("Read at position (-1: the last)", "position", -1, max_value=-1)
    left, right = st.columns(2)
    with left:
        first = inputs.prompt("First prompt", "first", model=model)
        target = _token(model, "Target: what the first is expected to say", "target")
        of_target = st.container()
    with right:
        second = inputs.prompt("Second prompt", "second", model=model)
        competitor = _token(model, "Competitor: what the second is expected to say", "competitor")
        of_competitor = st.container()
    inputs.examples(examples)
    with show_errors():
        lens = choose_lens(model)
        if lens is not None and target is not None and competitor is not None:
            question = contrast.Contrast(first, second, target, competitor, margin, position, lens)
            _contrast(model, question)
    suggest(model, first, target=of_target)
    suggest(model, second, competitor=of_competitor)


def _token(model: str, label: str, key: str) -> str | None:
    """The token that was typed; None where it is none, which is said."""
    typed = inputs.text(label, key)
    with show_errors():
        return typed_token(model, typed)
    return None


@part
def _contrast(model: str, question: contrast.Contrast) -> None:
    result = ask(model, question)
    view = contrast_view.view(result)
    st.caption(escape_markdown(" ".join(view.above[2:])))  # the prompts stand in the inputs above
    show.words(view.block("verdict", Words))
    shape = len(result.layers), 2 * len(contrast.PROMPTS)
    row, column = address.clicked_cell(shape, (shape[0] - 1, 0))
    left, right = st.columns([3, 2])
    with left:
        data = contrast.side_by_side_data(result, selected=(row, column))
        with show.title(data["label"], key="contrast"):
            copy_or_download(model, question, result)
        show.grid_component(data, key="contrast", on_click=address.go_to_cell)
    with right:
        show.chart(view.block("traces", Lines), key="traces")
    for place, prompt in zip(st.columns(2), range(2), strict=True):
        reading = ask(model, question.reading(prompt))
        with place:
            show.table(contrast.cell_table(reading, prompt, row))
