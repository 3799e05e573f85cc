// A grid of coloured cells, the same in the app and in reports: drawGrid(host, data, onCell).
//
// Hover and focus show a cell's values; arrows, Home and End move; click, Enter or Space report it as
// onCell(row, column). Up to MOST cells are a table, more are one canvas with the same behaviour. Every text
// is set as text, so that no token is ever read as HTML. A colour is a class, whose rules the page has.
//
// data: {label, caption?, corner, columns: [{index, text, full, other?, strong?}], names: [of the details],
//        rows: [{index, text, full, cells: [{text, shade?, details?, bar?}]}],
//        framed: [[row, column]], selected: [row, column] | null, key?, legend?: [[shade, number]],
//        reached?: [[row, column]] that are hatched, drags?: a name under which its cells can be dragged, takes?: the
//        name of what can be dropped on them, reported as onCell(row, column, its row, its column),
//        pinned?: whether the first column stays where the others are scrolled (in a table),
//        look?: "strip" (one row that wraps, without headings) | "list" (rows of text)}

const MOST = 1500;
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Home: [0, -1e6], End: [0, 1e6] };

const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};

// Text in which the marks of spaces, line ends and cuts are faint.
const marked = (text) =>
  text.split(/([␣↵⇥…])/).filter(Boolean).map((part) => (/^[␣↵⇥…]$/.test(part) ? element("u", { textContent: part }) : part));

const within = (value, end) => Math.min(Math.max(value, 0), end - 1);
const same = (place, row, column) => Boolean(place) && place[0] === row && place[1] === column;

function drawGrid(host, data, onCell) {
  const kind = data.rows.length * data.columns.length > MOST ? "canvas" : "table";
  const size = [kind, data.rows.length, data.columns.length, data.columns.some((c) => c.other), data.look].join();
  if (host.grid?.size !== size) host.grid = makeGrid(host, data, size, kind === "canvas" ? paintCanvas : paintTable);
  host.grid.show(data, onCell);
}

