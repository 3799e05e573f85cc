"""The header of every page: the choice of the page, and the styles and scripts of the whole app."""

from __future__ import annotations

import json
from collections.abc import Sequence

import streamlit as st

from interp.app.markdown import escape_markdown
from interp.app.ui.address import forget_clicks
from interp.app.ui.files import read_file
from interp.app.ui.saved_views import saved_views
from interp.figures.engine import html
from interp.figures.engine.page_parts import CHARTS, GRID_SCRIPT, GRID_STYLE

_PAGES_LEFT = "pages left"  # key of the session's state: each page's inputs, as it was left


def choose_page(pages: Sequence[str]) -> str:
    """The page that the URL names, chosen in the header. Each choice is a step to go back to, and a page that
    was left is found as it was."""
    given = st.query_params.get("page", pages[0])
    page = given if given in pages else pages[0]
    st.session_state["page"] = page  # the URL leads, also on going back
    _add_styles_and_scripts()
    with st.container(horizontal=True, vertical_alignment="center", key="header"):
        st.html('<span class="wordmark">interp</span>', width="content")
        st.segmented_control(
            "Page",
            pages,
            key="page",
            required=True,
            on_change=_turn_from,
            args=(page,),
            label_visibility="collapsed",
        )
        saved_views()
        st.button("Tour", key="tour", type="tertiary", icon=":material/explore:")  # `tour.js` begins it
    if given not in pages:
        st.error(escape_markdown(f"There is no page {given!r}; {page} is shown."))
    return page


def _turn_from(page: str) -> None:
    """Keep the inputs of the page that is left, and restore those of the one that was chosen."""
    chosen, left = st.session_state["page"], st.session_state.setdefault(_PAGES_LEFT, {})
    parameters = {key: value for key, value in st.query_params.items() if key not in ("page", "model")}
    inputs = {key: st.session_state[key] for key in parameters if key in st.session_state}
    left[page] = inputs, {key: parameters[key] for key in parameters.keys() - inputs.keys()}
    forget_clicks()
    inputs, clicks = left.get(chosen, ({}, {}))
    st.session_state.update(inputs)
    st.query_params.update({"page": chosen, **clicks})


def _add_styles_and_scripts() -> None:
    """What is sent once for all grids and charts, and not with each of them."""
    st.html(f"<style>{read_file('app.css')}</style>")
    style = GRID_STYLE + CHARTS + html.shades() + read_file("component.css")
    script = f"const STYLE = {json.dumps(style)};\n{GRID_SCRIPT}{read_file('tour.js')}{read_file('app.js')}"
    st.components.v2.component("interp_app", js=script)(key="app", height=0)
