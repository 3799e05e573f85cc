"""Jobs of pages that were left while they ran: they go on, and are there when one comes back.

Streamlit ends a script where it waits, whether something was typed on the page or another page was chosen.
Which of the two it was shows when the next run asks: what was typed on the same page makes the old question
idle, and it ends; on another page, it goes on.
"""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from interp.app.server.jobs import Job
from interp.app.server.model_server import shared_server

#: Of each session, the jobs that it waits for while it looks elsewhere, each with its page. Not kept in the
#: session's state: where a script is being ended, Streamlit ends it again at each look at that.
_LEFT: dict[str, list[tuple[str, Job]]] = {}


def page_now() -> str:
    """The page that the session looks at."""
    return st.query_params.get("page", "")


def leave(page: str, job: Job) -> None:
    """Keep waiting for a job of a page whose run was ended."""
    _LEFT.setdefault(_session(), []).append((page, job))


def come_back(page: str) -> None:
    """No longer wait for what was left on a page, now that it has asked anew; nor for what is done."""
    left = _LEFT.pop(_session(), [])
    stay = [(place, job) for place, job in left if place != page and not job.future.done()]
    for one in left:
        if one not in stay:
            shared_server().withdraw(one[1])
    if stay:
        _LEFT[_session()] = stay


def _session() -> str:
    context = get_script_run_ctx()
    return "" if context is None else context.session_id
