"""Bars of progress in a notebook, where nobody else listens: one a task that takes longer than a second.

They are tqdm's, drawn by the notebook's widgets where ipywidgets is installed and as text elsewhere. There
are none where the environment has ``CI`` or ``TQDM_DISABLE``, nor outside of a notebook.
"""

from __future__ import annotations

import os
import sys
import warnings
from functools import lru_cache
from importlib import import_module
from typing import Any

DELAY = 1.0  # seconds for which a task shows no bar


class Bars:
    """What `interp.progress` calls with each step: it keeps a bar for each task, until it is done."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar  # as tqdm.tqdm
        self._open: dict[str, Any] = {}

    def __call__(self, task: str, done: int, total: int) -> None:
        bar = self._open.get(task)
        if bar is not None and (bar.total != total or done < bar.n):  # begun anew
            self._close(task)
            bar = None
        if bar is None:
            if done >= total:
                return
            bar = self._open[task] = self._bar(total=total, desc=task, leave=False, delay=DELAY)
        bar.update(done - bar.n)
        if done >= total:
            self._close(task)

    def close(self, *_: Any) -> None:
        """Take away what an interrupted task has left."""
        for task in list(self._open):
            self._close(task)

    def _close(self, task: str) -> None:
        self._open.pop(task).close()


@lru_cache(maxsize=1)
def notebook_bars() -> Bars | None:
    """The bars of the notebook in which this process runs, taken away behind each cell; None where there
    is no notebook, or quiet is asked for."""
    shell = _shell()
    if shell is None or os.environ.get("CI") or os.environ.get("TQDM_DISABLE"):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # without ipywidgets the bar is text
            bars = Bars(import_module("tqdm.auto").tqdm)
    except ImportError:
        return None
    shell.events.register("post_run_cell", bars.close)
    return bars


def _shell() -> Any:
    """The shell of a notebook's kernel; None elsewhere. IPython is not imported for it."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell if hasattr(shell, "kernel") else None
