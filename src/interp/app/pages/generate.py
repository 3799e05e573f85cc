"""The page Generate: what the model goes on to say, and what a changed part makes of it."""

from __future__ import annotations

import streamlit as st

from interp.app.markdown import escape_markdown
from interp.app.server.session import ask
from interp.app.ui import inputs, show
from interp.app.ui.copies import copy_menu
from interp.app.ui.errors import show_errors
from interp.app.ui.explain import explain
from interp.app.ui.model_choice import choose_model
from interp.app.views import generate
from interp.app.views.downloads import downloads
from interp.app.views.features import has_sae, own_sae
from interp.app.views.questions import as_command
from interp.figures.engine.view import Grid, Table, Words
from interp.figures.views.generate import view


def page() -> None:
    explain("Generate")
    left, right = st.columns([3, 1])
    with right:
        model = choose_model()
        n_tokens = inputs.number("Tokens to say", "n_tokens", generate.N_TOKENS, min_value=1, max_value=100)
    inputs.set_default_texts({"prompt": generate.EXAMPLES[0][0]})
    with left:
        prompt = inputs.prompt("Prompt", "prompt")
    inputs.examples(generate.EXAMPLES)
    parts = generate.PARTS if has_sae(model) else generate.PARTS[:-1]  # the last one: a feature
    part = inputs.switch("What is changed", "part", parts)
    name, times = "", 0.0
    if part != "nothing":
        left, right = st.columns([1, 3])
        label, first = generate.NAMED[part]
        with left:
            name = st.text_input(label, first, key="which", bind="query-params", live="150ms")
        with right:
            times = st.slider(
                "Times (0 takes it out, 1 leaves it as it is)", -2.0, 10.0, 0.0, 0.25,
                key="times", bind="query-params",
            )  # fmt: skip
    with show_errors():
        sae = own_sae(model) if part == "feature" and model else None
        _said(model, generate.Generate(prompt, n_tokens, part, name, times, sae))


def _said(model: str, question: generate.Generate) -> None:
    result = ask(model, question)
    drawn = view(result)
    python, command = generate.as_python(model, question), as_command(model, question)
    with show.title(drawn.title, key="said"):
        copy_menu(python, command, downloads(model, question, lambda: result, python=python))
    st.markdown(f"**{escape_markdown(drawn.block('verdict', Words).text)}**")
    show.table(drawn.block("texts", Table))
    for block in drawn.blocks:
        if isinstance(block, Grid):
            show.grid(block, key=f"said-{block.name}", around=0)
    st.caption(escape_markdown(" ".join((*drawn.above, *drawn.below))))