function makeGrid(host, data, size, paint) {
  const grid = { host, data, size, at: null };
  const tooltip = element("div", { className: "tooltip", popover: "manual" });
  tooltip.setAttribute("role", "tooltip");
  const [caption, key, live] = [element("p", { className: "caption" }), element("p", { className: "scale" }), element("div", { className: "live" })];
  live.setAttribute("aria-live", "polite");
  const text = element("details", {}, element("summary", { textContent: "As text" }));

  grid.lines = (line, place) => {
    const { data } = grid;
    const { details, text } = data.rows[line].cells[place];
    const values = details?.length ? details : [text];
    return [data.rows[line].full, data.columns[place].full, ...values.map((value, i) => (details?.length && data.names[i] ? `${data.names[i]}: ${value}` : value))];
  };
  grid.isReached = (line, place) => grid.reached.has(`${grid.data.rows[line].index}.${grid.data.columns[place].index}`);
  grid.isFramed = (line, place) => grid.data.framed.some((at) => same(at, grid.data.rows[line].index, grid.data.columns[place].index));
  grid.isSelected = (line, place) => same(grid.data.selected, grid.data.rows[line].index, grid.data.columns[place].index);
  grid.shown = () => {
    const { data } = grid;
    const [row, column] = data.selected || data.framed[0] || [];
    const at = [data.rows.findIndex((is) => is.index === row), data.columns.findIndex((is) => is.index === column)];
    return at.includes(-1) ? null : at;
  };
  grid.showTooltip = (lines, box) => {
    tooltip.textContent = lines.join("\n");
    if (!tooltip.matches(":popover-open")) tooltip.showPopover();
    const own = tooltip.getBoundingClientRect();
    const below = box.bottom + 6 + own.height <= innerHeight;
    tooltip.style.top = `${below ? box.bottom + 6 : Math.max(4, box.top - own.height - 6)}px`;
    tooltip.style.left = `${Math.max(4, Math.min(box.left, innerWidth - own.width - 4))}px`;
  };
  grid.hideTooltip = () => tooltip.matches(":popover-open") && tooltip.hidePopover();
  grid.choose = (line, place, ...dropped) => {
    if (!grid.onCell) return;
    const chosen = [grid.data.rows[line].index, grid.data.columns[place].index];
    if (grid.data.selected) {
      grid.data = { ...grid.data, selected: chosen }; // at once; what follows from it comes later
      painter.fill();
    }
    grid.onCell(...chosen, ...dropped);
  };
  grid.onKey = (event) => {
    if (event.key === "Escape") return grid.hideTooltip();
    if (!grid.at || event.altKey || event.ctrlKey || event.metaKey) return;
    const step = STEPS[event.key];
    if (event.key === "Enter" || event.key === " ") grid.choose(...grid.at);
    else if (step) painter.focus(within(grid.at[0] + step[0], grid.data.rows.length), within(grid.at[1] + step[1], grid.data.columns.length));
    else return;
    event.preventDefault();
  };
  grid.spoken = (line, place) => {
    const { details, text } = grid.data.rows[line].cells[place];
    return [...grid.lines(line, place), ...(details?.length ? [text] : [])].join(", ");
  };
  grid.announce = (line, place) => (live.textContent = grid.spoken(line, place));
  grid.show = (data, onCell) => {
    Object.assign(grid, { data, onCell, reached: new Set((data.reached || []).map((at) => at.join("."))) });
    host.className = ["host interp-grid", data.look, onCell && "clickable", data.pinned && "pinned"].filter(Boolean).join(" ");
    caption.textContent = data.caption || "";
    const swatches = (data.legend || []).map(([shade, number]) => element("span", { className: shade, textContent: number }));
    key.hidden = !data.key && !data.legend;
    key.replaceChildren(element("span", { className: "swatches" }, ...swatches), data.key || "");
    if (text.open) asText();
    painter.fill();
    const at = grid.shown();
    if (at && String(at) !== grid.seen) painter.reveal(...at);
    grid.seen = String(at);
  };
  const asText = () => {
    const { data } = grid;
    const lines = data.rows.map((row) => [row.text, ...row.cells.map((cell) => cell.text)]);
    const head = [data.corner, ...data.columns.map((column) => column.text + (column.other ? `/${column.other}` : ""))];
    text.replaceChildren(text.firstChild, element("pre", { textContent: [head, ...lines].map((line) => line.join("\t")).join("\n") }));
  };
  text.ontoggle = () => text.open && asText();

  const painter = paint(grid);
  host.replaceChildren(caption, painter.element, key, ...(data.look ? [] : [text]), live, tooltip);
  return grid;
}

