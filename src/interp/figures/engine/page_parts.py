"""The style and the script of a report page, as they stand in the files beside this one."""

import re
from pathlib import Path

_HERE = Path(__file__).parent
_COMMENT_OR_INDENT = re.compile(r"^\s*(//.*\n)?", re.MULTILINE)


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


STYLE = _read("page.css")
CHARTS = _read("chart.css")  # of a chart's SVG; ``--ink`` and the like are the page's own
GRID_STYLE = _read("grid.css")
GRID_SCRIPT = _read("grid.js")  # the grid, drawn by `drawGrid(host, data, onCell)`
SCRIPT = _COMMENT_OR_INDENT.sub("", f"(() => {{\n{GRID_SCRIPT}{_read('page.js')}}})();\n")
