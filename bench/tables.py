"""Where measured tables go: a page of docs, each between two comments of its own."""

from __future__ import annotations

from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def put(name: str, table: str, doc: Path = DOCS) -> None:
    """Replace what stands between ``<!-- begin: name -->`` and ``<!-- end: name -->``."""
    begin, end = f"<!-- begin: {name} -->\n", f"<!-- end: {name} -->\n"
    text = doc.read_text(encoding="utf-8")
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise SystemExit(f"{doc.name} has no place for the table {name!r}; put the two comments in.")
    doc.write_text(before + begin + table + end + after, encoding="utf-8")
