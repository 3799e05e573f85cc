"""The page Explore: a prompt, its logit lens, and what stands behind one cell of it."""

from __future__ import annotations

import re

import streamlit as st

from interp.app import explore, widgets
from interp.app.model_choice import model_choice
from interp.errors import InputError
from interp.figures.notation import brief, show_token


def page() -> None:
    st.title("Explore a prompt")
    prompt, target = explore.EXAMPLES[0]
    widgets.begin_with({"prompt": prompt, "target": target})
    left, right = st.columns([1, 3])
    with left:
        model = model_choice()
    with right:
        prompt = widgets.text("Prompt", "prompt")
    widgets.examples([(p, {"prompt": p, "target": t}) for p, t in explore.EXAMPLES])
    left, middle, right = st.columns([1, 2, 1])
    with left:
        target = widgets.text("Target token (empty: the model's own)", "target")
    with middle:
        tracked = widgets.text("Tracked tokens, comma between", "tracked", placeholder=" Paris, London")
    with right:
        colour = widgets.choice("Colour by", "colour", explore.COLOURS)
    with widgets.sentences():
        _lens(model, prompt, target or None, tracked, colour)


def _lens(model: str, prompt: str, target: str | None, tracked: str, colour: explore.Colour) -> None:
    question = explore.Lens(prompt, target)
    lens = widgets.store().ask(model, question)
    shape = len(lens.layers), len(lens.tokens)
    row, column = widgets.clicked_cell(shape, (shape[0] - 1, shape[1] - 1))
    st.caption(widgets.plain(f"{len(lens.tokens)} tokens. Target: {brief(lens.answer)}. Click a cell."))
    widgets.show_grid(
        explore.lens_grid(lens, colour),
        key="lens",
        selected=(row, column),
        around=column,
        on_click=widgets.go_to_cell,
    )
    widgets.take_along(model, question, lens)
    left, right = st.columns([2, 3])
    with left:
        widgets.show_table(explore.cell_table(lens, row, column))
        with widgets.sentences():
            _tracked(model, prompt, tracked, column, lens.layers)
    with right, widgets.sentences():
        _attribution(model, explore.Attribution(prompt, target or lens.answer_id, column))
    with widgets.sentences():
        _attention(model, explore.Pattern(prompt, *_head(layer=max(row - 1, 0))), (row, column))


def _attribution(model: str, question: explore.Attribution) -> None:
    parts = widgets.store().ask(model, question)
    heads = 0 if parts.by_head is None else parts.by_head.shape[1]

    def go_to_head(layer: int, head: int) -> None:
        if head < heads:  # the last column is the MLP, which has no attention to show
            st.query_params["head"] = f"{layer}.{head}"

    widgets.show_grid(explore.attribution_grid(parts), key="attribution", on_click=go_to_head)
    where = f"At position {parts.position}: {show_token(parts.tokens[parts.position])}."
    st.caption(widgets.plain(where + (" Click a head to see its attention." if heads else "")))
    widgets.take_along(model, question, parts)


def _attention(model: str, question: explore.Pattern, cell: tuple[int, int]) -> None:
    attention = widgets.store().ask(model, question)
    row, column = cell
    widgets.show_grid(
        explore.attention_grid(attention),
        key="attention",
        around=column,
        on_click=lambda query, _: widgets.go_to_cell(row, query),
    )
    widgets.take_along(model, question, attention)


def _tracked(model: str, prompt: str, given: str, position: int, layers: tuple[str, ...]) -> None:
    tokens = tuple(token for token in given.split(",") if token)
    if tokens:
        values = widgets.store().ask(model, explore.Tracked(prompt, position, tokens))
        lines = explore.tracked_lines(values, layers, tokens)
        widgets.show_chart(lines, key="tracked-lines")


def _head(*, layer: int) -> tuple[int, int]:
    """The (layer, head) in the URL; without one, the first head of `layer`."""
    given = st.query_params.get("head")
    if given is None:
        return layer, 0
    found = re.fullmatch(r"(\d{1,6})\.(\d{1,6})", given)
    if found is None:
        raise InputError(f"The address names the head {given!r}; write it as layer.head, such as 5.1.")
    return int(found[1]), int(found[2])
