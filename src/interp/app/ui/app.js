
// Once for the whole app. STYLE stands before this, and the grid's own script.

// What follows from one act of the user is one step of the browser's history, however many parameters change.
if (!globalThis.interpApp) {
  let acted = false;
  const push = history.pushState.bind(history);
  for (const act of ["pointerdown", "keydown"]) addEventListener(act, () => (acted = true), true);
  history.pushState = (...step) => {
    if (acted) push(...step);
    else history.replaceState(...step);
    acted = false;
  };
}

// Script and style of grids and charts are sent once, and not with each of them.
const style = new CSSStyleSheet();
style.replaceSync(STYLE);
globalThis.interpApp = { drawGrid, style };
dispatchEvent(new Event("interp-app"));

export default function () {}
