"""The question whether to open what a link names."""

from __future__ import annotations

import streamlit as st

from interp.app.markdown import escape_markdown
from interp.app.server.access import check_source, permissions


def permitted(what: str, source: str, key: str) -> bool:
    """Whether a model, SAE or text may be opened. Where it came by the address, the page asks. `InputError`
    where it may not be opened at all."""
    check_source(source, what)
    if permissions().are_given(source):
        return True
    st.warning(
        escape_markdown(
            f"The address of this page asks for the {what} {source!r}, which does not come with the app. "
            "Open it only if you trust who gave you the link."
        )
    )
    st.button("Open it", key=f"permit-{key}", on_click=permissions().allow, args=(source,))
    return False


def allow_typed(key: str) -> None:
    """To be called when the user has changed the input of this key: what was typed needs no question."""
    if value := st.session_state.get(key):
        permissions().allow(str(value))
