// Draw in a component's host element, with the app's style, as soon as the app's script is there.
const drawInHost = (parent, draw) => {
  const begin = () => {
    const root = parent.getRootNode();
    if (!root.adoptedStyleSheets.includes(interpApp.style)) root.adoptedStyleSheets.push(interpApp.style);
    draw(parent.querySelector(".host"));
  };
  if (globalThis.interpApp) begin();
  else addEventListener("interp-app", begin, { once: true });
};

