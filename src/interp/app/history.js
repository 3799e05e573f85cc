// One step of the browser's history for what a person does, however many parameters of the URL follow from it
// (Streamlit pushes a step for each).
export default function () {
  if (history.inSteps) return;
  history.inSteps = true;
  let acted = false;
  for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, () => (acted = true), { capture: true });
  const push = history.pushState.bind(history);
  history.pushState = (...step) => {
    if (acted) push(...step);
    else history.replaceState(...step);
    acted = false;
  };
}
