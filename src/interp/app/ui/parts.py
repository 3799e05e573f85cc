"""Parts of a page that are drawn again by themselves: a click in one leaves the rest of the page as it is."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import streamlit as st

from interp.app.ui.errors import show_errors

Given = ParamSpec("Given")


def part(draw: Callable[Given, None]) -> Callable[Given, None]:
    """A function that draws a part of a page, within `show_errors`. What is clicked or chosen in it runs this
    function alone, with the arguments that it had; what is typed outside of it runs the page."""

    @st.fragment
    @wraps(draw)
    def shown(*args: Given.args, **kwargs: Given.kwargs) -> None:
        with show_errors():
            draw(*args, **kwargs)

    return shown
