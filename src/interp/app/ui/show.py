"""Titles, grids, tables and charts on a page; every text in them is escaped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import streamlit as st

from interp.app.markdown import escape_markdown
from interp.app.ui.files import read_file
from interp.app.views.grid_data import MOST_TOKENS, grid_data
from interp.figures.engine import html
from interp.figures.engine.picture_svg import svg
from interp.figures.engine.view import Chart, Grid, Table, Words
from interp.figures.engine.view_figure import chart as chart_figure

OnClick = Callable[[int, int], None]  # called with the (row, column) of the cell that was clicked
_COLUMN = 4.1  # inches of a chart: what half of a page has, so that its type is not made smaller
#: Called with the (row, column) of the cell that was dropped on, and of the one that was dropped.
OnDrop = Callable[[tuple[int, int], tuple[int, int]], None]


@contextmanager
def title(text: str, *, key: str) -> Iterator[None]:
    """The title of a part of the page; what the block shows stands to the right of it."""
    shape: dict[str, Any] = {"horizontal": True, "vertical_alignment": "center"}
    with st.container(key=f"title-{key}", horizontal_alignment="distribute", **shape):
        st.markdown(f"**{escape_markdown(text)}**", width="content")
        with st.container(horizontal_alignment="right", width="content", **shape):
            yield


def grid(
    grid: Grid,
    *,
    key: str,
    selected: tuple[int, int] | None = None,
    around: int | None = None,
    on_click: OnClick | None = None,
    titled: bool = True,
    pinned: bool = False,
) -> None:
    """A grid, under its title where `titled`. Of many tokens, those around position `around` are drawn. With
    `pinned`, the first column stays where the others are scrolled."""
    if titled:
        st.markdown(f"**{escape_markdown(grid.title or grid.unit)}**")
    axes = [axis for axis in (grid.rows, grid.columns) if axis.of_tokens or axis is grid.rows]
    if max(map(len, axes)) > MOST_TOKENS:
        st.caption(f"{MOST_TOKENS} positions around the one chosen are drawn; the JSON has them all.")
    data = grid_data(grid, selected=selected, around=around)
    grid_component(data | {"pinned": pinned}, key=key, on_click=on_click)


def grid_component(
    data: dict[str, Any], *, key: str, on_click: OnClick | None = None, on_drop: OnDrop | None = None
) -> None:
    """A grid from the values that `views.grid_data` makes for the browser."""

    def report() -> None:
        row, column, *dropped = map(int, st.session_state[key].cell or (-1, -1))
        if dropped and on_drop is not None:
            on_drop((row, column), (dropped[0], dropped[1]))
        elif row >= 0 and on_click is not None:
            on_click(row, column)

    component = _component("interp_grid", "grid_component.js")
    component(data=data | {"clickable": on_click is not None}, key=key, on_cell_change=report)


def table(table: Table) -> None:
    st.html(f'<div class="interp">{_table_html(table, caption=table.title)}</div>')


def chart(chart: Chart, *, key: str) -> None:
    """A chart, what its marks mean, and all its numbers as a table that opens."""
    numbers = chart.table
    if chart.title:
        st.markdown(f"**{escape_markdown(chart.title)}**")
    component = _component("interp_chart", "chart_component.js")
    drawn = chart_figure(chart, width=_COLUMN)
    component(data={"svg": svg(drawn, label=numbers.title)}, key=key)
    if chart.key:
        st.caption(escape_markdown(chart.key))
    st.html(f'<div class="interp">{html.details("The numbers", _table_html(numbers, caption=""))}</div>')


def words(block: Words) -> None:
    """A sentence of a view, in bold where it is the result."""
    text = escape_markdown(block.text)
    st.markdown(f"**{text}**" if block.strong else text)


def charts(blocks: Sequence[Chart], *, key: str) -> None:
    """Charts in rows of two."""
    for start in range(0, len(blocks), 2):
        for place, block in zip(st.columns(2, gap="medium"), blocks[start : start + 2], strict=False):
            with place:
                chart(block, key=f"{key}-{block.name}")


def picture(svg: str, *, key: str) -> None:
    """An SVG of the app's own, such as the picture of the model."""
    _component("interp_chart", "chart_component.js")(data={"svg": svg}, key=key)


def document(page: str, *, title: str, height: int, key: str) -> None:
    """A whole HTML page in a frame of so many pixels, which is kept apart from the app. (The frame of
    `st.iframe` is not: its scripts have the app's origin.)"""
    component = _component("interp_frame", "frame_component.js")
    component(data={"document": page, "title": title, "height": height}, key=key)


def _table_html(table: Table, *, caption: str) -> str:
    return html.table(table.columns, table.texts, caption=caption, right=table.right, strong=table.strong)


def _component(name: str, script: str) -> Any:
    """A Streamlit component that is drawn with the app's styles."""
    scripts = read_file("component.js") + read_file(script)
    return st.components.v2.component(name, html='<div class="host"></div>', js=scripts)
