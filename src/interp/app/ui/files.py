"""The styles and scripts of this folder."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def read_file(name: str) -> str:
    """The text of a file of this folder."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
