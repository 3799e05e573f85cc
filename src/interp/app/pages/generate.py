"""The page Generate: what the model goes on to say, and what a changed part makes of it."""

from __future__ import annotations

import streamlit as st

from interp.app.markdown import escape_markdown
from interp.app.server.session import ask
from interp.app.ui import inputs, show
from interp.app.ui.answers import suggest, typed_answer
from interp.app.ui.copies import copies_of
from interp.app.ui.errors import show_errors
from interp.app.ui.explain import explain
from interp.app.ui.model_choice import choose_model
from interp.app.ui.permission import allow_typed, permitted
from interp.app.views import generate
from interp.app.views.features import has_sae, own_sae
from interp.app.views.tokens import TypedTokens, read_token
from interp.figures.engine.view import Grid, Table, Words
from interp.figures.views.generate import view


def page() -> None:
    explain("Generate")
    left, middle, right = st.columns([3, 1, 1])
    with right:
        model = choose_model()
    with middle:
        n_tokens = inputs.number("Tokens to say", "n_tokens", generate.N_TOKENS, min_value=1, max_value=100)
    inputs.set_default_texts({"prompt": generate.EXAMPLES[0][0], "follow": ""})
    with left:
        prompt = inputs.prompt("Prompt", "prompt", model=model)
    inputs.examples(generate.EXAMPLES)
    change = None
    with show_errors():
        change = _change(model)
    if change is None:
        return
    with show_errors():
        _said(model, generate.Generate(prompt, n_tokens, change))
    if change.part != "nothing":
        follow = inputs.text("Token to follow", "follow", placeholder="the model's own, without the change")
        going_on = st.container()
        with show_errors():
            answer = typed_answer(model, follow) if follow else None
            if answer or not follow:
                _lens(model, prompt, answer, change)
        suggest(model, prompt, follow=going_on)


def _change(model: str) -> generate.Change | None:
    """What is to be changed, by the inputs; None where that is not said yet."""
    parts = tuple(part for part in generate.PARTS if part != "feature" or has_sae(model))
    part = inputs.switch("What is changed", "part", parts)
    if part == "nothing":
        return generate.NOTHING
    left, right = st.columns([1, 3])
    label, first = generate.NAMED[part]
    with left:
        name = st.text_input(label, first, key=f"which_{part}", bind="query-params", live="150ms")
    with right:
        ways = generate.HOW[part]
        how = inputs.switch("How it is changed", f"how_{part}", ways) if len(ways) > 1 else ways[0]
        value = 0.0
        if how == "multiply":
            value = inputs.slider("times", generate.MULTIPLY)
        elif how == "add":
            value = inputs.slider(f"added_{part}", generate.ADD[part])
    file = None
    if part == "direction":
        file = inputs.text(
            "File of directions", "directions", placeholder="as interp.write_directions wrote it",
            on_change=allow_typed, args=("directions",),
        )  # fmt: skip
        if not file:
            st.caption("Give a file of directions, such as interp run direction_effects leaves.")
            return None
        if not permitted("file of directions", file, "directions"):
            return None
    sae = own_sae(model) if part == "feature" and model else None
    change = generate.Change(part, name, value, how, sae, file)
    _ = change.edit  # a name that is none is told once
    return change


def _said(model: str, question: generate.Generate) -> None:
    """What is said, with the change below the text without it."""
    result = ask(model, question)
    drawn = view(result)
    with show.title(drawn.title, key="said"):
        copies_of(model, question, result, generate.as_python(model, question))
    show.words(drawn.block("verdict", Words))
    show.table(drawn.block("texts", Table))
    for block in drawn.blocks:
        if isinstance(block, Grid):
            show.grid(block, key=f"said-{block.name}", around=0)
    st.caption(escape_markdown(" ".join((*drawn.above, *drawn.below))))


def _lens(model: str, prompt: str, answer: str | None, change: generate.Change) -> None:
    """What each layer would say behind the prompt, and the token that is followed, with the change and
    without."""
    unedited = ask(model, generate.LensAtEnd(prompt, answer))
    same = answer or read_token(*ask(model, TypedTokens((unedited.answer_id,))))
    question = generate.LensAtEnd(prompt, same, change)
    edited = ask(model, question)
    with show.title("Behind the prompt, layer by layer", key="at-end"):
        copies_of(model, question, edited, generate.lens_as_python(model, question))
    st.markdown(f"**{escape_markdown(generate.followed(unedited, edited))}**")
    left, right = st.columns(2, gap="medium")
    with left:
        show.table(generate.lens_table(unedited, edited))
    with right:
        show.chart(generate.lens_lines(unedited, edited), key="followed")
