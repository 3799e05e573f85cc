
export default function ({ parentElement, data, setTriggerValue }) {
  const report = (row, column) => setTriggerValue("cell", [row, column]);
  drawGrid(parentElement.querySelector(".interp-grid"), data, data.clickable ? report : null);
}
