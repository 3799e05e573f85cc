"""Bars of progress in a notebook: there, and quiet elsewhere."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from interp import bars
from interp.bars import Bars, notebook_bars
from interp.progress import listening, one_step, report


class FakeBar:
    """What is called of tqdm."""

    made: list[FakeBar]

    def __init__(self, *, total: int, desc: str, leave: bool, delay: float) -> None:
        self.total, self.desc, self.n, self.closed = total, desc, 0, False
        self.made.append(self)

    def update(self, steps: int) -> None:
        self.n += steps

    def close(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def anew(monkeypatch: Any) -> Iterator[None]:
    FakeBar.made = []
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    notebook_bars.cache_clear()
    yield
    notebook_bars.cache_clear()


def in_a_notebook(monkeypatch: Any) -> list[Any]:
    """As if this process were a notebook's kernel; what it is to call behind each cell."""
    called: list[Any] = []
    events = SimpleNamespace(register=lambda _, call: called.append(call))
    shell = SimpleNamespace(kernel=True, events=events)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "tqdm.auto", SimpleNamespace(tqdm=FakeBar))
    return called


def test_each_task_has_a_bar_until_it_is_done(monkeypatch: Any) -> None:
    after_a_cell = in_a_notebook(monkeypatch)
    report("layers", 1, 3)
    report("layers", 2, 3)
    report("prompts", 5, 10)
    layers, prompts = FakeBar.made
    assert (layers.desc, layers.total, layers.n, layers.closed) == ("layers", 3, 2, False)
    report("layers", 3, 3)
    assert (layers.n, layers.closed, prompts.closed) == (3, True, False)
    (close,) = after_a_cell
    close()  # an interrupted cell leaves nothing
    assert prompts.closed
    report("prompts", 1, 10)
    assert len(FakeBar.made) == 3


def test_a_task_that_begins_anew_has_a_new_bar() -> None:
    shown = Bars(FakeBar)
    for done, total in ((4, 10), (1, 10), (2, 12), (12, 12), (7, 7)):
        shown("pairs", done, total)
    assert [(bar.total, bar.n, bar.closed) for bar in FakeBar.made] == [
        (10, 4, True), (10, 1, True), (12, 12, True),
    ]  # fmt: skip


@pytest.mark.parametrize("quiet", ["CI", "TQDM_DISABLE"])
def test_quiet_where_it_is_asked_for(quiet: str, monkeypatch: Any) -> None:
    in_a_notebook(monkeypatch)
    monkeypatch.setenv(quiet, "1")
    report("layers", 1, 3)
    assert FakeBar.made == []


def test_who_listens_hears_alone(monkeypatch: Any) -> None:
    in_a_notebook(monkeypatch)
    heard: list[Any] = []
    with listening(lambda *event: heard.append(event)):
        report("layers", 1, 3)
    assert heard == [("layers", 1, 3)]
    assert FakeBar.made == []


def test_outside_of_a_notebook_there_is_none(monkeypatch: Any, capsys: Any) -> None:
    report("layers", 1, 3)
    assert notebook_bars() is None
    shell = SimpleNamespace()  # IPython in a terminal has no kernel
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    notebook_bars.cache_clear()
    assert notebook_bars() is None
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(
    importlib.util.find_spec("nbclient") is None or importlib.util.find_spec("ipykernel") is None,
    reason="needs nbclient and ipykernel",
)
def test_in_a_kernel_a_bar_is_shown_and_taken_away(monkeypatch: Any) -> None:
    import nbformat
    from nbclient import NotebookClient

    code = """import time
from interp import bars
from interp.progress import report
bars.DELAY = 0
report("layers", 1, 3)
print(type(bars.notebook_bars()).__name__, sorted(bars.notebook_bars()._open))"""
    after = "print(bars.notebook_bars()._open)"
    cells = [nbformat.v4.new_code_cell(source) for source in (code, after)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=60).execute()
    said = ["".join(o.get("text", "") for o in cell.outputs if o.get("name") == "stdout") for cell in cells]
    assert said == ["Bars ['layers']\n", "{}\n"]
    assert bars.DELAY == 1.0


def test_a_step_of_long_work_is_told_and_not_what_it_is_made_of():
    heard = []
    with listening(lambda *event: heard.append(event)):
        for done in range(2):
            with one_step("prompts", done, 2):
                report("branches", 1, 18)
        report("prompts", 2, 2)
    assert heard == [("prompts", 0, 2)] * 2 + [("prompts", 1, 2)] * 2 + [("prompts", 2, 2)]
    with one_step("prompts", 0, 1):
        report("branches", 1, 18)  # nobody listens
