
// A notebook's widget: its grids, one below the other, each drawn by drawGrid (figures/engine/grid.js, which
// stands above). A click becomes the grid's entry in `places`, which Python reads and may set.
function render({ model, el }) {
  el.classList.add("interp-view");
  const choose = (number, row, column) => {
    const places = [...model.get("places")];
    places[number] = [row, column];
    model.set("places", places);
    model.save_changes();
  };
  const draw = () => {
    const parts = model.get("parts");
    while (el.children.length > parts.length) el.lastChild.remove();
    while (el.children.length < parts.length) el.append(element("div"));
    parts.forEach((part, number) =>
      drawGrid(el.children[number], { ...part, selected: model.get("places")[number] ?? null }, (row, column) => choose(number, row, column)),
    );
  };
  model.on("change:parts", draw);
  model.on("change:places", draw);
  draw();
}
export default { render };
