"""A session's way to the store: what is quick is simply there, what is not tells how far it is and can be
cancelled."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import wait
from time import perf_counter
from typing import Any, cast

import streamlit as st

from interp.app.server.store import Answer, Job, Question, Store
from interp.app.server.waiting import told
from interp.app.ui.markdown import plain

SILENT = 1.0  # seconds, before anything but the result is shown
LOOK = 0.1  # seconds between two looks at a job


class NotAnswered(Exception):
    """There is no answer, and the page says why already: the rest of its part is left out."""


class Visit:
    """The store, as one session sees it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def ask(self, name: str, question: Question[Answer]) -> Answer:
        """The answer of the model `name`. While it is computed, what is typed or clicked meanwhile ends the
        wait: Streamlit stops the script at its next word to the browser.

        Raises `NotAnswered` where the model was refused (`model_choice`) or the question was cancelled.
        """
        if not name:
            raise NotAnswered
        slot = st.empty()  # always, so that what follows keeps its place on the page
        asked = name, question
        cancelled: set[Any] = st.session_state.setdefault("cancelled", set())
        if asked in cancelled:
            with slot.container(horizontal=True, vertical_alignment="center"):
                st.caption("Cancelled.")
                st.button(
                    "Compute it", key=f"compute-{hash(asked)}", on_click=cancelled.discard, args=(asked,)
                )
            raise NotAnswered
        job = self._store.start(name, question)
        try:
            self._wait(job, slot, lambda: cancelled.add(asked))
            return cast(Answer, job.future.result())
        finally:
            self._store.leave(job)

    def _wait(self, job: Job, slot: Any, cancel: Callable[[], None]) -> None:
        asked = perf_counter()
        while not _done(job):
            if perf_counter() - asked > SILENT:
                break
            slot.empty()  # a word to the browser, at which Streamlit may stop the script
        else:
            return
        with slot.container(horizontal=True, vertical_alignment="center"):
            bar = st.progress(0.0)
            st.button("Cancel", key=f"cancel-{hash(job.key)}", on_click=cancel)
        while not _done(job):
            text, share = told(job, ahead=self._store.ahead(job), now=perf_counter())
            bar.progress(min(share, 1.0), text=plain(text))
        slot.empty()


def _done(job: Job) -> bool:
    """Whether a job ends before it is time for another look."""
    return bool(wait([job.future], timeout=LOOK).done)
