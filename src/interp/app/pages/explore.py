"""The page Explore: a prompt, what a lens reads of it, and what stands behind one cell of it."""

from __future__ import annotations

import streamlit as st

from interp.app.markdown import escape_markdown
from interp.app.server.models import offered_models
from interp.app.server.session import NotAnswered, ask
from interp.app.ui import address, inputs, show
from interp.app.ui.answers import suggest, typed_answer
from interp.app.ui.copies import copy_menu, copy_or_download
from interp.app.ui.errors import show_errors
from interp.app.ui.explain import explain
from interp.app.ui.lens_choice import choose_lens
from interp.app.ui.model_choice import choose_model
from interp.app.ui.parts import part
from interp.app.ui.permission import allow_typed, permitted
from interp.app.views import explore
from interp.app.views import lens as views
from interp.app.views.attention import AttentionPatterns, HeadsPerLayer, attention_grid, heads_grid
from interp.app.views.downloads import chart_downloads
from interp.app.views.generate import GoesOn
from interp.app.views.grid_data import said_strip, token_ranking, token_strip, turned
from interp.app.views.model_picture import ShapeOfModel, in_words, picture
from interp.app.views.tokens import SingleToken, TypedTokens, read_token
from interp.errors import InterpError
from interp.figures.engine.notation import brief
from interp.figures.engine.view import Words
from interp.figures.views.lens_words import about_lens, lens_name
from interp.methods.lens.results import LogitLensResult

_ROWS = ("rows: layers", "rows: tokens")  # the two ways to draw the lens
_NO_OTHER = "none"  # option of the input for another model


def page() -> None:
    explain("Explore")
    left, middle, right = st.columns([6, 2, 2])
    with right:
        model = choose_model()
    examples = inputs.fitting(model, explore.EXAMPLES, prompt="prompt", answer="target")
    inputs.set_default_texts(examples[0][1])
    with left:
        prompt = inputs.prompt("Prompt", "prompt", model=model)
    with middle:
        typed = inputs.text("Target token", "target", placeholder="the model's own")
    inputs.examples(examples)
    going_on = st.container()
    said = st.container(horizontal=True, vertical_alignment="center", key="goes-on")
    with show_errors():
        answer, lens = typed_answer(model, typed) if typed else None, choose_lens(model)
        if lens is not None:
            _explore(model, prompt, answer, lens)
    _beside(model, prompt, typed)
    suggest(model, prompt, target=going_on)
    with said:
        _goes_on(model, prompt)


@part
def _explore(model: str, prompt: str, target: str | None, lens: str) -> None:
    shape = ask(model, views.ShapeOf(prompt))
    n_rows, n_columns = shape.n_rows, len(shape.tokens)
    row, column = address.clicked_cell((n_rows, n_columns), (n_rows - 1, n_columns - 1))
    show.grid_component(
        token_strip(shape.tokens, selected=column),
        key="strip",
        on_click=lambda _, position: address.go_to_cell(row, position),
    )
    question = views.LogitLens(prompt, target, shape.around(column), lens=lens)
    result = ask(model, question)
    show.words(Words(views.in_words(result, column), strong=True))
    left, right = st.columns([5, 2], gap="medium")
    with left:
        _lens(model, question, result, (row, column))
    with right:
        _cell(model, result, row, column)
    head = address.clicked_head()
    left, right = st.columns(2, gap="medium")
    with left, show_errors():
        _tracked_tokens(model, question, result, column)
    with right, show_errors():
        answer = target or read_token(*ask(model, TypedTokens((result.answer_id,))))
        attribution = explore.DirectLogitAttribution(prompt=prompt, answer=answer, position=column)
        _attribution(model, attribution, head)
    with show_errors():
        _attention(model, prompt, (row, column), head)


def _goes_on(model: str, prompt: str) -> None:
    """What the model goes on to say, asked when all else is drawn; a click takes it into the prompt."""
    if not inputs.toggle("goes on", "goes_on"):
        return
    try:
        said = ask(model, GoesOn(prompt))
    except (InterpError, NotAnswered):  # such as a prompt that is refused, which is said below
        return
    show.grid_component(
        said_strip(said.tokens, said.probabilities),
        key="said",
        on_click=lambda _, n: inputs.fill({"prompt": said.texts[n], "prompt_turns": False}),
    )


@part
def _beside(model: str, prompt: str, typed: str) -> None:
    """The same prompt's lens by another model, where one is chosen."""
    others = (_NO_OTHER, *(name for name in offered_models() if name != model))
    other = inputs.select("Beside another model", "beside", others, on_change=allow_typed, args=("beside",))
    if other == _NO_OTHER or not permitted("model", other, "beside"):
        return
    shape = ask(other, views.ShapeOf(prompt))
    target = read_token(typed) if typed else None
    question = views.LogitLens(prompt, target, shape.around(len(shape.tokens) - 1))
    result = ask(other, question)
    with show.title(f"{other}: {lens_name(result.lens)}. Target: {brief(result.answer)}", key="beside"):
        copy_or_download(other, question, result, key="beside-")
    show.grid(views.lens_grid(result), key="lens-beside", around=len(shape.tokens) - 1, titled=False)


