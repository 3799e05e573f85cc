"""Reports as one self-contained HTML page: nothing is loaded from elsewhere, and it works without a network.

A report is a fragment put together from the pieces below; `page` puts it into a document with its style,
its script, the provenance and the configuration. Every text is escaped where it enters a piece, and the
page's content policy lets no script run but its own, so that a prompt can never act.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import lru_cache
from hashlib import sha256
from html import escape
from typing import Any, Literal

import yaml

from interp.figures.engine import colours
from interp.figures.engine.grid import Grid
from interp.figures.engine.notation import CUT, NEWLINE, SPACE, TAB, show_text, show_token
from interp.figures.engine.page_parts import CHARTS, GRID_STYLE, SCRIPT, STYLE
from interp.provenance import Provenance

_BUDGET = 420_000  # bytes of the largest grid in a page

# A colour is a class, one for each step of its scale, so that one page has a light and a dark form.
_DIVERGING_STEPS, _SEQUENTIAL_STEPS = 20, 40


@dataclass(frozen=True)
class Column:
    """A grid's column: its heading as HTML, and in full as text, for the tooltip."""

    heading: str
    full: str


@dataclass(frozen=True)
class Cell:
    """A cell of a grid or a table: a short text and its colour class. In a grid, what the tooltip says, and
    whether it is framed; in a table, the share of a bar, and whether it is strong."""

    text: str
    _: KW_ONLY
    shade: str = ""
    details: tuple[str, ...] = ()
    marked: bool = False
    bar: float | None = None


@dataclass(frozen=True)
class Row:
    """A grid's row: its label and its cells, as many as there are columns."""

    label: str
    cells: tuple[Cell, ...]


def page(
    *,
    title: str,
    body: str,
    provenance: Provenance | None = None,
    config: Mapping[str, Any] | None = None,
    style: str = "",
    script: str = "",
) -> str:
    """A whole document around `body`, which is a report's fragment.

    Args:
        title: shown in the browser's tab.
        body: HTML, as a `report` function gives it; the only argument that is not escaped here.
        provenance: shown in a table that opens at a click.
        config: the resolved configuration, shown as the YAML that starts the same run again.
        style, script: of the body's own, behind those of all pages.
    """
    style = STYLE + CHARTS + GRID_STYLE + shades() + style
    script = SCRIPT + script
    policy = f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:"
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{escape(show_text(title))}</title>",
        '<link rel="icon" href="data:,">',  # else a browser asks the server for one
        f"<style>{style}</style></head><body><main>",
        body,
        "" if provenance is None else details("Provenance", provenance_table(provenance)),
        "" if config is None else details("Configuration", f"<pre>{escape(_yaml(config))}</pre>"),
        f"</main><script>{script}</script></body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def section(title: str, *parts: str) -> str:
    """A report: a heading and the pieces under it."""
    return "\n".join([f'<section class="report"><h1>{escaped(title)}</h1>', *parts, "</section>"])


def paragraph(text: str, *, strong: bool = False) -> str:
    """A paragraph of text."""
    return f'<p class="strong">{escaped(text)}</p>' if strong else f"<p>{escaped(text)}</p>"


def table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str | Cell]],
    *,
    caption: str,
    right: Sequence[bool] = (),
    strong: Sequence[int] = (),
) -> str:
    """A plain table of texts, or of cells with a colour or bar; the first column labels the rows. Columns in
    `right` (by place) are numbers, and rows in `strong` stand out."""
    ends = ["r" if i < len(right) and right[i] else "" for i in range(len(headings))]
    head = "".join(
        f'<th scope="col"{_class(end)}>{escaped(text)}</th>' for end, text in zip(ends, headings, strict=True)
    )
    lines = "\n".join(
        f"<tr{' class=strong' if i in strong else ''}>{_plain_cell(label, 'th', ends[0])}"
        + "".join(_plain_cell(cell, "td", end) for end, cell in zip(ends[1:], cells, strict=True))
        + "</tr>"
        for i, (label, *cells) in enumerate(rows)
    )
    return (
        f'<div class="scroll"><table class="plain"><caption>{escaped(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>\n{lines}\n</tbody></table></div>"
    )


def grid(
    columns: Sequence[Column], rows: Sequence[Row], *, corner: str, caption: str, names: Sequence[str] = ()
) -> str:
    """A table of coloured cells, which the page's script draws with a tooltip on hover and on keyboard focus.

    `names` say what the details of a cell are, in their order. They stand once in the table and not in
    each cell, which keeps thousands of cells within a small page.
    """
    head = "".join(f'<th scope="col" data-f="{escape(c.full)}">{c.heading}</th>' for c in columns)
    lines = "\n".join(_row(row, first=i == 0) for i, row in enumerate(rows))
    return (
        f'<div class="scroll"><table class="grid" role="grid" aria-label="{escape(caption)}" '
        f'data-names="{escape(json.dumps(list(names), ensure_ascii=False))}">'
        f"<caption>{escaped(caption)}. Hover, or press Tab and the arrow keys, for exact values.</caption>"
        f'<thead><tr><th scope="col">{escaped(corner)}</th>{head}</tr></thead><tbody>\n{lines}\n'
        "</tbody></table></div>"
    )


def details(summary: str, content: str) -> str:
    """HTML that opens at a click."""
    return f"<details><summary>{escaped(summary)}</summary>{content}</details>"


def escaped(text: str) -> str:
    """Escaped text in which the marks of spaces, line ends and cuts are faint."""
    shown = escape(text)
    for mark in (SPACE, NEWLINE, TAB, CUT):
        shown = shown.replace(mark, f"<u>{mark}</u>")
    return shown


