"""A session's questions to the model server: asked, shown while they are computed, and cancelled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from time import perf_counter
from typing import Any, cast

import streamlit as st
from streamlit.runtime.scriptrunner import RerunException

from interp.app.markdown import escape_markdown
from interp.app.server.jobs import Answer, Job, Question, question_id
from interp.app.server.left_jobs import come_back, leave, page_now
from interp.app.server.model_server import shared_server
from interp.app.server.progress import progress_in_words

PATIENCE = 1.0  # seconds until it is shown that an answer takes time
POLL = 0.1  # seconds between two looks at a job

_ASKED, _CANCELLED = "questions of this run", "cancelled questions"  # keys of the session's state


class NotAnswered(Exception):
    """A question has no answer, and the page says why already: the rest of its part is left out."""


@contextmanager
def script_run() -> Iterator[None]:
    """A run of the page's script, from its beginning to its end."""
    st.session_state[_ASKED] = Counter()
    yield
    come_back(page_now())


def ask(model: str, question: Question[Answer]) -> Answer:
    """The answer of a model. What is typed or clicked meanwhile ends the wait, as Streamlit then stops the
    script at its next message to the browser; the job goes on where another page was chosen.

    Raises `NotAnswered` where the model was refused (an empty name: see `choose_model`) or the question was
    cancelled.
    """
    if not model:
        raise NotAnswered
    place = st.empty()  # in any case, so that what follows keeps its place on the page
    times_asked = _count(model, question)
    if (model, question) in _cancelled():
        with place.container(horizontal=True, vertical_alignment="center"):
            st.caption("Cancelled.")
            st.button(
                "Compute it",
                key=f"compute-{question_id(model, question)}-{times_asked}",
                on_click=_cancelled().discard,
                args=((model, question),),
            )
        raise NotAnswered
    page, job = page_now(), shared_server().submit(model, question)
    try:
        if not job.future.done():
            come_back(page)
        _wait(job, place, times_asked)
        answer = cast(Answer, job.future.result())
    except RerunException:
        leave(page, job)
        raise
    except BaseException:
        shared_server().withdraw(job)
        raise
    shared_server().withdraw(job)
    return answer


def _cancelled() -> set[tuple[str, Any]]:
    """The models and questions that this session has cancelled."""
    return st.session_state.setdefault(_CANCELLED, set())


def _count(model: str, question: Question[Any]) -> int:
    """How often this question has been asked in this run of the script; each needs buttons of its own."""
    asked: Counter[tuple[str, Any]] = st.session_state.setdefault(_ASKED, Counter())
    asked[model, question] += 1
    return asked[model, question]


def _wait(job: Job, place: Any, times_asked: int) -> None:
    """Wait for a job. After a while, how far it is and a button that cancels it are shown at its place."""
    start = perf_counter()
    while not _ends_soon(job):
        if perf_counter() - start > PATIENCE:
            break
        place.empty()  # a message to the browser, at which Streamlit may stop the script
    else:
        return
    with place.container(horizontal=True, vertical_alignment="center"):
        bar = st.progress(0.0)
        key = f"cancel-{question_id(job.model, job.question)}-{times_asked}"
        st.button("Cancel", key=key, on_click=_cancelled().add, args=(job.key,))
    while not _ends_soon(job):
        ahead = shared_server().jobs_ahead(job)
        text, share = progress_in_words(job, ahead=ahead, now=perf_counter())
        bar.progress(min(share, 1.0), text=escape_markdown(text))
    place.empty()


def _ends_soon(job: Job) -> bool:
    """Whether a job ends before it is time for another look."""
    return bool(wait([job.future], timeout=POLL).done)
