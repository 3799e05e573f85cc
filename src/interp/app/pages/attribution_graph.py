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
from interp.figures.views.scale_nodes import view as view_of_scaled
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
    if model and not given and not views.has_transcoders(model):
        st.info(escape_markdown(f"No transcoders of {model} are known here: {views.WITHOUT}"))
        return
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
    _intervene(model, question, views.node_names(result))
    show.charts([block for block in drawn.blocks if isinstance(block, Scatter)], key="graph")
    for block in drawn.blocks:
        if isinstance(block, Table):
            show.table(block)
    st.caption(escape_markdown(" ".join((*drawn.above[1:], *drawn.below))))  # the prompt stands above


def _intervene(model: str, graph: views.AttributionGraph, names: dict[str, str]) -> None:
    """Some nodes scaled, and what the model says then."""
    st.subheader("Intervene")
    left, right = st.columns([4, 1])
    with left:
        chosen = st.multiselect(
            "Nodes to scale together", list(names), format_func=lambda node: escape_markdown(names[node]),
            placeholder="features, errors and tokens of the graph", key="scaled",
        )  # fmt: skip
    with right:
        factor = st.number_input("By a factor", value=0.0, step=0.5, key="factor")
    if not chosen:
        return
    with show_errors():
        question = views.ScaleNodes(
            transcoders=graph.transcoders, prompt=graph.prompt, answer=graph.answer,
            nodes=tuple(chosen), factors=(factor,),
        )  # fmt: skip
        drawn = view_of_scaled(ask(model, question))
        show.words(drawn.block("verdict", Words))
        show.table(drawn.block("said", Table))
        st.caption(escape_markdown(" ".join(drawn.below)))