// A table of cells, of which Tab reaches one; what did not change is left alone.
function paintTable(grid) {
  let [cells, heads, names, corner] = [[], [], [], null];
  const table = element("table");
  const scroll = element("div", { className: "scroll" }, table);
  table.setAttribute("role", "grid");
  const placeOf = (target) => {
    const cell = target.closest("td");
    return cell && [Number(cell.dataset.line), Number(cell.dataset.place)];
  };
  const build = (data) => {
    corner = element("th", { scope: "col" });
    heads = data.columns.map(() => element("th", { scope: "col" }));
    names = data.rows.map(() => element("th", { scope: "row" }));
    cells = data.rows.map((_, line) =>
      data.columns.map((_, place) => {
        const cell = element("td", { tabIndex: -1 }, element("span"));
        cell.setAttribute("role", "gridcell");
        Object.assign(cell.dataset, { line, place });
        return cell;
      }),
    );
    const row = (...children) => {
      const made = element("tr", {}, ...children);
      made.setAttribute("role", "row");
      return made;
    };
    table.append(element("thead", {}, row(corner, ...heads)), element("tbody", {}, ...cells.map((line, i) => row(names[i], ...line))));
  };
  const put = (target, content, ...nodes) => {
    if (target.shown === content) return;
    target.shown = content;
    target.replaceChildren(...nodes);
  };
  const enter = ([line, place]) => {
    for (const cell of table.querySelectorAll('td[tabindex="0"]')) cell.tabIndex = -1;
    cells[line][place].tabIndex = 0;
  };
  const fill = () => {
    const { data } = grid;
    if (!cells.length) build(data);
    table.setAttribute("aria-label", data.label);
    put(corner, data.corner, data.corner);
    data.columns.forEach((column, place) => {
      const other = column.other ? [element("span", { className: "other" }, ...marked(column.other))] : [];
      put(heads[place], JSON.stringify(column), element("span", {}, ...marked(column.text)), ...other);
      heads[place].className = column.strong ? "strong" : "";
    });
    data.rows.forEach((row, line) => {
      put(names[line], row.text, ...marked(row.text));
      row.cells.forEach((cell, place) => {
        const drawn = cells[line][place];
        const look = [cell.shade, grid.isFramed(line, place) && "framed", grid.isReached(line, place) && "reached"].filter(Boolean).join(" ");
        if (drawn.className !== look) drawn.className = look;
        drawn.draggable = Boolean(data.drags);
        put(drawn.firstChild, cell.text, ...marked(cell.text));
        bar(drawn, cell.bar);
        drawn.setAttribute("aria-selected", grid.isSelected(line, place));
        drawn.setAttribute("aria-label", grid.spoken(line, place));
        Object.assign(drawn.dataset, { row: row.index, column: data.columns[place].index });
      });
    });
    const focused = placeOf(table.getRootNode().activeElement || table);
    if (!focused && cells[0]?.length) enter(grid.shown() || [0, 0]);
  };
  const bar = (cell, share) => {
    if (share === undefined) return;
    const inner = element("i");
    inner.style.width = `${100 * share}%`;
    cell.querySelector(".bar")?.remove();
    cell.append(element("span", { className: "bar" }, inner));
  };
  const focus = (line, place) => cells[line][place].focus();
  const reveal = (line, place) => {
    const [box, seen] = [cells[line][place].getBoundingClientRect(), scroll.getBoundingClientRect()];
    const names = corner.offsetWidth + (grid.data.pinned ? cells[line][0].offsetWidth : 0);
    if (box.right > seen.right || box.left < seen.left + names) scroll.scrollLeft += (box.left + box.right - seen.left - names - seen.right) / 2;
    if (box.bottom > seen.bottom || box.top < seen.top) scroll.scrollTop += (box.top + box.bottom - seen.top - seen.bottom) / 2;
  };
  // Edges behind which there is more are faint.
  const more = () => {
    if (grid.data.pinned) table.style.setProperty("--names", `${corner.offsetWidth}px`);
    scroll.classList.toggle("more-right", scroll.scrollLeft + scroll.clientWidth < scroll.scrollWidth - 2);
    scroll.classList.toggle("more-below", scroll.scrollTop + scroll.clientHeight < scroll.scrollHeight - 2);
  };
  new ResizeObserver(more).observe(scroll);
  new ResizeObserver(more).observe(table);
  const showTooltipOf = (target) => {
    const at = placeOf(target);
    const head = heads.indexOf(target.closest("th"));
    if (at) grid.showTooltip(grid.lines(...at), target.closest("td").getBoundingClientRect());
    else if (head >= 0) grid.showTooltip([grid.data.columns[head].full], heads[head].getBoundingClientRect());
    else grid.hideTooltip();
  };
  table.onmouseover = (event) => showTooltipOf(event.target);
  table.onmouseleave = grid.hideTooltip;
  table.addEventListener("focusin", (event) => {
    grid.at = placeOf(event.target);
    if (grid.at) enter(grid.at);
    showTooltipOf(event.target);
  });
  table.addEventListener("focusout", grid.hideTooltip);
  table.onclick = (event) => {
    const at = placeOf(event.target);
    if (at) grid.choose(...at);
  };
  table.onkeydown = grid.onKey;
  const kind = (name) => `application/x-interp-${name}`;
  const hover = (cell) => {
    for (const other of table.querySelectorAll(".over")) if (other !== cell) other.classList.remove("over");
    cell?.classList.add("over");
  };
  table.ondragstart = (event) => {
    const at = placeOf(event.target);
    if (!at || !grid.data.drags) return;
    grid.hideTooltip();
    event.dataTransfer.setData(kind(grid.data.drags), JSON.stringify([grid.data.rows[at[0]].index, grid.data.columns[at[1]].index]));
  };
  table.ondragover = (event) => {
    if (!grid.data.takes || !event.dataTransfer.types.includes(kind(grid.data.takes)) || !placeOf(event.target)) return;
    event.preventDefault();
    hover(event.target.closest("td"));
  };
  table.ondragleave = () => hover(null);
  table.ondrop = (event) => {
    const [at, what] = [placeOf(event.target), event.dataTransfer.getData(kind(grid.data.takes))];
    hover(null);
    if (!at || !what) return;
    event.preventDefault();
    grid.choose(...at, ...JSON.parse(what));
  };
  scroll.onscroll = () => {
    grid.hideTooltip();
    more();
  };
  return { element: scroll, fill, focus, reveal };
}

