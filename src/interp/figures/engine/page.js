// What a report's script does: it draws each table of class "grid" anew from what the table says. The table
// itself remains for print, and for where no script runs. What is drawn already is left alone: a notebook has
// one copy of this script for each of its outputs.
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
        cells: cells.map(readCell),
      };
    }),
    framed: [...table.querySelectorAll(".peak")].map((at) => [at.parentNode.rowIndex - 1, at.cellIndex - 1]),
    selected: null,
  };
};
const readCell = (cell) => ({
  text: cell.textContent,
  shade: cell.classList[0] === "peak" ? undefined : cell.classList[0],
  details: cell.dataset.v?.split("\n"),
});
for (const table of document.querySelectorAll(".scroll:not(.printed) > table.grid")) {
  const host = element("div", { className: "interp-grid" });
  table.parentNode.before(host);
  table.parentNode.classList.add("printed");
  drawGrid(host, readGrid(table), null);
}
