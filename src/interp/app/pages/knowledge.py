"""The page Knowledge: what a model was told beside what it makes up, layer by layer."""

from __future__ import annotations

import streamlit as st

from interp.app.markdown import escape_markdown
from interp.app.server.session import ask
from interp.app.ui import inputs, show
from interp.app.ui.copies import copies_of
from interp.app.ui.errors import show_errors
from interp.app.ui.explain import explain
from interp.app.ui.lens_choice import choose_lens
from interp.app.ui.model_choice import choose_model
from interp.app.ui.parts import part
from interp.app.views import knowledge
from interp.app.views.model_picture import ShapeOfModel
from interp.figures.engine.view import Lines, Scatter, Table, Words
from interp.figures.views.knowledge import view


def page() -> None:
    explain("Knowledge")
    left, middle, right = st.columns([2, 2, 1])
    with right:
        model = choose_model()
    with left:
        data = inputs.switch("Of whom or what", "data", knowledge.offered(model))
    with middle:
        n = inputs.number("Entities of each kind", "n", knowledge.entities(model), min_value=4, max_value=100)
    with show_errors():
        lens = choose_lens(model)
        if lens is not None:
            layers = knowledge.probed(ask(model, ShapeOfModel()).n_layers)
            _knowledge(model, knowledge.Knowledge(data=data, n=n, lens=lens, probe_layers=layers))


@part
def _knowledge(model: str, question: knowledge.Knowledge) -> None:
    result = ask(model, question)
    drawn = view(result)
    with show.title(drawn.title, key="knowledge"):
        copies_of(model, question, result, knowledge.as_python(model, question))
    for block in drawn.blocks:
        if isinstance(block, Words):
            show.words(block)
        elif isinstance(block, Table):
            show.table(block)
    show.charts([block for block in drawn.blocks if isinstance(block, Lines | Scatter)], key="knowledge")
    st.caption(escape_markdown(" ".join((*drawn.above, *drawn.below))))
    st.caption("What pushing along the direction does, interp run knowledge tells; it takes longer.")