// One canvas of the size that is seen, drawn anew as it scrolls; its headings stay in sight.
function paintCanvas(grid) {
  const [wide, high] = [52, 22];
  const canvas = element("canvas", { tabIndex: 0 });
  const room = element("div", { className: "room" }, canvas);
  const scroll = element("div", { className: "scroll tall" }, room);
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-roledescription", "grid");
  const pen = canvas.getContext("2d");
  let [left, top, colours, hovered, waiting] = [90, 26, new Map(), null, false];

  const computed = (properties) => {
    const probe = element("i", { hidden: true });
    scroll.append(probe);
    Object.assign(probe.style, properties.style);
    probe.className = properties.shade || "";
    const { backgroundColor, color } = getComputedStyle(probe);
    probe.remove();
    return [backgroundColor, color];
  };
  const coloursOf = (shade) => {
    if (!colours.has(shade)) colours.set(shade, computed({ shade }));
    return colours.get(shade);
  };
  const shorten = (text, width) => {
    let shown = text;
    for (let most = text.length - 1; most > 0 && pen.measureText(shown).width > width; most--) shown = `${text.slice(0, most)}…`;
    return shown;
  };
  const write = (text, x, y, width, colour, align = "center") => {
    pen.fillStyle = colour;
    pen.textAlign = align;
    pen.fillText(shorten(text, width), x, y);
  };
  const outline = ([line, place], colour, width) => {
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    const [x, y] = corner(line, place);
    pen.strokeRect(x + width / 2, y + width / 2, wide - 1 - width, high - 1 - width);
  };
  const corner = (line, place) => [left + place * wide - scroll.scrollLeft, top + line * high - scroll.scrollTop];
  const draw = () => {
    waiting = false;
    const { data } = grid;
    const style = getComputedStyle(grid.host);
    const [ink, quiet, paper, accent] = ["ink", "quiet", "paper", "accent"].map((name) => computed({ style: { color: `var(--${name})` } })[1]);
    const [seenWide, seenHigh, dots] = [scroll.clientWidth, scroll.clientHeight, devicePixelRatio || 1];
    canvas.width = seenWide * dots;
    canvas.height = seenHigh * dots;
    canvas.style.width = `${seenWide}px`;
    canvas.style.height = `${seenHigh}px`;
    pen.setTransform(dots, 0, 0, dots, 0, 0);
    pen.font = `12px ${style.fontFamily}`;
    pen.textBaseline = "middle";
    const lines = [Math.floor(scroll.scrollTop / high), Math.min(data.rows.length, Math.ceil((scroll.scrollTop + seenHigh - top) / high))];
    const places = [Math.floor(scroll.scrollLeft / wide), Math.min(data.columns.length, Math.ceil((scroll.scrollLeft + seenWide - left) / wide))];
    for (let line = lines[0]; line < lines[1]; line++)
      for (let place = places[0]; place < places[1]; place++) {
        const cell = data.rows[line].cells[place];
        if (!cell.shade) continue;
        const [x, y] = corner(line, place);
        const [back, front] = coloursOf(cell.shade);
        pen.fillStyle = back;
        pen.fillRect(x, y, wide - 1, high - 1);
        if (grid.isReached(line, place)) {
          pen.fillStyle = accent;
          pen.fillRect(x, y + high - 4, wide - 1, 3);
        }
        write(cell.text, x + wide / 2, y + high / 2, wide - 4, front);
        if (grid.isFramed(line, place)) {
          outline([line, place], paper, 3);
          outline([line, place], ink, 2);
        }
        if (grid.isSelected(line, place)) outline([line, place], accent, 3);
      }
    if (hovered) outline(hovered, ink, 1);
    if (grid.at && canvas.matches(":focus")) outline(grid.at, ink, 2);
    pen.fillStyle = paper;
    pen.fillRect(0, 0, seenWide, top);
    for (let place = places[0]; place < places[1]; place++) {
      const { text, other } = data.columns[place];
      const x = corner(0, place)[0] + wide / 2;
      write(text, x, 12, wide - 2, quiet);
      if (other) write(other, x, 26, wide - 2, accent);
    }
    pen.fillStyle = paper;
    pen.fillRect(0, 0, left, seenHigh);
    for (let line = lines[0]; line < lines[1]; line++) {
      const y = corner(line, 0)[1];
      if (y >= top - high / 2) write(data.rows[line].text, left - 8, y + high / 2, left - 12, quiet, "right");
    }
    pen.fillStyle = paper;
    pen.fillRect(0, 0, left, top);
    write(data.corner, left - 8, 12, left - 12, quiet, "right");
  };
  const later = () => {
    if (!waiting) requestAnimationFrame(draw);
    waiting = true;
  };
  const fill = () => {
    const { data } = grid;
    left = Math.min(150, 24 + 6.5 * Math.max(data.corner.length, ...data.rows.map((row) => row.text.length)));
    top = data.columns.some((column) => column.other) ? 38 : 26;
    room.style.width = `${left + data.columns.length * wide}px`;
    room.style.height = `${top + data.rows.length * high}px`;
    canvas.setAttribute("aria-label", `${data.label}: ${data.rows.length} rows, ${data.columns.length} columns. The arrow keys move.`);
    if (grid.at) grid.at = [within(grid.at[0], data.rows.length), within(grid.at[1], data.columns.length)];
    later();
  };
  const placeAt = (event) => {
    const box = canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    if (x < left || y < top) return null;
    const [line, place] = [Math.floor((y - top + scroll.scrollTop) / high), Math.floor((x - left + scroll.scrollLeft) / wide)];
    return grid.data.rows[line]?.cells[place] ? [line, place] : null;
  };
  const showTooltipAt = ([line, place]) => {
    const box = canvas.getBoundingClientRect();
    const [x, y] = corner(line, place);
    grid.showTooltip(grid.lines(line, place), { left: box.left + x, top: box.top + y, bottom: box.top + y + high });
  };
  const reveal = (line, place) => {
    const [x, y] = corner(line, place);
    if (x < left) scroll.scrollLeft += x - left;
    if (y < top) scroll.scrollTop += y - top;
    if (x + wide > scroll.clientWidth) scroll.scrollLeft += x + wide - scroll.clientWidth;
    if (y + high > scroll.clientHeight) scroll.scrollTop += y + high - scroll.clientHeight;
  };
  const focus = (line, place) => {
    grid.at = [line, place];
    reveal(line, place);
    showTooltipAt(grid.at);
    grid.announce(line, place);
    later();
  };
  canvas.onmousemove = (event) => {
    const at = placeAt(event);
    if (at && !same(hovered, ...at)) showTooltipAt(at);
    if (!at) grid.hideTooltip();
    hovered = at;
    later();
  };
  canvas.onmouseleave = () => {
    hovered = null;
    grid.hideTooltip();
    later();
  };
  canvas.onfocus = () => {
    if (grid.at) later();
    else focus(...(grid.shown() || [0, 0]));
  };
  canvas.onblur = () => {
    grid.hideTooltip();
    later();
  };
  canvas.onclick = (event) => {
    const at = placeAt(event);
    if (!at) return;
    focus(...at);
    grid.choose(...at);
  };
  canvas.onkeydown = grid.onKey;
  scroll.onscroll = () => {
    if (!canvas.matches(":focus")) grid.hideTooltip();
    later();
  };
  new ResizeObserver(later).observe(scroll);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    colours = new Map();
    later();
  });
  return { element: scroll, fill, focus, reveal };
}
