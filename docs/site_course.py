"""The course on the site: a page for each notebook of `notebooks/`, with what its cells showed when they were
executed. A hook of mkdocs (`make docs`).

Figures become files beside the page, and formulas MathML, which browsers draw by themselves. Results keep
their own grids and charts; the style and the script, of which each has a copy in a notebook, are two files.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

from interp.figures.engine.notebook import style
from interp.figures.engine.page_parts import SCRIPT

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
STYLE_FILE, SCRIPT_FILE = "course/results.css", "course/results.js"
#: What the site's own style would do to outputs.
_SITE = """
.cell-output{font-size:14px}
.cell-output .interp-view.interp-view{--paper:var(--md-default-bg-color)}
.cell-output pre{overflow-x:auto}
.cell-output img{display:block;max-width:100%;height:auto;background:#fff}
.cell-output.cell-output :is(h1,h2){color:inherit;font-weight:500;letter-spacing:normal}
.cell-output.cell-output details{font-size:inherit;color:inherit;background:none;border:0;box-shadow:none}
.cell-output.cell-output details{padding:8px 0;overflow:visible}
.cell-output.cell-output summary{font-size:inherit;background:none;border:0;margin:0;padding:0 24px 0 0}
.cell-output.cell-output summary::before{display:none}
.cell-output.cell-output summary::after{position:static;display:inline-block;vertical-align:middle}
"""
#: Tables without a class are the site's.
_NAMED = (
    'for (const table of document.querySelectorAll(".interp-grid table")) table.classList.add("drawn");\n'
)
_OWN = re.compile(r"<!DOCTYPE html>\s*|<(style|script)>.*?</\1>\s*", re.S)  # of each view
_FORMULA = re.compile(r"(`[^`]+`)|(\$\$?)(.+?)\2", re.S)
_PLACE = re.compile(r'<(?:div|span) id="(put-\d+)"></(?:div|span)>')


@dataclass(frozen=True)
class Page:
    """A notebook as a page: its Markdown, with places for HTML; that HTML, by place; its figures."""

    title: str
    markdown: str
    html: dict[str, str]
    figures: dict[str, bytes]  # by file name


def on_config(config: Any) -> Any:
    """The notebooks take their places in the navigation."""
    for entry in config.nav:
        if "Course" in entry:
            entry["Course"] = [{page.title: f"course/{name}.md"} for name, page in _pages().items()]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages and their figures."""
    made: dict[str, str | bytes] = {STYLE_FILE: _site_style(), SCRIPT_FILE: SCRIPT + _NAMED}
    for name, page in _pages().items():
        made[f"course/{name}.md"] = page.markdown
        made |= {f"course/{figure}": content for figure, content in page.figures.items()}
    for path, content in made.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """The outputs, which are HTML already, in their places."""
    folder, _, name = page.file.src_uri.removesuffix(".md").rpartition("/")
    if folder != "course":
        return html
    html = _PLACE.sub(lambda place: _pages()[name].html[place[1]], html)
    style_file, script_file = (Path(path).name for path in (STYLE_FILE, SCRIPT_FILE))
    return f'<link rel="stylesheet" href="{style_file}">\n{html}\n<script src="{script_file}"></script>'


def _pages() -> dict[str, Page]:
    """The executed notebooks, by name, in their order."""
    if not _READ:
        _READ.update((path.stem, _page(path)) for path in sorted(NOTEBOOKS.glob("[0-9r]*.ipynb")))
    return _READ


_READ: dict[str, Page] = {}


def _page(path: Path) -> Page:
    parts: list[str] = []
    html: dict[str, str] = {}
    figures: dict[str, bytes] = {}

    def place(content: str, tag: str) -> str:
        """Where HTML goes that Markdown leaves alone."""
        name = f"put-{len(html)}"
        html[name] = content
        return f'<{tag} id="{name}"></{tag}>'

    def formula(found: re.Match[str]) -> str:
        if found[1]:  # code
            return found[0]
        whole = found[2] == "$$"
        return place(convert(found[3], display="block" if whole else "inline"), "div" if whole else "span")

    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"]).strip()
        if cell["cell_type"] == "markdown":
            parts.append(_FORMULA.sub(formula, _linked(source)))
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "image/png" in data:
                name = f"{path.stem}-{len(figures) + 1}.png"
                figures[name] = b64decode("".join(data["image/png"]))
                shown = f'<img src="{name}" alt="The figure that the cell above draws">'
            elif "text/html" in data:
                shown = _OWN.sub("", "".join(data["text/html"]))
            else:
                text = output["text"] if "text" in output else data["text/plain"]
                shown = f"<pre>{escape(''.join(text))}</pre>"
            # not searched: a grid is a thousand words
            parts.append(place(f'<div class="cell-output" data-search-exclude>{shown}</div>', "div"))
    title = next(line[2:] for line in parts[0].splitlines() if line.startswith("# "))
    return Page(title, "\n\n".join(parts) + "\n", html, figures)


def _linked(source: str) -> str:
    """Links to other notebooks and to docs/, as they are from the page."""
    return re.sub(r"\]\((\w+)\.(?:ipynb|py)\)", r"](\1.md)", source).replace("](../docs/", "](../")


def _site_style() -> str:
    """The style of views, without lengths of the root's size: it is another one on this site."""
    return re.sub(r"(\d*\.?\d+)rem\b", lambda size: f"{float(size[1]) * 16:g}px", style()) + _SITE
