"""What the pages share: the store, bound inputs, the grid, tables, errors and ways to take a result along.

Streamlit reads Markdown in most of what it shows; what comes from a prompt goes through `plain` or `html`.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import streamlit as st

from interp.app.server.store import shared
from interp.app.server.visit import NotAnswered, Visit
from interp.app.ui.markdown import plain
from interp.app.views.cells import WINDOW, payload
from interp.app.views.downloads import Download, downloads
from interp.app.views.questions import LibraryQuestion, as_command, as_python
from interp.errors import InterpError
from interp.figures.engine import html
from interp.figures.engine.page_parts import CHARTS, GRID_SCRIPT, GRID_STYLE
from interp.figures.engine.picture import svg
from interp.figures.engine.view import Chart, Grid, Table
from interp.figures.engine.view_figure import chart
from interp.results import Result

Chosen = TypeVar("Chosen", bound=str)
Number = TypeVar("Number", int, float)


@cache
def _file(name: str) -> str:
    """A file of this folder."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def store() -> Visit:
    """The one store of this server, as this session sees it."""
    return Visit(shared())


def _component(name: str, script: str) -> Any:
    """A component that is drawn in the frame's style."""
    return st.components.v2.component(
        name, html='<div class="host"></div>', js=_file("framed.js") + _file(script)
    )


@contextmanager
def sentences() -> Iterator[None]:
    """An error that is meant for people is shown here, as its sentence; the rest of the page goes on. A fault
    of the program is told in the terminal in full."""
    try:
        yield
    except NotAnswered:
        pass  # the page says why already
    except InterpError as error:
        st.error(plain(str(error)))
    except Exception:
        logging.getLogger(__name__).exception("A part of the page failed.")
        st.error(
            "This part of the page failed. That is a fault of the program, not of what you typed; the "
            "terminal in which the app runs says more."
        )


def page_choice(pages: Sequence[str]) -> str:
    """The app's header with its pages. The one chosen is in the URL, each choice is a step to go back to, and
    a page that was left is found as it was."""
    given = st.query_params.get("page", pages[0])
    page = given if given in pages else pages[0]
    st.session_state["page"] = page  # the URL leads, also on going back

    def turn() -> None:
        new, left = st.session_state["page"], st.session_state.setdefault("left", {})
        mine = {key: value for key, value in st.query_params.items() if key not in ("page", "model")}
        typed = {key: st.session_state[key] for key in mine if key in st.session_state}
        left[page] = typed, {key: mine[key] for key in mine.keys() - typed.keys()}
        forget_place()
        typed, place = left.get(new, ({}, {}))
        st.session_state.update(typed)
        st.query_params.update({"page": new, **place})

    st.html(f"<style>{_file('page.css')}</style>")
    style = GRID_STYLE + CHARTS + html.shades() + _file("host.css")
    frame = f"const STYLE = {json.dumps(style)};\n{GRID_SCRIPT}{_file('frame.js')}"
    st.components.v2.component("interp_frame", js=frame)(key="frame", height=0)
    with st.container(horizontal=True, vertical_alignment="center", key="header"):
        st.html('<span class="wordmark">interp</span>', width="content")
        st.segmented_control(
            "Page", pages, key="page", required=True, on_change=turn, label_visibility="collapsed"
        )
    if given not in pages:
        st.error(plain(f"There is no page {given!r}; {page} is shown."))
    return page


def forget_place() -> None:
    """Leave the cell and head that were clicked."""
    for key in ("cell", "head"):
        st.query_params.pop(key, None)


def choice(label: str, key: str, options: Sequence[Chosen]) -> Chosen:
    """One of a few, kept in the URL."""
    return st.selectbox(label, options, key=key, bind="query-params")


def begin_with(values: dict[str, str]) -> None:
    """What the texts of a page are where its URL does not name them. (Streamlit leaves out of the URL what an
    input began with; one that was emptied stands there as empty.)"""
    st.session_state["begin"] = values


def text(label: str, key: str, **options: Any) -> str:
    """A line of text, kept in the URL, that is read as it is typed."""
    begun = st.session_state.get("begin", {}).get(key, "")
    return st.text_input(label, begun, key=key, bind="query-params", live="150ms", **options)


def number(label: str, key: str, value: Number, **options: Any) -> Number:
    """A number, kept in the URL; `min_value`, `max_value` and `step` as Streamlit has them."""
    return st.number_input(label, value=value, key=key, bind="query-params", **options)


def fill(values: dict[str, Any]) -> None:
    """Put texts into inputs, and leave the cell and head that were clicked before."""
    st.session_state.update(values)
    forget_place()


