"""The button "Copy or download": the same answer in Python, at the command line, and as files."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from interp.app.views.downloads import Download, downloads
from interp.app.views.questions import LibraryQuestion, as_command, as_python
from interp.results import Result


def copy_or_download(model: str, question: LibraryQuestion, result: Result) -> None:
    """The button for the answer of a question that the library answers; files are made when asked for."""
    python = as_python(model, question)
    files = downloads(model, question, lambda: result, python=python)
    copy_menu(python, as_command(model, question), files)


def copy_menu(python: str, command: str, files: Sequence[Download]) -> None:
    """The button for a program, a command and files."""
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
                    key=f"download-{file.name}",
                    on_click="ignore",
                )
