"""The terminal: what commands print, their warnings and errors, and their progress."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from interp.errors import InterpWarning
from interp.ranks import is_first

console = Console()


def say(kind: str, text: str, style: str) -> None:
    """One line on stderr: ``error: ...`` or ``warning: ...``."""
    sentence = " ".join(text.split())
    Console(stderr=True).print(
        f"{kind}: {sentence}", style=style, markup=False, highlight=False, soft_wrap=True
    )


def show_own_warnings() -> None:
    """This library's warnings reach the user, each once and in one line."""
    printed: set[str] = set()
    others = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if not issubclass(category, InterpWarning):
            others(message, category, *where, **more)
        elif is_first() and str(message) not in printed:
            printed.add(str(message))
            say("warning", str(message), "yellow")

    warnings.simplefilter("always", InterpWarning)
    warnings.showwarning = show


def quiet_libraries() -> None:
    """Keep other libraries' notices off the terminal; errors still come through as errors, and this library's
    own warnings as sentences."""
    warnings.filterwarnings("ignore")
    show_own_warnings()
    for name in ("transformers", "transformer_lens", "nnsight", "huggingface_hub"):
        logging.getLogger(name).setLevel(logging.ERROR)


def table_of(*headings: str) -> Table:
    """An empty table with these headings; what does not fit is continued on the next line, not cut."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


@contextmanager
def progress(title: str) -> Iterator[None]:
    """A bar for each task that the work reports, with an estimate, and a curve for each value that it
    measures on the way; on a terminal only. What the work is about to take is said on stderr in any case."""
    from interp.figures.engine.curves import Curves
    from interp.progress import listening

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    quiet = not (console.is_terminal and is_first())
    curves = Curves()

    class Bars(Progress):
        def get_renderables(self) -> Iterator[RenderableType]:
            yield from super().get_renderables()
            yield curves

    with Bars(*columns, TimeRemainingColumn(), console=console, transient=True, disable=quiet) as bars:
        tasks = {"": bars.add_task(title, total=None)}

        def listener(task: str, done: int, total: int) -> None:
            if task not in tasks:
                tasks[task] = bars.add_task(task, total=total)
            bars.update(tasks[task], completed=done, total=total)

        with listening(listener, curves.add, lambda sentence: say("note", sentence, "none")):
            yield