def examples(named: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """A button for each example, which fills the inputs."""
    with st.container(horizontal=True, key="examples"):
        for i, (label, values) in enumerate(named):
            st.button(plain(label), key=f"example-{i}", on_click=fill, args=(values,))


@contextmanager
def title(text: str, *, key: str) -> Iterator[None]:
    """A part's title; what the block shows stands to the right of it."""
    shape: dict[str, Any] = {"horizontal": True, "vertical_alignment": "center"}
    with st.container(key=f"title-{key}", horizontal_alignment="distribute", **shape):
        st.markdown(f"**{plain(text)}**", width="content")
        with st.container(horizontal_alignment="right", width="content", **shape):
            yield


def switch(label: str, key: str, options: Sequence[Chosen], **more: Any) -> Chosen:
    """One of a few in a row, kept in the URL."""
    return st.segmented_control(
        label, options, key=key, bind="query-params", required=True, default=options[0],
        label_visibility="collapsed", **more,
    )  # fmt: skip


def several(label: str, key: str, options: Sequence[str]) -> list[str]:
    """Any number of texts, offered or typed, kept in the URL."""
    given = st.session_state.get(key) or st.query_params.get_all(key)
    return st.multiselect(
        label, list(dict.fromkeys((*options, *given))), key=key, bind="query-params",
        accept_new_options=True, placeholder="Follow other tokens: type any", label_visibility="collapsed",
    )  # fmt: skip


def track(token: str) -> None:
    """Add to the tracked tokens."""
    st.session_state["tracked"] = list(dict.fromkeys((*st.session_state.get("tracked", ()), token)))


def offer(key: str, texts: Sequence[str]) -> None:
    """A button for each text, which puts it into an input."""
    with st.container(horizontal=True, key=f"examples-{key}"):
        for text in texts:
            values = ({key: text},)
            st.button(plain(text), key=f"offer-{key}-{text}", on_click=st.session_state.update, args=values)


def clicked_cell(shape: tuple[int, int], default: tuple[int, int]) -> tuple[int, int]:
    """The (row, column) in the URL; where it is none of this grid's, that is said and the default taken."""
    given = st.query_params.get("cell")
    if given is None:
        return default
    found = re.fullmatch(r"(\d{1,6})\.(\d{1,6})", given)
    row, column = (int(found[1]), int(found[2])) if found else (-1, -1)
    if 0 <= row < shape[0] and 0 <= column < shape[1]:
        return row, column
    st.caption("The address names a cell that is not in this grid; another is shown.")
    return default


def show_grid(
    grid: Grid,
    *,
    key: str,
    selected: tuple[int, int] | None = None,
    around: int | None = None,
    on_click: Callable[[int, int], None] | None = None,
    titled: bool = True,
) -> None:
    """The grid component under its title; `on_click` is called with the (row, column) that was clicked."""
    if titled:
        st.markdown(f"**{plain(grid.title or grid.unit)}**")
    if max(len(axis) for axis in (grid.rows, grid.columns) if axis.of_tokens or axis is grid.rows) > WINDOW:
        st.caption(f"{WINDOW} positions around the one chosen are drawn; the JSON has them all.")
    mount_grid(payload(grid, selected=selected, around=around), key=key, on_click=on_click)


def mount_grid(
    drawn: dict[str, Any], *, key: str, on_click: Callable[[int, int], None] | None = None
) -> None:
    """The grid component with what `cells` made for it."""
    mount = _component("interp_grid", "grid_component.js")

    def report() -> None:
        cell = st.session_state[key].cell
        if cell is not None and on_click is not None:
            on_click(int(cell[0]), int(cell[1]))

    mount(data=drawn | {"clickable": on_click is not None}, key=key, on_cell_change=report)


def go_to_head(layer: int, head: int) -> None:
    """Choose a head: it goes into the URL."""
    st.query_params["head"] = f"{layer}.{head}"


def forget_head() -> None:
    """Leave the head that was chosen."""
    st.query_params.pop("head", None)


def go_to_cell(row: int, column: int) -> None:
    """Choose a cell: it goes into the URL."""
    st.query_params["cell"] = f"{row}.{column}"


def show_table(table: Table) -> None:
    """A table with every text escaped."""
    drawn = html.table(
        table.columns, table.texts, caption=table.title, right=table.right, strong=table.strong
    )
    st.html(f'<div class="interp">{drawn}</div>')


def show_chart(block: Chart, *, key: str) -> None:
    """A chart, what its marks mean, and all its numbers as a table that opens."""
    numbers = block.table
    if block.title:
        st.markdown(f"**{plain(block.title)}**")
    mount = _component("interp_chart", "chart.js")
    mount(data={"svg": svg(chart(block), label=numbers.title)}, key=key)
    if block.key:
        st.caption(plain(block.key))
    drawn = html.table(numbers.columns, numbers.texts, caption="", right=numbers.right, strong=numbers.strong)
    st.html(f'<div class="interp">{html.details("The numbers", drawn)}</div>')


def take_along(model: str, question: LibraryQuestion, result: Result) -> None:
    """The same in Python and at the command line, and as files that are made when they are asked for."""
    files = downloads(model, question, lambda: result)
    offer_copies(as_python(model, question), as_command(model, question), files)


def offer_copies(python: str, command: str, files: Sequence[Download]) -> None:
    """A button that opens a program, a command and files to download."""
    with st.popover("Copy or download", type="tertiary", icon=":material/ios_share:"):
        st.caption("In Python")
        st.code(python, language="python")
        st.caption("At the command line")
        st.code(command, language="bash", wrap_lines=True)
        with st.container(horizontal=True):
            for file in files:
                st.download_button(
                    file.label,
                    data=file.make,
                    file_name=file.name,
                    mime=file.mime,
                    key=f"download-{file.name}",
                    on_click="ignore",
                )
