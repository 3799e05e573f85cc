"""The choice of a model: offered ones, any folder or hub id; loaded, or refused beside it."""

from __future__ import annotations

import streamlit as st

from interp.app.server.models import Loaded, first_model, offered
from interp.app.ui import widgets
from interp.app.ui.markdown import plain
from interp.errors import InterpError


def model_choice() -> str:
    """The name of the chosen model, kept in the URL. Empty where it cannot be loaded, which is said here;
    `widgets.store().ask` then leaves out what would be asked of it."""
    current = st.session_state.get("model") or st.query_params.get("model") or first_model()
    name = st.selectbox(
        "Model",
        tuple(dict.fromkeys((*offered(), current))),
        key="model",
        bind="query-params",
        accept_new_options=True,
        help="Or type the path of a folder, or the id of a model on the Hugging Face hub.",
    )
    refused: dict[str, str] = st.session_state.setdefault("refused", {})
    if not name:
        st.error("Choose a model, or type the path of a folder or a hub id.")
        return ""
    with widgets.sentences():
        if name not in refused:
            try:
                widgets.store().ask(name, Loaded())
                return name
            except InterpError as error:
                refused[name] = str(error)
        st.error(plain(refused[name]))
        st.button("Try again", on_click=refused.pop, args=(name,), key="try-again")
    return ""
