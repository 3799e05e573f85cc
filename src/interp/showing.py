"""Values that show themselves in a notebook.

What draws them is above, in `interp.figures`: it is named here and imported when something is first shown, so
that a value stays as light as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Listing:
    """A table of facts: its title, its columns, and rows of texts."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def listed(title: str, listings: Sequence[Listing]) -> str:
    """HTML for a notebook: the title, and the facts below it."""
    return import_module("interp.figures.engine.notebook").listed(title, listings)


def drawing() -> Any:
    """What draws results: `interp.figures.by_kind`."""
    return import_module("interp.figures.by_kind")
