"""Progress of long work, as events that any front end can listen to.

Work calls `report`; the command line, or another front end, listens to what happens in its own thread:

    with listening(lambda task, done, total: ...):
        interp.patch_sweep(...)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[str, int, int], None]
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


def report(task: str, done: int, total: int) -> None:
    """Say that `done` of `total` steps of a task are done. Nothing happens where nobody listens."""
    listener = _listener.get()
    if listener is not None:
        listener(task, done, total)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call `listener(task, done, total)` for what is reported in this thread as long as the context lasts."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