def _lens(model: str, question: views.LogitLens, result: LogitLensResult, cell: tuple[int, int]) -> None:
    with show.title(f"{lens_name(result.lens)}. Target: {brief(result.answer)}", key="lens"):
        rows = inputs.switch("Rows", "rows", _ROWS)
        colour = inputs.switch("Colour by", "colour", views.COLOURS)
        copy_or_download(model, question, result)
    if about := about_lens(result):
        st.caption(escape_markdown(" ".join(about)))
    grid, selected = views.lens_grid(result, colour), (cell[0], result.positions.index(cell[1]))
    is_turned = rows != _ROWS[0]

    def go_to(row: int, column: int) -> None:
        layer, place = (column, row) if is_turned else (row, column)
        address.go_to_cell(layer, result.positions[place])

    show.grid(
        turned(grid) if is_turned else grid,
        key="lens-grid",
        selected=selected[::-1] if is_turned else selected,
        around=0,
        on_click=go_to,
        titled=False,
    )
    if len(result.positions) < len(result.tokens):
        st.caption(
            f"{len(result.positions)} of {len(result.tokens)} positions, around the one chosen; click a "
            "token above for others."
        )


def _cell(model: str, result: LogitLensResult, row: int, position: int) -> None:
    """The top tokens of one cell of the lens; one that is clicked is tracked."""
    column = result.positions.index(position)
    ranked = views.cell_tokens(result, row, column)
    typed = ask(model, TypedTokens(views.cell_ids(result, row, column)))
    with show.title(views.cell_title(result, row, column), key="cell"):
        pass

    def track(place: int, _: int) -> None:
        tracked = st.session_state.get("tracked", ())
        st.session_state["tracked"] = list(dict.fromkeys((*tracked, typed[place])))

    rank = int(result.grid["answer_rank"][row, column])
    show.grid_component(
        token_ranking(ranked, label="Top tokens of the cell", framed_rank=rank), key="top", on_click=track
    )
    st.caption("Click a token to follow it over the layers.")
    shape, head = ask(model, ShapeOfModel()), address.clicked_head()
    show.picture(picture(shape, row, head), key="model-picture")
    st.caption(in_words(shape, row, head))


def _tracked_tokens(model: str, asked: views.LogitLens, result: LogitLensResult, position: int) -> None:
    title = f"Probability over the layers, at {brief(result.tokens[position])}"
    with show.title(title, key="tracked"):
        beside_title = st.container()
    column = result.positions.index(position)
    likeliest = ask(model, TypedTokens(explore.likeliest_tokens(result, column)))
    given = inputs.multiselect(
        "Tracked tokens", "tracked", likeliest[:1],
        placeholder="Follow other tokens: type any",
    )  # fmt: skip
    tokens = tuple(ask(model, SingleToken(read_token(text))) for text in given or likeliest)
    question = explore.TrackedTokens(asked.prompt, position, tokens, asked.lens)
    lines = explore.tracked_lines(ask(model, question), result.layers, tokens)
    show.chart(lines, key="tracked-lines")
    with beside_title:
        copy_menu(
            explore.tracked_as_python(model, question),
            explore.tracked_as_commands(model, question),
            chart_downloads(lines, name="tracked_tokens", title=title, provenance=result.provenance),
        )


def _attribution(
    model: str, question: explore.DirectLogitAttribution, selected: tuple[int, int] | None
) -> None:
    result = ask(model, question)
    grid = explore.attribution_grid(result)
    heads = 0 if result.by_head is None else result.by_head.shape[1]

    def go_to(layer: int, column: int) -> None:
        if column < heads:
            address.go_to_head(layer, column)
        else:  # an MLP or a whole layer's attention: the lens after that layer
            address.forget_head()
            address.go_to_cell(layer + 1, result.position)

    with show.title(grid.title, key="attribution"):
        copy_or_download(model, question, result)
    show.grid(grid, key="attribution", selected=selected, on_click=go_to, titled=False)
    st.caption("Click a head to see where it looks." if heads else "This model has no parts by head.")


def _attention(model: str, prompt: str, cell: tuple[int, int], clicked: tuple[int, int] | None) -> None:
    """All heads of the cell's layer, or of the clicked head's layer, and one of them in full."""
    row, column = cell
    layer, head = clicked or (max(row - 1, 0), 0)
    n_heads = ask(model, HeadsPerLayer())
    asked = range(n_heads) if head < n_heads else (head,)  # one that is not there is refused
    question = AttentionPatterns(prompt, tuple((layer, h) for h in asked))
    result = ask(model, question)
    of_layer = heads_grid(result, column)
    pattern = attention_grid(result, head, column)
    left, right = st.columns(2, gap="medium")
    with left:
        with show.title(of_layer.title, key="heads"):
            if clicked:
                st.button("Follow the cell's layer", type="tertiary", on_click=address.forget_head)
        show.grid(
            of_layer,
            key="heads",
            selected=(head, pattern.framed[0][1]),
            around=column,
            on_click=lambda h, _: address.go_to_head(layer, h),
            titled=False,
            pinned=True,
        )
    with right:
        with show.title(pattern.title, key="attention"):
            copy_or_download(model, question, result)
        show.grid(
            pattern,
            key="attention",
            around=column,
            on_click=lambda query, _: address.go_to_cell(row, query),
            titled=False,
            pinned=True,
        )
