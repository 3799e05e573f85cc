// What follows from one act of the user is one step of the browser's history, however many parameters change.
let acted = false;
const push = history.pushState.bind(history);
for (const act of ["pointerdown", "keydown"]) addEventListener(act, () => (acted = true), true);
history.pushState = (...step) => {
  if (acted) push(...step);
  else history.replaceState(...step);
  acted = false;
};

export default function () {}