def smallest_needed(fragment: Callable[[int], str], levels: Sequence[int]) -> str:
    """The fragment at the first level of detail at which a page stays well below 500 kB, else at the last."""
    text = ""
    for level in levels:
        text = fragment(level)
        if len(text.encode()) <= _BUDGET:
            break
    return text


def scale(stops: Sequence[tuple[str, str]], *, label: str) -> str:
    """A legend: (colour class, number) pairs, and what the colours mean."""
    swatches = "".join(f'<span class="{shade}">{escaped(number)}</span>' for shade, number in stops)
    return f'<p class="scale"><span class="swatches">{swatches}</span> {escaped(label)}</p>'


def heading(text: str, *, below: str = "") -> str:
    """A column's heading as HTML, and what stands below it, such as the corrupted prompt's token."""
    return f"<b>{escaped(text)}</b><br><i>{escaped(below)}</i>" if below else escaped(text)


def diverging_class(value: float) -> str:
    """The colour class of a signed value."""
    step = round(min(max(value, -colours.LIMIT), colours.LIMIT) * _DIVERGING_STEPS)
    return f"m{-step}" if step < 0 else f"p{step}"


def sequential_class(value: float) -> str:
    """The colour class of a probability."""
    return f"s{round(value * _SEQUENTIAL_STEPS)}"


def shade_class(grid: Grid, value: float) -> str:
    """The colour class of a value of a grid."""
    return (sequential_class if grid.centre is None else diverging_class)(grid.shade(value))


def provenance_table(provenance: Provenance) -> str:
    """Where the numbers came from, as rows of a table."""
    dirty = {True: " with uncommitted changes", False: ", clean tree", None: ""}[provenance.code_dirty]
    revision = provenance.code_revision
    rows = [
        ("model", provenance.model),
        ("model revision", provenance.revision or "none recorded"),
        *([("weights", f"SHA-256 {provenance.weights}")] if provenance.weights else []),
        ("backend", provenance.backend),
        ("dtype", provenance.dtype),
        ("device", provenance.device),
        ("BOS", show_token(provenance.bos)),
        ("weight processing", provenance.processing),
        ("self-check", provenance.self_check),
        ("seed", str(provenance.seed)),
        ("code", f"{revision}{dirty}" if revision else "installed package, no source checkout"),
        ("Python", provenance.python),
        *((package, version) for package, version in provenance.versions.items()),
    ]
    return table(["", ""], rows, caption="Where these numbers come from")


def _plain_cell(cell: str | Cell, tag: Literal["th", "td"], end: str) -> str:
    """A cell of a plain table; `end` is the class of a column of numbers."""
    given = cell if isinstance(cell, Cell) else Cell(cell)
    classes = _class(end, given.shade, "strong" if given.marked else "")
    scope = ' scope="row"' if tag == "th" else ""
    return f"<{tag}{scope}{classes}>{escaped(given.text)}{_bar(given)}</{tag}>"


def _class(*names: str) -> str:
    """The attribute for those that are not empty."""
    given = " ".join(name for name in names if name)
    return f' class="{given}"' if given else ""


def _bar(cell: Cell) -> str:
    if cell.bar is None:
        return ""
    return (
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect width="{100 * cell.bar:.4g}" height="10"/></svg>'
    )


def _row(row: Row, *, first: bool) -> str:
    label = f'<th scope="row">{escaped(row.label)}</th>'
    cells = "".join(_cell(cell, reachable=first and i == 0) for i, cell in enumerate(row.cells))
    return f"<tr>{label}{cells}"  # HTML needs no closing tag here


def _cell(cell: Cell, *, reachable: bool) -> str:
    """One cell, in few bytes: there can be thousands. The first of a grid is where Tab enters it."""
    shade = f"{cell.shade} peak".strip() if cell.marked else cell.shade
    quote = '"' if " " in shade else ""
    return (
        "<td"
        + (f" class={quote}{shade}{quote}" if shade else "")
        + (f' data-v="{escape(chr(10).join(cell.details))}"' if cell.details else "")
        + (" tabindex=0" if reachable else "")
        + f">{escaped(cell.text)}"
    )


def _yaml(config: Mapping[str, Any]) -> str:
    plain = json.loads(json.dumps(dict(config), default=str))  # paths, tuples and the like as plain values
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100)


def _hash(text: str) -> str:
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()


@lru_cache
def shades() -> str:
    """The colour classes, light and dark by the page's colour scheme."""

    def rule(name: str, scale: Callable[..., colours.RGB], value: float) -> str:
        backs = [scale(value, dark=dark) for dark in (False, True)]
        inks = [colours.text_on(back) for back in backs]
        return f".{name}{{background:{_light_dark(backs)};color:{_light_dark(inks)}}}"

    n = round(colours.LIMIT * _DIVERGING_STEPS)
    return "".join(
        [
            *(rule(f"p{i}", colours.diverging, i / _DIVERGING_STEPS) for i in range(n + 1)),
            *(rule(f"m{i}", colours.diverging, -i / _DIVERGING_STEPS) for i in range(1, n + 1)),
            *(rule(f"s{i}", colours.sequential, i / _SEQUENTIAL_STEPS) for i in range(_SEQUENTIAL_STEPS + 1)),
        ]
    )


def _light_dark(pair: Sequence[colours.RGB]) -> str:
    light, dark = map(colours.css, pair)
    return light if light == dark else f"light-dark({light},{dark})"
