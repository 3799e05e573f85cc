export default function ({ parentElement, data, setTriggerValue }) {
  const report = (row, column) => setTriggerValue("cell", [row, column]);
  drawInHost(parentElement, (host) => interpApp.drawGrid(host, data, data.clickable ? report : null));
}
