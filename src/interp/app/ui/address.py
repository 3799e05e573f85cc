"""The cells and the head that were clicked last: parameters of the URL."""

from __future__ import annotations

import re

import streamlit as st

from interp.app.markdown import escape_markdown

_CLICKED = "cell", "from", "into", "head"  # the parameters: cells by these names, and the head
_PAIR = re.compile(r"(\d{1,6})\.(\d{1,6})")


def clicked_cell(shape: tuple[int, int], default: tuple[int, int], *, name: str = "cell") -> tuple[int, int]:
    """The (row, column) in the URL; the default where there is none. Of a cell that is not in a grid of this
    shape, the page says so, and the default is taken."""
    given = st.query_params.get(name)
    if given is None:
        return default
    found = _PAIR.fullmatch(given)
    row, column = (int(found[1]), int(found[2])) if found else (-1, -1)
    if 0 <= row < shape[0] and 0 <= column < shape[1]:
        return row, column
    st.caption("The address names a cell that is not in this grid; another is shown.")
    return default


def go_to_cell(row: int, column: int, *, name: str = "cell") -> None:
    st.query_params[name] = f"{row}.{column}"


def clicked_head() -> tuple[int, int] | None:
    """The (layer, head) in the URL; None where there is none, or something else, which the page says."""
    given = st.query_params.get("head")
    if given is None:
        return None
    found = _PAIR.fullmatch(given)
    if found is None:
        st.error(
            escape_markdown(f"The address names the head {given!r}; write it as layer.head, such as 5.1.")
        )
        return None
    return int(found[1]), int(found[2])


def go_to_head(layer: int, head: int) -> None:
    st.query_params["head"] = f"{layer}.{head}"


def forget_head() -> None:
    st.query_params.pop("head", None)


def forget_clicks() -> None:
    """Take the cells and the head out of the URL."""
    for key in _CLICKED:
        st.query_params.pop(key, None)
