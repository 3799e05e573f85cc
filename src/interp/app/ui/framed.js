// Draw in a host in the frame's style, now or when the frame is there.
const framed = (parent, draw) => {
  const begin = () => {
    const root = parent.getRootNode();
    if (!root.adoptedStyleSheets.includes(interpFrame.style)) root.adoptedStyleSheets.push(interpFrame.style);
    draw(parent.querySelector(".host"));
  };
  if (globalThis.interpFrame) begin();
  else addEventListener("interp-frame", begin, { once: true });
};

