
// Once for the whole app. STYLE stands before this, and the grid's own script.

// What follows from one act of the user is one step of the browser's history, however many parameters change.
if (!globalThis.interpApp) {
  let acted = false;
  const push = history.pushState.bind(history);
  for (const act of ["pointerdown", "keydown"]) addEventListener(act, (event) => (acted ||= event.isTrusted), true);
  history.pushState = (...step) => {
    if (acted) push(...step);
    else history.replaceState(...step);
    acted = false;
  };
}

// What is typed into a field of several lines is taken when the typing pauses, as in one of one line. (Streamlit
// takes it at Ctrl+Enter.)
if (!globalThis.interpApp) {
  let pause = 0;
  const take = (field) =>
    field.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", code: "Enter", keyCode: 13, ctrlKey: true, bubbles: true }));
  addEventListener("input", ({ target, isComposing }) => {
    clearTimeout(pause);
    if (target.matches?.("[data-testid=stTextArea] textarea") && !isComposing) pause = setTimeout(take, 150, target);
  }, true);
}

// A server that is gone is told in our words, and not as an error of Streamlit's.
if (!globalThis.interpApp) {
  let seconds = 0; // without a connection
  setInterval(() => {
    const state = document.querySelector("[data-testid=stApp]")?.dataset.testConnectionState;
    seconds = !state || state === "CONNECTED" ? 0 : seconds + 1;
    const told = document.getElementById("interp-gone");
    if (!seconds) told?.remove();
    else if (seconds > 1 && !told) {
      const textContent = "The app's server is not running any more. Start interp app again in the terminal: this page then goes on by itself.";
      const note = element("div", { id: "interp-gone", textContent });
      note.setAttribute("role", "alert");
      document.body.append(note);
    }
  }, 1000);
}

// Script and style of grids and charts are sent once, and not with each of them.
const style = new CSSStyleSheet();
style.replaceSync(STYLE);
globalThis.interpApp = { drawGrid, style };
dispatchEvent(new Event("interp-app"));

export default function () {}
