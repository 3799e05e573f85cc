"""HTML and text for a notebook: a fragment with its own style and script, which leave the rest alone.

Nothing is loaded from elsewhere and no server is asked, so that it works in whatever shows HTML (JupyterLab,
VS Code, Colab). Where scripts are not run, grids are plain tables.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import StringIO

from rich.console import Console, RenderableType

from interp.figures.engine import html
from interp.figures.engine.notation import show_text
from interp.figures.engine.page_parts import CHARTS, GRID_STYLE, SCRIPT, STYLE
from interp.showing import Listing

_WIDTH = 100  # places of a line, printed
_MOST_ROWS = 60  # of a listing

#: What a notebook's own style would do to tables, and what a page has that a cell's output has not.
_OWN = (
    "&{max-width:none;margin:0;padding:.2rem .8rem .8rem}h1{font-size:1.15rem}"
    "table{table-layout:auto;margin:0;color:inherit}tr{background:none!important}th,td{line-height:1.4;max-width:none}"
)

#: Light or dark as what is around it (JupyterLab, VS Code, Colab and marimo, the site), not as the system is.
_LIGHT = (
    "[data-jp-theme-light=true],.vscode-light,[theme=light],[data-theme=light],[data-md-color-scheme=default]"
)
_DARK = "[data-jp-theme-light=false],.vscode-dark,[theme=dark],[data-theme=dark],[data-md-color-scheme=slate]"
_AROUND = f"@media screen{{:is({_LIGHT}) &{{color-scheme:light}}:is({_DARK}) &{{color-scheme:dark}}}}"

_COLOURED = re.compile(r"""class="?[^">]*\b(?:grid|[pms]\d+)\b""")  # a grid, or a cell of a shade


def embedded(fragment: str) -> str:
    """A report's fragment as the output of a cell. Each has all that it needs: cells are run in any order and
    deleted, and Colab shows each output in a frame of its own, from which no other can be reached. The script
    draws what is not drawn yet, so that a second copy changes nothing."""
    # marimo puts what has a script into a frame, and makes that as high as the document if it has a doctype
    doctype, script = (
        ("<!DOCTYPE html>\n", f"<script>{SCRIPT}</script>") if '<table class="grid"' in fragment else ("", "")
    )
    ignored = "tex2jax_ignore mathjax_ignore"  # dollars are not formulas
    own = style(coloured=bool(_COLOURED.search(fragment)))
    return f'{doctype}<div class="interp-view {ignored}"><style>{own}</style>\n{fragment}\n{script}</div>'


def listed(title: str, listings: Sequence[Listing]) -> str:
    """Tables of facts below a title; of a long one, the first rows."""
    return embedded(html.section(show_text(title), *map(_table, listings)))


@dataclass(frozen=True, repr=False)
class Printed:
    """What `rich` prints in a terminal, and text in a notebook or where it is made a `str`."""

    content: RenderableType

    def __rich__(self) -> RenderableType:
        return self.content

    def __str__(self) -> str:
        console = Console(file=StringIO(), width=_WIDTH, color_system=None, force_jupyter=False)
        with console.capture() as capture:
            console.print(self.content)
        return "\n".join(line.rstrip() for line in capture.get().splitlines())

    def __repr__(self) -> str:
        return str(self)


def _table(listing: Listing) -> str:
    rows = [[show_text(text) for text in row] for row in listing.rows[:_MOST_ROWS]]
    left = len(listing.rows) - len(rows)
    caption = f"{listing.title}: the first {len(rows)} of {len(listing.rows)}" if left else listing.title
    return html.table(listing.columns, rows, caption=show_text(caption))


@lru_cache
def style(*, coloured: bool = True) -> str:
    """The style of a page, for what is within the view alone: all of it is nested in one rule, and what a
    page says of its root and its body holds for the view. A third of it where nothing is `coloured`."""
    of_page = STYLE + CHARTS + (GRID_STYLE + html.shades() if coloured else "")
    nested = re.sub(r"(?<![\w-])(:root|body|main)\{", "&{", of_page)
    return f".interp-view.interp-view{{{nested}{_OWN}{_AROUND}}}"
