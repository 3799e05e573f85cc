"""The choice of a model: one that is offered, any folder or any hub id; a refused one says why."""

from __future__ import annotations

import streamlit as st

from interp.app.markdown import escape_markdown
from interp.app.server.models import ModelIdentity, offered_models
from interp.app.server.session import ask
from interp.app.server.settings import first_model
from interp.app.ui.errors import show_errors
from interp.app.ui.inputs import forget_default_texts
from interp.app.ui.permission import allow_typed, permitted
from interp.errors import InterpError

_REFUSED = "refused models"  # key of the session's state: why each was refused


def _chosen() -> None:
    allow_typed("model")
    forget_default_texts()


def choose_model() -> str:
    """The name of the chosen model, kept in the URL. Empty where it cannot be loaded, which is said here;
    `ask` then leaves out what would be asked of it."""
    current = st.session_state.get("model") or st.query_params.get("model") or first_model()
    name = st.selectbox(
        "Model",
        tuple(dict.fromkeys((*offered_models(), current))),
        key="model",
        bind="query-params",
        accept_new_options=True,
        on_change=_chosen,
        help="Or type the path of a folder, or the id of a model on the Hugging Face hub.",
    )
    refused: dict[str, str] = st.session_state.setdefault(_REFUSED, {})
    if not name:
        st.error("Choose a model, or type the path of a folder or a hub id.")
        return ""
    with show_errors():
        if not permitted("model", name, "model"):
            return ""
        if name not in refused:
            try:
                ask(name, ModelIdentity())
                return name
            except InterpError as error:
                refused[name] = str(error)
        st.error(escape_markdown(refused[name]))
        st.button("Try again", on_click=refused.pop, args=(name,), key="try-again")
    return ""
