
// A whole document in a frame of an origin of its own: its script runs, and reaches nothing of the app.
export default function ({ parentElement, data }) {
  const frame = document.createElement("iframe");
  frame.setAttribute("sandbox", "allow-scripts");
  frame.title = data.title;
  frame.style.cssText = `border: 0; width: 100%; height: ${data.height}px`;
  frame.srcdoc = data.document;
  parentElement.querySelector(".host").replaceChildren(frame);
}
