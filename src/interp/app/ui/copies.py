"""The button "Copy or download": the same answer in Python, at the command line, as files, and as a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from interp.app.markdown import escape_markdown
from interp.app.server.settings import runs_folder
from interp.app.views.downloads import Download, downloads, save_run
from interp.app.views.questions import LibraryQuestion, as_command, as_python
from interp.errors import InterpError
from interp.results import Result


def copy_or_download(model: str, question: LibraryQuestion, result: Result, *, key: str = "") -> None:
    """The button for the answer of a question that the library answers; files are made when asked for. The
    second one of a page that is about the same method has a key."""
    copies_of(model, question, result, as_python(model, question), key=key)


def copies_of(model: str, question: LibraryQuestion, result: Result, python: str, *, key: str = "") -> None:
    """The same, with a program of its own."""
    files = downloads(model, question, lambda: result, python=python)
    copy_menu(
        python,
        as_command(model, question),
        files,
        save=lambda: save_run(model, question, result, runs_folder()),
        key=key,
    )


def copy_menu(
    python: str,
    command: str,
    files: Sequence[Download],
    *,
    save: Callable[[], str] | None = None,
    key: str = "",
) -> None:
    """The button for a program, a command and files; and, with `save`, for a run, whose name it gives."""
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
                    key=f"download-{key}{file.name}",
                    on_click="ignore",
                )
            if save is not None:
                st.button("Save as a run", key=f"save-{key}{files[0].name}", on_click=_save, args=(save,))


def _save(save: Callable[[], str]) -> None:
    """Save a run, and say where it is, or why it is not."""
    try:
        st.toast(escape_markdown(f"Saved as {save()}; the page Runs has it."))
    except InterpError as error:
        st.toast(escape_markdown(str(error)))
