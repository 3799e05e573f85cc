// Run on a page of the app. It defines `measured(event)`, which resolves to milliseconds from the next such event
// to the last change of the lens and of the cell's detail (its place and its top tokens), to the last change of any
// text but what the model goes on to say, which comes last, and to the last change of any text.
// Texts are read in frames before which something changed: to read them in each frame takes a core of the machine.
() => {
  const roots = (root) =>
    [root, ...[...root.querySelectorAll('*')].flatMap((e) => (e.shadowRoot ? roots(e.shadowRoot) : []))];
  const text = (root) => [...root.children].map((e) => e.textContent).join('');
  const joined = (found) => found.map(text).join('|');
  const within = (...places) => places.flatMap((place) => [...document.querySelectorAll(place)]).flatMap(roots);
  const look = () => {
    const all = within('[data-testid=stMain]'), said = (root) => (root.host ?? root).closest('.st-key-said');
    return [
      joined(within('.st-key-lens-grid', '.st-key-title-cell', '.st-key-top')),
      joined(all.filter((root) => !said(root))),
      joined(all),
    ];
  };
  const running = () => document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'running';
  let changed = false;
  const observer = new MutationObserver(() => { changed = true; });
  const watched = new WeakSet();
  const watch = () => {
    for (const root of roots(document.body)) {
      if (!watched.has(root)) observer.observe(root, { childList: true, characterData: true, subtree: true });
      watched.add(root);
    }
  };
  window.measured = (kind) => new Promise((done) => {
    watch();
    let before = look();
    addEventListener(kind, (event) => {
      const began = event.timeStamp;
      const last = [began, began, began];
      let ran = false; // was seen to run: what is quick ends between two frames
      const frame = () => {
        const now = performance.now();
        if (changed) {
          changed = false;
          const shown = look();
          shown.forEach((one, i) => { if (one !== before[i]) last[i] = now; });
          before = shown;
          watch();
        }
        ran = ran || running();
        if ((ran || last[2] > began) && !running() && now - last[2] > 1000) done(last.map((one) => one - began));
        else if (now - began > 60000) done(null); // nothing happened
        else requestAnimationFrame(frame);
      };
      requestAnimationFrame(frame);
    }, { once: true, capture: true });
  });
}
