"""What the pages of this folder are put together from, and how one is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from interp.errors import InputError, first_line


def write_page(what: str, path: str | Path, page: str) -> None:
    """Write a page to a file. `InputError` where it cannot be written."""
    try:
        Path(path).write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"The {what} cannot be written to {str(path)!r} ({first_line(error)}).") from None


def read_part(name: str) -> str:
    """A file of this folder."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def graph_script() -> str:
    """The script of an attribution graph's page, behind that of all pages."""
    return read_part("elements.js") + read_part("graph.js")


def embedded_json(data: dict[str, Any]) -> str:
    """JSON that ends no script element."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
