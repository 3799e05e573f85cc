
// The tour: five short steps, on the first visit and when it is asked for. A card in the corner, which leaves the
// page as it is; what a step is about is outlined.
const TOUR = [
  ["Type a prompt here. Everything on the page follows as you type.", "[data-testid=stTextArea]"],
  ["On Explore each cell is the token that the model would say if it stopped after that layer (rows), behind that token (columns). Click a cell, here or in another grid: the rest of the page follows it.", ".st-key-lens-grid, .st-key-map, .st-key-contrast, .st-key-patch-source, .st-key-features, .st-key-score-induction"],
  ["What a page asks, how its answer is read, and what its words mean stands here.", ".st-key-question"],
  ["Each page asks one question: where an answer forms, which activations carry it, where two prompts part, what is lost without a head, what is said instead.", ".st-key-header [data-testid=stButtonGroup]"],
  ["The address of the page is the view: send it, or save it here with a note. Copy or download gives the same numbers in Python, at the command line and as files.", ".st-key-header [data-testid=stPopover]"],
];
const SEEN = "interp tour seen";

function tour() {
  document.getElementById("interp-tour")?.end();
  let step = 0;
  const [text, count] = [element("p"), element("span")];
  const button = (textContent, onclick) => element("button", { textContent, onclick, type: "button" });
  const [back, next, close] = [button("Back", () => show(step - 1)), button("Next", () => show(step + 1)), button("Close", () => end())];
  const card = element("section", { id: "interp-tour" }, text, element("div", {}, count, back, next, close));
  card.setAttribute("aria-label", "Tour");
  text.setAttribute("aria-live", "polite");
  // The page may be drawn again meanwhile, or be drawn later than this: the outline is put where it belongs until the end.
  const outline = () => {
    const found = document.querySelector(TOUR[step][1]);
    for (const other of document.querySelectorAll(".interp-toured")) if (other !== found) other.classList.remove("interp-toured");
    if (!found || found.classList.contains("interp-toured")) return;
    found.classList.add("interp-toured");
    if (seen !== step) found.scrollIntoView({ block: "nearest" });
    seen = step;
  };
  const drawing = setInterval(outline, 200);
  let seen = -1; // the step whose part of the page was brought into view
  const show = (to) => {
    if (to >= TOUR.length) return end();
    step = Math.max(to, 0);
    text.textContent = TOUR[step][0];
    count.textContent = `${step + 1} of ${TOUR.length}`;
    back.disabled = !step;
    next.textContent = step + 1 < TOUR.length ? "Next" : "Done";
    outline();
  };
  const end = () => {
    clearInterval(drawing);
    document.querySelector(".interp-toured")?.classList.remove("interp-toured");
    card.remove();
    try {
      localStorage.setItem(SEEN, "1");
    } catch {} // where nothing may be kept, it comes again
  };
  card.end = end;
  card.onkeydown = (event) => event.key === "Escape" && end();
  document.body.append(card);
  show(0);
  return next;
}

if (!globalThis.interpApp) {
  let seen = true;
  try {
    seen = Boolean(localStorage.getItem(SEEN));
  } catch {}
  if (!seen) tour();
  addEventListener("click", ({ target }) => target.closest?.(".st-key-tour button") && tour().focus(), true);
}
