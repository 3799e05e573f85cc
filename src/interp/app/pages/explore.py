"""The page Explore: a prompt, its logit lens, and what stands behind one cell of it."""

from __future__ import annotations

import re

import streamlit as st

from interp.app.ui import widgets
from interp.app.ui.model_choice import model_choice
from interp.app.views import cells, explore
from interp.app.views.downloads import chart_downloads
from interp.errors import InputError
from interp.figures.engine.notation import brief, show_token
from interp.methods.lens.logit_lens import LogitLensResult


def page() -> None:
    st.title("Explore a prompt", anchor=False)
    prompt, target = explore.EXAMPLES[0]
    widgets.begin_with({"prompt": prompt, "target": show_token(target)})
    left, middle, right = st.columns([6, 2, 2])
    with left:
        prompt = widgets.text("Prompt", "prompt")
    with middle:
        given = widgets.text("Target token", "target", placeholder="the model's own")
    with right:
        model = model_choice()
    widgets.examples(
        [(p, {"prompt": p, "target": show_token(t), "tracked": []}) for p, t in explore.EXAMPLES]
    )
    with widgets.sentences():
        _explore(model, prompt, _target(model, given))


def _target(model: str, given: str) -> str | int | None:
    """The target as it was typed, with tokens that go on from it. None, for the model's own, where nothing
    was typed, or no single token: then that is said."""
    if not given:
        return None
    target = explore.read_token(given)
    vocabulary = widgets.store().ask(model, explore.Vocabulary())
    try:
        return widgets.store().ask(model, explore.Single(target))
    except InputError as error:
        st.error(widgets.plain(f"{error} Until then, the model's own next token is followed."))
        return None
    finally:
        offered = explore.completions(vocabulary, target)
        widgets.offer("target", [show_token(token) for token in offered])


def _explore(model: str, prompt: str, target: str | int | None) -> None:
    question = explore.Lens(prompt, target)
    lens = widgets.store().ask(model, question)
    n_rows, n_columns = len(lens.layers), len(lens.tokens)
    row, column = widgets.clicked_cell((n_rows, n_columns), (n_rows - 1, n_columns - 1))
    widgets.mount_grid(
        cells.strip(lens.tokens, selected=column),
        key="strip",
        on_click=lambda _, position: widgets.go_to_cell(row, position),
    )
    left, right = st.columns([5, 2], gap="medium")
    with left:
        _lens(model, question, lens, (row, column))
    with right:
        _cell(lens, row, column)
    picked = _head()
    left, right = st.columns(2, gap="medium")
    with left, widgets.sentences():
        _tracked(model, prompt, lens, column)
    with right, widgets.sentences():
        followed = lens.answer_id if target is None else target
        _attribution(model, explore.Attribution(prompt, followed, column), picked)
    with widgets.sentences():
        _attention(model, prompt, (row, column), picked)


def _lens(model: str, question: explore.Lens, lens: LogitLensResult, cell: tuple[int, int]) -> None:
    with widgets.title(f"Logit lens. Target: {brief(lens.answer)}", key="lens"):
        colour = widgets.switch("Colour by", "colour", explore.COLOURS)
        widgets.take_along(model, question, lens)
    widgets.show_grid(
        explore.lens_grid(lens, colour),
        key="lens",
        selected=cell,
        around=cell[1],
        on_click=widgets.go_to_cell,
        titled=False,
    )


def _cell(lens: LogitLensResult, row: int, column: int) -> None:
    """What one cell of the lens says; a token that is clicked there is tracked."""
    told = explore.cell_tokens(lens, row, column)
    with widgets.title(explore.cell_title(lens, row, column), key="cell"):
        pass

    def track(place: int, _: int) -> None:
        widgets.track(show_token(told[place][1]))

    rank = int(lens.grid["answer_rank"][row, column])
    widgets.mount_grid(
        cells.ranking(told, label="Top tokens of the cell", framed=rank), key="top", on_click=track
    )
    st.caption("Click a token to follow it over the layers.")


def _tracked(model: str, prompt: str, lens: LogitLensResult, position: int) -> None:
    title = f"Probability over the layers, at {brief(lens.tokens[position])}"
    with widgets.title(title, key="tracked"):
        beside = st.container()
    given = widgets.several("Tracked tokens", "tracked", [show_token(lens.answer)])
    texts = explore.followed(lens, position, given)
    tokens = tuple(widgets.store().ask(model, explore.Single(text)) for text in texts)
    question = explore.Tracked(prompt, position, tokens)
    lines = explore.tracked_lines(widgets.store().ask(model, question), lens.layers, texts)
    widgets.show_chart(lines, key="tracked-lines")
    with beside:
        widgets.offer_copies(
            explore.tracked_as_python(model, question),
            explore.tracked_as_commands(model, question),
            chart_downloads(lines, name="tracked_tokens", title=title, provenance=lens.provenance),
        )


def _attribution(model: str, question: explore.Attribution, picked: tuple[int, int] | None) -> None:
    parts = widgets.store().ask(model, question)
    grid = explore.attribution_grid(parts)
    heads = 0 if parts.by_head is None else parts.by_head.shape[1]

    def go_to(layer: int, place: int) -> None:
        if place < heads:
            widgets.go_to_head(layer, place)
        else:  # an MLP or a whole layer's attention: the lens after that layer
            widgets.forget_head()
            widgets.go_to_cell(layer + 1, parts.position)

    with widgets.title(grid.title, key="attribution"):
        widgets.take_along(model, question, parts)
    widgets.show_grid(grid, key="attribution", selected=picked, on_click=go_to, titled=False)
    st.caption("Click a head to see where it looks." if heads else "This model has no parts by head.")


def _attention(model: str, prompt: str, cell: tuple[int, int], picked: tuple[int, int] | None) -> None:
    """All heads of the cell's layer, or of the layer of the head that was picked, and one of them in full."""
    row, column = cell
    layer, head = picked or (max(row - 1, 0), 0)
    n_heads = widgets.store().ask(model, explore.Heads())
    asked = range(n_heads) if head < n_heads else (head,)  # one that is not there is refused
    question = explore.Pattern(prompt, tuple((layer, h) for h in asked))
    attention = widgets.store().ask(model, question)
    of_layer = explore.heads_grid(attention, column)
    pattern = explore.attention_grid(attention, head, column)
    left, right = st.columns(2, gap="medium")
    with left:
        with widgets.title(of_layer.title, key="heads"):
            if picked:
                st.button("Follow the cell's layer", type="tertiary", on_click=widgets.forget_head)
        widgets.show_grid(
            of_layer,
            key="heads",
            selected=(head, pattern.framed[0][1]),
            around=column,
            on_click=lambda h, _: widgets.go_to_head(layer, h),
            titled=False,
        )
    with right:
        with widgets.title(pattern.title, key="attention"):
            widgets.take_along(model, question, attention)
        widgets.show_grid(
            pattern,
            key="attention",
            around=column,
            on_click=lambda query, _: widgets.go_to_cell(row, query),
            titled=False,
        )


def _head() -> tuple[int, int] | None:
    """The (layer, head) in the URL; where that is none, it is said."""
    given = st.query_params.get("head")
    if given is None:
        return None
    found = re.fullmatch(r"(\d{1,6})\.(\d{1,6})", given)
    if found is None:
        st.error(widgets.plain(f"The address names the head {given!r}; write it as layer.head, such as 5.1."))
        return None
    return int(found[1]), int(found[2])
