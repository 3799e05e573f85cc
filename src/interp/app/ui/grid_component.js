export default function ({ parentElement, data, setTriggerValue }) {
  const report = (...places) => setTriggerValue("cell", places);
  drawInHost(parentElement, (host) => interpApp.drawGrid(host, data, data.clickable ? report : null));
}
