"""The style and the script of a report page, written into it as they stand."""

import re
from pathlib import Path

_HERE = Path(__file__).parent

STYLE = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1b1f24;--quiet:#566070;--rule:#d5dae1;--tint:#f3f5f8;
--accent:#b2182b}
@media screen and (prefers-color-scheme:dark){
:root{--paper:#14161a;--ink:#e6e9ee;--quiet:#9aa4b2;--rule:#363c46;--tint:#1d2026;--accent:#f4845f}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1180px;margin:0 auto;padding:1.5rem 1.1rem 4rem}
h1{font-size:1.4rem;line-height:1.25;margin:.2rem 0 .8rem;overflow-wrap:anywhere}
p{margin:.5rem 0;max-width:54rem;overflow-wrap:anywhere}
.strong{font-weight:600}
u{text-decoration:none;opacity:.5}
.scroll{overflow-x:auto;margin:1rem 0;padding-bottom:.3rem}
table{border-collapse:separate;border-spacing:0;font-size:.87rem;font-variant-numeric:tabular-nums;unicode-bidi:isolate}
caption{text-align:left;color:var(--quiet);padding:0 0 .5rem;caption-side:top}
th,td{padding:.28rem .6rem;text-align:left;font-weight:normal;vertical-align:top;unicode-bidi:isolate}
.plain th,.plain td{border-bottom:1px solid var(--rule)}
.plain thead th,.plain th[scope=row]{color:var(--quiet)}
.plain .r{text-align:right}
.plain td{overflow-wrap:anywhere;min-width:5rem}
.grid th,.grid td{padding:.22rem .42rem;white-space:nowrap;text-align:center;vertical-align:middle}
.grid td{border:1px solid var(--paper)}
.grid thead th{vertical-align:bottom;color:var(--quiet);line-height:1.3}
.grid thead b{color:var(--ink)}
.grid thead i{color:var(--accent);font-style:normal}
.grid tr>:first-child{position:sticky;left:0;background:var(--paper);color:var(--quiet);
text-align:right;z-index:1}
.grid .peak{box-shadow:inset 0 0 0 2px var(--ink),inset 0 0 0 3px var(--paper)}
.here th,.here td:not(.peak){box-shadow:inset 0 2px 0 var(--accent)}
.bar{display:inline-block;width:6rem;height:.7em;margin-left:.5rem;background:var(--tint)}
.bar rect{fill:#2394c1}
.scale{color:var(--quiet);font-size:.87rem}
.swatches{display:inline-flex;margin-right:.6rem;vertical-align:middle}
.swatches span{padding:.1rem .5rem;min-width:2.6rem;text-align:center;font-variant-numeric:tabular-nums}
h2{font-size:1.05rem;margin:1.6rem 0 .3rem;overflow-wrap:anywhere}
.strong th,.strong td{font-weight:600}
details{border-top:1px solid var(--rule);padding:.6rem 0}
summary{cursor:pointer;font-weight:600}
pre{overflow-x:auto;background:var(--tint);padding:.8rem;font-size:.85rem;border-radius:4px}
@media screen{.printed{display:none}}
@media print{:root{color-scheme:light}
.scroll{overflow:visible}.interp-grid{display:none}td,.swatches span{print-color-adjust:exact}}
"""

#: The style of a chart's SVG; ``--ink`` and the like are the page's own.
CHARTS = """
.chart{display:block;font-family:"DejaVu Sans",system-ui,sans-serif}
.chart polyline{fill:none;stroke:currentColor}
.chart polygon,.chart circle,.chart text{fill:currentColor}
.chart .ink{color:var(--ink)}.chart .quiet{color:var(--quiet)}.chart .rule{color:var(--rule)}
.chart .paper{color:var(--paper)}
.chart .warm{color:light-dark(#b2182b,#f4845f)}.chart .cool{color:light-dark(#2166ac,#62b0e0)}
.chart .s0{color:light-dark(#0072b2,#56b4e9)}.chart .s1{color:light-dark(#c44e00,#ff8a4c)}
.chart .s2{color:light-dark(#00795a,#2fc79b)}.chart .s3{color:light-dark(#a0458a,#e39ac6)}
.chart .s4{color:light-dark(#7a6200,#d9c545)}.chart .s5{color:light-dark(#1b1f24,#e6e9ee)}
"""

#: The grid, drawn by `drawGrid(host, data, onCell)`.
GRID_SCRIPT = (_HERE / "grid.js").read_text(encoding="utf-8")
GRID_STYLE = (_HERE / "grid.css").read_text(encoding="utf-8")

# What a report's script does: it draws each table of class "grid" anew from what the table says. The table
# itself remains for print, and for where no script runs.
_FROM_TABLES = """
const full = (th) => th.dataset.f || th.textContent;
const readGrid = (table) => {
  const [corner, ...heads] = table.tHead.rows[0].cells;
  return {
    label: table.ariaLabel,
    caption: table.caption.textContent,
    corner: corner.textContent,
    columns: heads.map((th, index) => ({
      index,
      text: (th.querySelector("b") || th).textContent,
      other: th.querySelector("i")?.textContent,
      strong: Boolean(th.querySelector("b")),
      full: full(th),
    })),
    names: JSON.parse(table.dataset.names),
    rows: [...table.tBodies[0].rows].map((row, index) => {
      const [name, ...cells] = row.cells;
      return {
        index,
        text: name.textContent,
        full: `${corner.textContent} ${full(name)}`,
        marked: row.className === "here",
        cells: cells.map(readCell),
      };
    }),
    framed: [...table.querySelectorAll(".peak")].map((at) => [at.parentNode.rowIndex - 1, at.cellIndex - 1]),
    selected: null,
  };
};
const readCell = (cell) => {
  const bar = cell.querySelector("rect")?.getAttribute("width");
  return {
    text: cell.textContent,
    shade: cell.classList[0] === "peak" ? undefined : cell.classList[0],
    told: cell.dataset.v?.split("\\n"),
    bar: bar === undefined ? undefined : bar / 100,
  };
};
for (const table of document.querySelectorAll("table.grid")) {
  const host = element("div", { className: "interp-grid" });
  table.parentNode.before(host);
  table.parentNode.classList.add("printed");
  drawGrid(host, readGrid(table), null);
}
"""
_COMMENT_OR_INDENT = re.compile(r"^\s*(//.*\n)?", re.MULTILINE)
SCRIPT = _COMMENT_OR_INDENT.sub("", f"(() => {{\n{GRID_SCRIPT}{_FROM_TABLES}}})();\n")
