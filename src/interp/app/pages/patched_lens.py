"""The page Patch: a cell of one prompt's lens, put into another prompt by hand."""

from __future__ import annotations

import streamlit as st

from interp.app.markdown import escape_markdown
from interp.app.server.session import ask
from interp.app.ui import address, inputs, show
from interp.app.ui.answers import suggest, typed_token
from interp.app.ui.copies import copy_or_download
from interp.app.ui.errors import show_errors
from interp.app.ui.explain import explain
from interp.app.ui.lens_choice import choose_lens
from interp.app.ui.model_choice import choose_model
from interp.app.ui.parts import part
from interp.app.views import patched_lens as views
from interp.app.views.lens import LensShape, ShapeOf
from interp.figures.engine.view import Words
from interp.figures.views.patched_lens import view
from interp.methods.lens.results import LogitLensResult, PatchedLensResult


def page() -> None:
    explain("Patch")
    left, middle, right = st.columns([3, 3, 2])
    with right:
        model = choose_model()
    examples = inputs.fitting(model, views.EXAMPLES, prompt="from_prompt", answer="follow")
    inputs.set_default_texts(examples[0][1] | {"follow": ""})
    with left:
        source = inputs.prompt("Source: a cell is taken from here", "from_prompt", model=model)
    with middle:
        target = inputs.prompt("Target: and put in here", "into_prompt", model=model)
    with right:
        follow = inputs.text("Token to follow", "follow", placeholder="what the source says")
    inputs.examples(examples)
    going_on = st.container()
    with show_errors():
        answer, lens = typed_token(model, follow) if follow else None, choose_lens(model)
        if lens is not None and not (follow and answer is None):
            _patch(model, source, target, answer, lens)
    suggest(model, source, follow=going_on)


@part
def _patch(model: str, source: str, target: str, answer: str | None, lens: str) -> None:
    shapes = ask(model, ShapeOf(source)), ask(model, ShapeOf(target))
    first = views.first_cells(shapes[0].tokens, shapes[1].tokens, shapes[0].n_rows)
    taken, put = (
        address.clicked_cell((one.n_rows, len(one.tokens)), cell, name=name)
        for one, cell, name in zip(shapes, first, ("from", "into"), strict=True)
    )
    question = views.PatchedLens(
        source,
        target,
        source_cell=(taken[0] - 1, taken[1]),
        target_cell=(put[0] - 1, put[1]),
        answer=answer,
        source_positions=shapes[0].around(taken[1]),
        target_positions=shapes[1].around(put[1]),
        lens=lens,
    )
    result = ask(model, question)
    drawn = view(result)
    with show.title(views.patch_in_words(result), key="patch"):
        colour = inputs.switch("Colour by", "shade", views.SHADED)
        copy_or_download(model, question, result)
    show.words(drawn.block("verdict", Words))
    _grids(result, shapes, colour)


def _grids(result: PatchedLensResult, shapes: tuple[LensShape, LensShape], colour: views.Shade) -> None:
    """The three lenses side by side, and one cell of the target without the patch and with it."""
    shape = shapes[1].n_rows, len(shapes[1].tokens)
    row, position = address.clicked_cell(shape, (shape[0] - 1, shape[1] - 1))
    places = st.columns(3, gap="small")
    with places[0]:
        _grid(result, "source", colour, "Click the cell that is taken, or drag it onto the target.")
    with places[1]:
        _grid(result, "target", colour, "Click where it is put in. Hatched is what it can reach.")
    with places[2]:
        note = "Click a cell to compare what is said there."
        _grid(result, "patched", colour, note, selected=(row, position))
    if position in result.target.positions:
        show.table(views.cell_table(result, (row, result.target.positions.index(position))))


def _grid(
    result: PatchedLensResult,
    which: views.Which,
    colour: views.Shade,
    note: str,
    *,
    selected: tuple[int, int] | None = None,
) -> None:
    reading: LogitLensResult = getattr(result, which)
    data = views.drawn(result, which, colour, selected=selected)
    name = {"source": "from", "target": "into", "patched": "cell"}[which]

    def go_to(row: int, column: int) -> None:
        address.go_to_cell(row, reading.positions[column], name=name)

    def drop(at: tuple[int, int], dropped: tuple[int, int]) -> None:
        go_to(*at)
        address.go_to_cell(dropped[0], result.source.positions[dropped[1]], name="from")

    st.markdown(f"**{escape_markdown(data['label'])}**")
    show.grid_component(data, key=f"patch-{which}", on_click=go_to, on_drop=drop)
    left_out = len(reading.tokens) - len(reading.positions)
    cut = f" {len(reading.positions)} of {len(reading.tokens)} positions are drawn." if left_out else ""
    st.caption(f"{note}{cut}")
