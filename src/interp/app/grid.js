// A grid of coloured cells: hover and focus tell a cell's values, click or Enter reports it as [row, column].
// Every text is set as textContent, so that no token is ever read as HTML.

const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};

// Whether the page around is dark, by the luminance of Streamlit's background colour.
const isDark = (host) => {
  const colour = getComputedStyle(host).getPropertyValue("--st-background-color").trim();
  const parts = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(colour);
  if (!parts) return matchMedia("(prefers-color-scheme: dark)").matches;
  const [red, green, blue] = parts.slice(1).map((part) => parseInt(part, 16));
  return 0.3 * red + 0.6 * green + 0.1 * blue < 128;
};

const asText = (data) =>
  [[data.corner, ...data.columns.map((column) => column.text)], ...data.rows.map((row) => [row.text, ...row.cells.map((cell) => cell.text)])]
    .map((line) => line.join("\t"))
    .join("\n");

export default function ({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(".interp-grid");
  const focused = root.querySelector("td:focus");
  const kept = focused ? [focused.dataset.row, focused.dataset.column] : null;
  const colours = isDark(root) ? "dark" : "light";
  const is = (place, row, column) => place && place[0] === row && place[1] === column;

  const told = element("p", { className: "told", textContent: data.key });
  const tell = (row, column, cell) => {
    told.textContent = [row.full, column.full, ...(cell.told || [])].join(" · ");
  };
  const head = element("tr", {}, element("th", { textContent: data.corner, scope: "col" }));
  for (const column of data.columns) {
    const name = element("th", { scope: "col", title: column.full, className: column.strong ? "strong" : "" });
    name.append(element("span", { textContent: column.text }));
    if (column.other !== null) name.append(element("span", { className: "other", textContent: column.other }));
    head.append(name);
  }

  const cells = []; // [line][place], as drawn
  const body = element("tbody");
  for (const row of data.rows) {
    const line = element("tr", {}, element("th", { textContent: row.text, scope: "row", title: row.full }));
    line.setAttribute("role", "row");
    cells.push(
      row.cells.map((cell, place) => {
        const column = data.columns[place];
        const drawn = element("td", { tabIndex: -1 }, element("span", { textContent: cell.text }));
        drawn.setAttribute("role", "gridcell");
        drawn.setAttribute("aria-label", [row.full, column.full, cell.text, ...(cell.told || [])].join(", "));
        drawn.dataset.row = row.index;
        drawn.dataset.column = column.index;
        if (cell[colours]) [drawn.style.backgroundColor, drawn.style.color] = cell[colours];
        if (data.framed.some((at) => is(at, row.index, column.index))) drawn.classList.add("framed");
        drawn.setAttribute("aria-selected", String(Boolean(is(data.selected, row.index, column.index))));
        drawn.onmouseenter = drawn.onfocus = () => tell(row, column, cell);
        drawn.onclick = () => setTriggerValue("cell", [row.index, column.index]);
        line.append(drawn);
        return drawn;
      }),
    );
    body.append(line);
  }

  const table = element("table", {}, element("thead", {}, head), body);
  table.setAttribute("role", "grid");
  table.setAttribute("aria-label", data.label);
  const all = cells.flat();
  const entry = all.find((cell) => cell.getAttribute("aria-selected") === "true") || all[0];
  if (entry) entry.tabIndex = 0;
  table.onmouseleave = () => (told.textContent = data.key);
  table.onkeydown = (event) => {
    const line = cells.findIndex((row) => row.includes(event.target));
    if (line < 0) return;
    const place = cells[line].indexOf(event.target);
    const last = cells[line].length - 1;
    const goal = {
      ArrowUp: [line - 1, place],
      ArrowDown: [line + 1, place],
      ArrowLeft: [line, place - 1],
      ArrowRight: [line, place + 1],
      Home: [line, 0],
      End: [line, last],
    }[event.key];
    if (event.key === "Enter" || event.key === " ") event.target.click();
    else if (!goal) return;
    else cells[goal[0]]?.[goal[1]]?.focus();
    event.preventDefault();
  };

  const text = element("details", {}, element("summary", { textContent: "As text" }));
  text.ontoggle = () => {
    if (text.open && !text.querySelector("pre")) text.append(element("pre", { textContent: asText(data) }));
  };
  root.replaceChildren(element("div", { className: "scroll" }, table), told, text);
  if (kept) all.find((cell) => cell.dataset.row === kept[0] && cell.dataset.column === kept[1])?.focus();
}
