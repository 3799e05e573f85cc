"""The page Graph: which features at which tokens made the answer, with the truth beside them."""

from __future__ import annotations

import streamlit as st

from interp.app.markdown import escape_markdown
from interp.app.server.session import ask
from interp.app.ui import inputs, show
from interp.app.ui.answers import suggest, typed_token
from interp.app.ui.copies import copies_of
from interp.app.ui.errors import show_errors
from interp.app.ui.explain import explain
from interp.app.ui.model_choice import choose_model
from interp.app.ui.parts import part
from interp.app.ui.permission import allow_typed, permitted
from interp.app.views import attribution_graph as views
from interp.figures.dashboard.graph_page import page_of
from interp.figures.engine.view import Scatter, Table, Words
from interp.figures.views.attribution_graph import view
from interp.methods.graphs.graph_files import graph_file

_HEIGHT = 900  # pixels of the graph's own page


def page() -> None:
    explain("Graph")
    left, middle, right = st.columns([6, 2, 2])
    with right:
        model = choose_model()
    examples = inputs.fitting(model, views.EXAMPLES, prompt="prompt", answer="answer")
    inputs.set_default_texts(examples[0][1])
    with left:
        prompt = inputs.prompt("Prompt", "prompt", model=model)
    with middle:
        typed = inputs.text("Answer", "answer", placeholder="the likeliest tokens")
    inputs.examples(examples)
    going_on = st.container()
    left, right = st.columns([3, 1])
    with left:
        given = inputs.text(
            "Transcoders (empty: the model's own)", "transcoders",
            placeholder="a folder, a published name, or org/repo:folder",
            on_change=allow_typed, args=("transcoders",),
        )  # fmt: skip
    with right:
        nodes = inputs.number(
            "Share of influence kept", "nodes", 0.8, min_value=0.1, max_value=1.0, step=0.05
        )
    with show_errors():
        answer = typed_token(model, typed) if typed else None
        transcoders = given or views.own_transcoders(model)
        if (answer or not typed) and permitted("set of transcoders", transcoders, "transcoders"):
            question = views.AttributionGraph(
                transcoders=transcoders, prompt=prompt, answer=answer, nodes=nodes
            )
            _graph(model, question)
    suggest(model, prompt, answer=going_on)


@part
def _graph(model: str, question: views.AttributionGraph) -> None:
    result = ask(model, question)
    drawn = view(result)
    with show.title(drawn.title, key="graph"):
        copies_of(model, question, result, views.as_python(model, question))
    for name in ("verdict", "truth"):
        show.words(drawn.block(name, Words))
    show.document(page_of(graph_file(result)), title="The graph", height=_HEIGHT, key="document")
    show.charts([block for block in drawn.blocks if isinstance(block, Scatter)], key="graph")
    for block in drawn.blocks:
        if isinstance(block, Table):
            show.table(block)
    st.caption(escape_markdown(" ".join((*drawn.above[1:], *drawn.below))))  # the prompt stands above
