"""The choice of the lens that a page reads with, in one click; kept in the URL."""

from __future__ import annotations

import streamlit as st

from interp.app.markdown import escape_markdown
from interp.app.server.session import ask
from interp.app.ui import inputs
from interp.app.ui.permission import allow_typed, permitted
from interp.app.views.lens import LensNames

SAVED = "saved"  # the choice of a lens by its folder
_FOLDER = "lens_folder"


def choose_lens(model: str) -> str | None:
    """The name or folder of a lens for this model. None where a folder is asked for, and is not given yet or
    may not be opened before the user agrees; the page says so."""
    names = (*ask(model, LensNames()), SAVED)
    given = st.session_state.get("lens", st.query_params.get("lens", names[0]))
    if given not in names:
        st.caption(escape_markdown(f"There is no lens {given!r} for this model; the logit lens is shown."))
        st.session_state["lens"] = names[0]
    chosen = inputs.switch("Lens", "lens", names)
    if chosen != SAVED:
        return chosen
    folder = inputs.text(
        "Folder of the lens", _FOLDER, placeholder="as train_tuned_lens saved it, or a published one",
        on_change=allow_typed, args=(_FOLDER,),
    )  # fmt: skip
    if not folder:
        st.caption("Give the folder of a saved lens.")
        return None
    return folder if permitted("lens", folder, _FOLDER) else None
