// All of a dashboard. Everything from the data is set as text, never as HTML.
(function () {
  "use strict";
  var data = JSON.parse(document.getElementById("data").textContent);
  var byNumber = {};
  data.features.forEach(function (f) { byNumber[f.f] = f; });
  var list = document.getElementById("list"), panel = document.getElementById("feature");
  var search = document.getElementById("search"), sort = document.getElementById("sort");
  var current = null;

  function fixed(value, places) { return value.toFixed(places).replace("-", "\u2212"); }
  function signed(value) { return (value > 0 ? "+" : "") + fixed(value, 2); }
  function percent(share) { return (100 * share).toFixed(share < 0.0995 ? 2 : 1) + " %"; }

  var orders = {
    number: function (a, b) { return a.f - b.f; },
    label: function (a, b) { return b.f1 - a.f1; },
    given: function () { return 0; },
    most: function (a, b) { return b.density - a.density; },
    least: function (a, b) { return a.density - b.density; },
    strongest: function (a, b) { return b.max - a.max; }
  };
  function shown() {
    var wanted = search.value.trim().toLowerCase();
    return data.features.filter(function (f) {
      return !wanted || String(f.f) === wanted || f.words.toLowerCase().indexOf(wanted) >= 0;
    }).sort(orders[sort.value]);
  }
  function fill() {
    var features = shown();
    list.replaceChildren.apply(list, features.map(function (f) {
      var own = {"data-f": f.f, "aria-current": String(f.f === current), click: function () { go(f.f); }};
      return el("button", own, [
        el("span", {"class": "n", text: f.f}),
        el("span", {"class": "w" + (f.says ? " l" : ""), text: f.says || f.at || "never active"}),
        el("span", {"class": "d", text: percent(f.density)})
      ]);
    }));
    if (!features.length) list.appendChild(el("div", {"class": "none", text: "No feature matches."}));
    document.getElementById("count").textContent =
      features.length === data.features.length ? features.length + " features"
        : features.length + " of " + data.features.length + " features";
  }
  function context(f, c) {
    var spans = c.t.map(function (token, i) {
      var share = f.max > 0 ? c.v[i] / f.max : 0, classes = [];
      if (c.v[i] > 0) classes.push("a" + Math.max(1, Math.round(20 * share)));
      if (i === c.m) classes.push("m");
      if (token.charAt(0) === "<" && token.length > 6) classes.push("x");
      return el("span", {"class": classes.join(" "), text: token, title: c.k[i] + "  " + fixed(c.v[i], 2)});
    });
    return el("div", {"class": "ctx"}, [
      el("span", {"class": "v", text: fixed(c.v[c.m], 1)}), el("span", {"class": "t"}, spans)
    ]);
  }
  function contexts(f, title, given) {
    if (!given.length) return [];
    return [el("h3", {text: title})].concat(given.map(function (c) { return context(f, c); }));
  }
  function histogram(title, bars, low, high, note) {
    var ns = "http://www.w3.org/2000/svg", n = bars.length;
    var largest = Math.max.apply(null, bars) || 1;
    var svg = document.createElementNS(ns, "svg");
    svg.setAttribute("class", "hist"); svg.setAttribute("viewBox", "0 0 " + n * 10 + " 100");
    svg.setAttribute("preserveAspectRatio", "none"); svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", title);
    bars.forEach(function (count, i) {
      if (!count) return;
      var height = Math.max(1.5, 100 * Math.sqrt(count / largest));
      var rect = document.createElementNS(ns, "rect"), name = document.createElementNS(ns, "title");
      name.textContent = fixed(low + (high - low) * i / n, 2) + " to " +
        fixed(low + (high - low) * (i + 1) / n, 2) + ": " + count;
      [["x", i * 10 + 0.5], ["width", 9], ["y", 100 - height], ["height", height]].forEach(function (pair) {
        rect.setAttribute(pair[0], pair[1]);
      });
      rect.appendChild(name); svg.appendChild(rect);
    });
    return el("section", {}, [el("h3", {text: title}), svg, el("div", {"class": "axis"}, [
      el("span", {text: fixed(low, 2)}), el("span", {text: note}), el("span", {text: fixed(high, 2)})])]);
  }
  function meters(title, rows, note) {
    if (!rows.length) return null;
    var largest = Math.max.apply(null, rows.map(function (r) { return Math.abs(r[1]); })) || 1;
    var body = el("tbody", {}, rows.map(function (row) {
      var bar = el("span", {"class": "meter " + (row[1] >= 0 ? "up" : "down")});
      bar.style.width = 100 * Math.abs(row[1]) / largest + "%";
      return el("tr", {}, [el("td", {text: row[0], title: row[0]}), el("td", {"class": "b"}, [bar]),
        el("td", {"class": "r", text: signed(row[1])})]);
    }));
    return el("section", {}, [el("h3", {text: title}), el("table", {"class": "meters"}, [body]),
      note ? el("p", {"class": "quiet", text: note}) : null]);
  }
  function labels(f) {
    if (!f.labels.length) return null;
    function cells(values, tag) {
      return values.map(function (value, i) {
        return el(tag, {"class": i ? "r" : "", text: typeof value === "number" ? fixed(value, 2) : value});
      });
    }
    return el("section", {}, [el("h3", {text: "Labels"}), el("table", {}, [
      el("thead", {}, [el("tr", {}, cells(["", "P > 0", "R > 0", "from", "P", "R", "F1"], "th"))]),
      el("tbody", {}, f.labels.map(function (row) { return el("tr", {}, cells(row, "td")); }))
    ]), el("p", {"class": "quiet", text: data.labelNote})]);
  }
  function neighbours(f) {
    if (!f.near.length) return null;
    return el("section", {}, [el("h3", {text: "Nearest features"}), el("table", {}, [
      el("tbody", {}, f.near.map(function (pair) {
        var other = byNumber[pair[0]];
        var name = other ? el("button", {"class": "link", text: pair[0], click: function () { go(pair[0]); }})
          : el("span", {text: pair[0]});
        return el("tr", {}, [el("td", {}, [name]), el("td", {text: other ? other.says || other.at : ""}),
          el("td", {"class": "r", text: fixed(pair[1], 2)})]);
      }))]), el("p", {"class": "quiet", text: "By the cosine of decoder directions."})]);
  }
  function show(f) {
    var facts = f.n ? "active at " + percent(f.density) + " of tokens (" + f.n.toLocaleString("en") +
      " of " + data.tokens.toLocaleString("en") + "), up to " + fixed(f.max, 1)
      : "nowhere active in this text";
    var there = {href: f.link, rel: "noreferrer noopener", target: "_blank", text: "Neuronpedia"};
    var head = el("div", {"class": "head"}, [
      el("h2", {text: "Feature " + f.f}),
      f.says ? el("span", {"class": "chip", text: f.says}) : null,
      el("span", {"class": "quiet", text: facts}),
      f.link ? el("a", there) : null
    ]);
    var left = el("div", {}, contexts(f, "Where it is strongest", f.contexts)
      .concat(contexts(f, "Further down its range", f.lower)));
    var right = el("div", {"class": "side"}, [
      f.n ? histogram("Strengths", f.hist, 0, f.max, "heights by square root") : null,
      labels(f),
      f.raised.length && f.n ? el("div", {"class": "two"}, [
        meters("Logits raised", f.raised), meters("Logits lowered", f.lowered)]) : null,
      f.raised.length && f.n ? el("p", {"class": "quiet", text: data.logitNote}) : null,
      f.n ? meters("Written by", f.writers, data.writerNote) : null,
      neighbours(f)
    ].concat(data.leftOut.map(function (why) { return el("p", {"class": "quiet", text: why}); })));
    panel.replaceChildren(head, el("div", {"class": "cols"}, [left, right]));
    panel.scrollTop = 0;
  }
  function mark() {
    list.querySelectorAll("button").forEach(function (button) {
      var own = Number(button.dataset.f) === current;
      button.setAttribute("aria-current", String(own));
      if (own) button.scrollIntoView({block: "nearest"});
    });
  }
  function go(number) {
    if (number !== current) location.hash = String(number);
  }
  function follow() {
    var asked = Number(location.hash.slice(1));
    current = location.hash.length > 1 && byNumber[asked] ? asked : shown()[0].f;
    show(byNumber[current]);
    mark();
  }
  search.addEventListener("input", fill);
  sort.addEventListener("change", fill);
  window.addEventListener("hashchange", follow);
  document.addEventListener("keydown", function (event) {
    if (event.target === search || event.target === sort) return;
    if (event.key === "/") { event.preventDefault(); search.focus(); return; }
    var step = {j: 1, k: -1, ArrowDown: 1, ArrowUp: -1}[event.key];
    if (!step || event.target.closest("#feature")) return;
    var features = shown();
    var at = features.findIndex(function (f) { return f.f === current; }) + step;
    if (features[at]) { event.preventDefault(); go(features[at].f); }
  });
  fill();
  follow();
})();
