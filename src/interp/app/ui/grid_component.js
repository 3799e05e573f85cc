export default function ({ parentElement, data, setTriggerValue }) {
  const report = (row, column) => setTriggerValue("cell", [row, column]);
  framed(parentElement, (host) => interpFrame.drawGrid(host, data, data.clickable ? report : null));
}
