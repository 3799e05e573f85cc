// Run on a page of the app. It defines `measured(event)`, which resolves to milliseconds from the next such event
// to the last change of the cell's detail (its place and its top tokens), and to the last change of any text.
() => {
  const roots = (root) =>
    [root, ...[...root.querySelectorAll('*')].flatMap((e) => (e.shadowRoot ? roots(e.shadowRoot) : []))];
  const text = (root) => [...root.children].map((e) => e.innerText ?? e.textContent).join('');
  const texts = (...places) =>
    places.flatMap((place) => [...document.querySelectorAll(place)]).flatMap(roots).map(text).join('|');
  const look = () => [texts('.st-key-title-cell', '.st-key-top'), texts('[data-testid=stMain]')];
  const running = () => document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'running';
  window.measured = (kind) => new Promise((done) => {
    let before = look();
    addEventListener(kind, (event) => {
      const began = event.timeStamp;
      const last = [began, began];
      let ran = false; // was seen to run: what is quick ends between two frames
      const frame = () => {
        const now = performance.now(), shown = look();
        shown.forEach((one, i) => { if (one !== before[i]) last[i] = now; });
        before = shown;
        ran = ran || running();
        if ((ran || last[1] > began) && !running() && now - last[1] > 1000) done(last.map((one) => one - began));
        else if (now - began > 60000) done(null); // nothing happened
        else requestAnimationFrame(frame);
      };
      requestAnimationFrame(frame);
    }, { once: true, capture: true });
  });
}
