"""The page Trace: a clean and a corrupted prompt, and the exact map of what carries the answer."""

from __future__ import annotations

import streamlit as st

from interp.app import trace, widgets
from interp.app.model_choice import model_choice
from interp.figures.notation import brief, decimal


def page() -> None:
    st.title("Trace an answer")
    widgets.begin_with(trace.EXAMPLE)
    left, right = st.columns([1, 1])
    with left:
        model = model_choice()
    with right:
        part = widgets.choice("What is patched", "part", tuple(trace.PARTS))
    left, right = st.columns(2)
    with left:
        clean = widgets.text("Clean prompt", "clean")
        answer = widgets.text("Answer", "answer")
    with right:
        corrupted = widgets.text("Corrupted prompt", "corrupted")
        foil = widgets.text("Foil (empty: the answer's probability is the metric)", "foil")
    with widgets.sentences():
        widgets.show_table(
            trace.alignment_table(*(widgets.store().ask(model, trace.Labels(p)) for p in (clean, corrupted)))
        )
        _map(model, trace.Sweep(clean, corrupted, answer, foil or None, part))


def _map(model: str, question: trace.Sweep) -> None:
    sweep = widgets.store().ask(model, question)
    layer, column = widgets.clicked_cell((len(sweep.recovery), len(sweep.columns)), sweep.peak)
    st.caption(
        widgets.plain(
            f"Metric {sweep.metric}: clean {decimal(sweep.clean_values[0])}, corrupted "
            f"{decimal(sweep.corrupted_values[0])}. Recovery 1: as clean. Click a cell."
        )
    )
    widgets.show_grid(
        trace.recovery_grid(sweep),
        key="map",
        selected=(layer, column),
        around=column,
        on_click=widgets.go_to_cell,
    )
    said = widgets.store().ask(model, trace.Patched(question, layer, column))
    where = f"{sweep.site}, layer {layer}, {sweep.by} {column}"
    title = f"Patched at {where}: the corrupted run then says {brief(said[0][0])}"
    widgets.show_table(trace.patched_table(said, title=title))
    widgets.take_along(model, question, sweep)
