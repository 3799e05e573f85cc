"""The page Contrast: two prompts side by side, layer by layer."""

from __future__ import annotations

import streamlit as st

from interp.app.markdown import escape_markdown
from interp.app.server.session import ask
from interp.app.ui import address, inputs, show
from interp.app.ui.copies import copy_or_download
from interp.app.ui.errors import show_errors
from interp.app.ui.lens_choice import choose_lens
from interp.app.ui.model_choice import choose_model
from interp.app.views import contrast
from interp.figures.engine.view import Lines, Words
from interp.figures.views import contrast as contrast_view


def page() -> None:
    st.title("Contrast two prompts")
    inputs.set_default_texts(contrast.EXAMPLES[0][1])
    left, middle, right = st.columns([2, 1, 1])
    with left:
        model = choose_model()
    with middle:
        margin = inputs.number("Ahead by at least (logits)", "margin", 1.0, min_value=0.1, step=0.5)
    with right:
        position = inputs.number("Read at position (-1: the last)", "position", -1, max_value=-1)
    left, right = st.columns(2)
    with left:
        first = inputs.text("First prompt", "first")
        target = inputs.text("Target: what the first is expected to say", "target")
    with right:
        second = inputs.text("Second prompt", "second")
        competitor = inputs.text("Competitor: what the second is expected to say", "competitor")
    inputs.examples(contrast.EXAMPLES)
    with show_errors():
        lens = choose_lens(model)
        if lens is not None:
            question = contrast.Contrast.typed(
                first=first, second=second, target=target, competitor=competitor, margin=margin,
                position=position, lens=lens,
            )  # fmt: skip
            _contrast(model, question)


def _contrast(model: str, question: contrast.Contrast) -> None:
    result = ask(model, question)
    view = contrast_view.view(result)
    st.caption(escape_markdown(" ".join(view.above[2:])))  # the prompts stand in the inputs above
    st.markdown(f"**{escape_markdown(view.block('verdict', Words).text)}**")
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
            show.table(contrast.cell_table(reading, prompt, row, question.position))
