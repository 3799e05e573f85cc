"""The page Contrast: two prompts side by side, layer by layer."""

from __future__ import annotations

import streamlit as st

from interp.app.ui import widgets
from interp.app.ui.model_choice import model_choice
from interp.app.views import contrast
from interp.figures.views import contrast as presentation


def page() -> None:
    st.title("Contrast two prompts")
    widgets.begin_with(contrast.EXAMPLES[0][1])
    left, middle, right = st.columns([2, 1, 1])
    with left:
        model = model_choice()
    with middle:
        margin = widgets.number("Ahead by at least (logits)", "margin", 1.0, min_value=0.1, step=0.5)
    with right:
        position = widgets.number("Read at position (-1: the last)", "position", -1, max_value=-1)
    left, right = st.columns(2)
    with left:
        first = widgets.text("First prompt", "first")
        target = widgets.text("Target: what the first is expected to say", "target")
    with right:
        second = widgets.text("Second prompt", "second")
        competitor = widgets.text("Competitor: what the second is expected to say", "competitor")
    widgets.examples(contrast.EXAMPLES)
    with widgets.sentences():
        prompts, read = {"first": first, "second": second}, {"margin": margin, "position": position}
        _contrast(model, contrast.Contrast.typed(target=target, competitor=competitor, **prompts, **read))


def _contrast(model: str, question: contrast.Contrast) -> None:
    result = widgets.store().ask(model, question)
    view = presentation.view(result)
    st.caption(widgets.plain(" ".join(view.above[2:])))  # the prompts stand in the inputs above
    st.markdown(f"**{widgets.plain(presentation.verdict(result))}**")
    shape = len(result.layers), 2 * len(contrast.PROMPTS)
    row, column = widgets.clicked_cell(shape, (shape[0] - 1, 0))
    left, right = st.columns([3, 2])
    with left:
        drawn = contrast.drawn(result, selected=(row, column))
        with widgets.title(drawn["label"], key="contrast"):
            widgets.take_along(model, question, result)
        widgets.mount_grid(drawn, key="contrast", on_click=widgets.go_to_cell)
    with right:
        widgets.show_chart(presentation.traces(result), key="traces")
    for part, prompt in zip(st.columns(2), range(2), strict=True):
        lens = widgets.store().ask(model, question.lens(prompt))
        with part:
            widgets.show_table(contrast.cell_table(lens, prompt, row, question.position))
