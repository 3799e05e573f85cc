"""Progress of long work, as events that any front end can listen to.

Work calls `report`; the command line, or another front end, listens to what happens in its own thread:

    with listening(lambda task, done, total: ...):
        interp.activation_patching(...)

In a notebook, where nobody listens, bars are drawn (`interp.bars`). Work that measures something on the way,
such as a loss, says so by `report_values`; what it is about to take, memory or room on the disk, it says by
`tell` before it takes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from interp.bars import notebook_bars

Listener = Callable[[str, int, int], None]
Watcher = Callable[[Mapping[str, float]], None]
Teller = Callable[[str], None]
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)
_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)
_teller: ContextVar[Teller | None] = ContextVar("teller", default=None)


def report(task: str, done: int, total: int) -> None:
    """Say that `done` of `total` steps of a task are done. Nothing happens where nobody listens, but in a
    notebook."""
    listener = _listener.get() or notebook_bars()
    if listener is not None:
        listener(task, done, total)


@contextmanager
def one_step(task: str, done: int, total: int) -> Iterator[None]:
    """Say that `done` of `total` steps are done, and again that whenever something is reported within: the
    next step may be work that tells of its own."""
    report(task, done, total)
    listener = _listener.get() or notebook_bars()
    token = _listener.set(None if listener is None else lambda *_: listener(task, done, total))
    try:
        yield
    finally:
        _listener.reset(token)


def report_values(values: Mapping[str, float]) -> None:
    """Say what was measured at a step, by name. Nothing happens where nobody watches."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher(values)


def tell(sentence: str) -> None:
    """Say, in one sentence, what work is about to take. Nothing happens where nobody is told."""
    teller = _teller.get()
    if teller is not None:
        teller(sentence)


@contextmanager
def listening(
    listener: Listener, watcher: Watcher | None = None, teller: Teller | None = None
) -> Iterator[None]:
    """Call `listener(task, done, total)`, `watcher(values)` and `teller(sentence)` for what is reported in
    this thread, as long as the context lasts."""
    token, watching, telling = _listener.set(listener), _watcher.set(watcher), _teller.set(teller)
    try:
        yield
    finally:
        _listener.reset(token)
        _watcher.reset(watching)
        _teller.reset(telling)
