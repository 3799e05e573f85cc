"""The style and the script of a report page, written into it as they stand."""

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
.grid td:focus,.grid th:focus{outline:3px solid var(--accent);outline-offset:-2px}
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
#tip{position:fixed;z-index:9;max-width:min(26rem,90vw);padding:.45rem .65rem;white-space:pre-line;
pointer-events:none;background:var(--ink);color:var(--paper);border-radius:5px;font-size:.83rem;overflow-wrap:anywhere}
#tip[hidden]{display:none}
@media print{:root{color-scheme:light}
.scroll{overflow:visible}#tip{display:none}td,.swatches span{print-color-adjust:exact}}
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

# Arrow keys move through a grid with one stop for Tab (the "roving tabindex" of the ARIA grid pattern).
# Texts go into the tooltip as text, never as HTML.
SCRIPT = """
(function () {
  "use strict";
  var tip = document.getElementById("tip");
  function cellOf(event) { return event.target.closest && event.target.closest(".grid td, .grid th"); }
  function full(th) { return th.dataset.f || th.textContent; }
  function lines(cell) {
    var table = cell.closest("table"), head = table.tHead.rows[0], row = cell.parentNode;
    if (row === head) return [full(cell)];
    var out = [head.cells[0].textContent + " " + full(row.cells[0])];
    if (cell.cellIndex > 0) out.push(full(head.cells[cell.cellIndex]));
    var names = JSON.parse(table.dataset.names);
    (cell.dataset.v ? cell.dataset.v.split("\\n") : []).forEach(function (value, i) {
      out.push(names[i] ? names[i] + ": " + value : value);
    });
    return out;
  }
  function hide() {
    tip.hidden = true;
    document.querySelectorAll("[aria-describedby=tip]").forEach(function (cell) {
      cell.removeAttribute("aria-describedby");
    });
  }
  function show(cell) {
    if (!cell) return hide();
    tip.textContent = lines(cell).join("\\n");
    tip.hidden = false;
    var box = cell.getBoundingClientRect(), own = tip.getBoundingClientRect();
    var top = box.bottom + 6;
    if (top + own.height > innerHeight) top = Math.max(4, box.top - own.height - 6);
    tip.style.top = top + "px";
    tip.style.left = Math.max(4, Math.min(box.left, innerWidth - own.width - 4)) + "px";
  }
  function focus(cell) {
    var before = cell.closest("table").querySelector("[tabindex]");
    if (before) before.removeAttribute("tabindex");
    cell.tabIndex = 0;
    cell.focus();
  }
  document.addEventListener("mouseover", function (event) { show(cellOf(event)); });
  document.addEventListener("focusin", function (event) {
    var cell = cellOf(event);
    show(cell);
    if (cell) cell.setAttribute("aria-describedby", "tip");
  });
  document.addEventListener("focusout", hide);
  document.addEventListener("click", function (event) { var cell = cellOf(event); if (cell) focus(cell); });
  document.addEventListener("scroll", function () {
    var cell = document.activeElement.closest(".grid td, .grid th");
    if (cell) show(cell); else hide();
  }, true);
  document.addEventListener("keydown", function (event) {
    if (event.key === "Escape") return hide();
    var cell = cellOf(event);
    var step = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0],
                Home: [0, -1e6], End: [0, 1e6]}[event.key];
    if (!cell || !step) return;
    var rows = cell.closest("table").rows;
    var y = Math.min(Math.max(cell.parentNode.rowIndex + step[0], 0), rows.length - 1);
    var cells = rows[y].cells;
    event.preventDefault();
    focus(cells[Math.min(Math.max(cell.cellIndex + step[1], 0), cells.length - 1)]);
  });
})();
"""
