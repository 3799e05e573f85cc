// A chart as SVG. It is parsed apart from the page, and every text in it was escaped where it was drawn.
export default function ({ parentElement, data }) {
  const chart = new DOMParser().parseFromString(data.svg, "text/html").querySelector("svg");
  drawInHost(parentElement, (host) => host.replaceChildren(document.importNode(chart, true)));
}
