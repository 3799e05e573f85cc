// The search of a page that is read from its folder, where a browser starts no worker: the script of the worker
// runs in a hidden frame instead. (The theme's offline plugin would fetch such a script from elsewhere, unless it
// is given one whose name holds "iframe-worker".)
if (location.protocol === "file:") {
  globalThis.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.documentElement.append(frame);
      const inside = frame.contentWindow;
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      inside.importScripts = (...urls) => Promise.all(urls.map((one) => run(inside, one)));
      this.inside = inside;
      this.ready = run(inside, url);
    }
    postMessage(data) {
      this.ready.then(() => this.inside.dispatchEvent(new MessageEvent("message", { data })));
    }
  };
}

function run(inside, url) {
  return new Promise((resolve, reject) => {
    const script = Object.assign(inside.document.createElement("script"), { src: url, onload: resolve, onerror: reject });
    inside.document.documentElement.append(script);
  });
}
