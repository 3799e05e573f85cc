"""Jobs of the app's pages that were left: they go on, until one comes back and asks for something else."""

from concurrent.futures import CancelledError

import pytest

pytest.importorskip("streamlit", reason="needs Streamlit, the extra 'app'")

from streamlit.runtime.scriptrunner import RerunException
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData

from interp.app.server import left_jobs, session
from test_app_server import Lab, until, wait_until_at_work


@pytest.fixture
def lab(load, monkeypatch):
    lab = Lab(load)
    monkeypatch.setattr(left_jobs, "shared_server", lambda: lab.server)
    monkeypatch.setattr(session, "shared_server", lambda: lab.server)
    monkeypatch.setattr(left_jobs, "_LEFT", {})
    return lab


@pytest.fixture
def looks_at(monkeypatch):
    """Chooses the page that the session looks at."""

    def choose(page):
        monkeypatch.setattr(session, "page_now", lambda: page)

    return choose


def interrupted(lab, monkeypatch, question):
    """Ask a question whose wait is ended by Streamlit, as when something is typed or another page chosen."""

    def ended(job, place, times_asked):
        wait_until_at_work(job)
        raise RerunException(RerunData())

    with monkeypatch.context() as patch:
        patch.setattr(session, "_wait", ended)
        with pytest.raises(RerunException):
            session.ask("a", question)
    (job,) = lab.server._unfinished.values()
    return job


def test_a_job_goes_on_while_one_looks_at_another_page(lab, looks_at, monkeypatch):
    looks_at("Trace")
    held = lab.held("sweep")
    job = interrupted(lab, monkeypatch, held)
    looks_at("Explore")
    with session.script_run():
        pass
    lab.gates["sweep"].set()
    assert job.future.result(30) == "sweep"
    looks_at("Trace")
    with session.script_run():
        assert session.ask("a", held) == "sweep"
    assert lab.done == ["sweep"]  # computed once
    assert left_jobs._LEFT == {}


def test_a_job_ends_where_something_else_is_asked_on_its_page(lab, looks_at, monkeypatch):
    looks_at("Trace")
    job = interrupted(lab, monkeypatch, lab.held("sweep"))
    assert session.ask("a", lab.ask("another")) == "another"
    with pytest.raises(CancelledError):
        job.future.result(30)
    assert lab.done == ["another"]


def test_a_job_ends_where_its_page_no_longer_asks_for_it(lab, looks_at, monkeypatch):
    looks_at("Trace")
    job = interrupted(lab, monkeypatch, lab.held("sweep"))
    with session.script_run():
        pass
    until(job.future.cancelled)


def test_the_same_question_is_taken_up_again(lab, looks_at, monkeypatch):
    looks_at("Trace")
    held = lab.held("sweep")
    job = interrupted(lab, monkeypatch, held)
    lab.gates["sweep"].set()
    assert session.ask("a", held) == "sweep"
    assert job.future.result(30) == "sweep"
    assert lab.done == ["sweep"]
