"""The button "Views": the view at hand, saved with a name and a note, and those that were saved before."""

from __future__ import annotations

import streamlit as st

from interp.app.markdown import escape_markdown
from interp.app.server.settings import runs_folder
from interp.app.views.saved_views import SavedView, address_of, forget_view, read_views, save_view
from interp.errors import InterpError

_NAME, _NOTE = "name of the view", "note on the view"  # keys of the inputs


def saved_views() -> None:
    """The button and what opens below it. Each view opens in a window of its own, beside the one at hand."""
    with st.popover("Views", type="tertiary", icon=":material/bookmark:"):
        st.text_input("Name", key=_NAME)
        st.text_area("Note", key=_NOTE, height=68)
        st.button("Save this view", key="save-view", on_click=_save)
        try:
            views = read_views(runs_folder())
        except InterpError as error:
            st.error(escape_markdown(str(error)))
            return
        if not views:
            st.caption("None is saved yet. A view is the page as it stands: its prompt, model and cells.")
        for number, view in enumerate(views):
            _one(number, view)


def _one(number: int, view: SavedView) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key=f"view-{number}"):
        st.link_button(escape_markdown(view.name), view.address, type="tertiary")
        st.caption(escape_markdown(" · ".join(filter(None, (view.saved, view.note)))))
        st.button("Forget", key=f"forget-{number}", type="tertiary", on_click=_forget, args=(view,))


def _save() -> None:
    parameters = {key: st.query_params.get_all(key) for key in st.query_params}
    try:
        view = save_view(
            runs_folder(),
            str(st.session_state.get(_NAME, "")),
            str(st.session_state.get(_NOTE, "")),
            address_of(parameters),
        )
    except InterpError as error:
        st.toast(escape_markdown(str(error)))
        return
    st.session_state[_NAME] = st.session_state[_NOTE] = ""
    st.toast(escape_markdown(f"Saved the view {view.name}."))


def _forget(view: SavedView) -> None:
    try:
        forget_view(runs_folder(), view)
    except InterpError as error:
        st.toast(escape_markdown(str(error)))
