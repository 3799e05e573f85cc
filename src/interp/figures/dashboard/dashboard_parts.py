"""The style and the script of a dashboard of features, written into its page as they stand."""

DASHBOARD_STYLE = """
main{max-width:none;padding:0}
#board{display:grid;grid-template-columns:19rem minmax(0,1fr);height:100vh;height:100dvh}
#side{display:flex;flex-direction:column;min-height:0;border-right:1px solid var(--rule);
background:var(--tint)}
#side header{padding:.8rem .9rem .6rem}
#side h1{font-size:1rem;margin:0}
#side p{margin:.15rem 0 0;font-size:.78rem;color:var(--quiet);line-height:1.35}
#tools{display:flex;gap:.4rem;margin-top:.6rem}
#tools input,#tools select{font:inherit;font-size:.83rem;padding:.3rem .45rem;border:1px solid var(--rule);
border-radius:5px;background:var(--paper);color:var(--ink);min-width:0}
#tools input{flex:1}#tools select{width:6.6rem}
#list{overflow-y:auto;flex:1;border-top:1px solid var(--rule)}
#list button{display:grid;grid-template-columns:3.2rem 1fr auto;gap:.5rem;align-items:baseline;width:100%;
padding:.32rem .9rem;border:0;background:none;color:inherit;font:inherit;font-size:.84rem;text-align:left;
cursor:pointer}
#list button:hover{background:var(--paper)}
#list button[aria-current=true]{background:var(--paper);box-shadow:inset 3px 0 0 var(--accent);
font-weight:600}
#list .n{font-variant-numeric:tabular-nums}
#list .w{white-space:nowrap;overflow:hidden;text-overflow:ellipsis;color:var(--quiet);font-weight:400}
#list .l{color:var(--ink)}
#list .d{font-size:.74rem;color:var(--quiet);font-variant-numeric:tabular-nums;font-weight:400}
#feature{overflow-y:auto;padding:1rem clamp(1rem,2.2vw,2.2rem) 3rem;outline:none}
.head{display:flex;flex-wrap:wrap;gap:.35rem 1rem;align-items:baseline}
.head h2{font-size:1.45rem;margin:0}
.head a{color:inherit;font-size:.84rem}
.chip{background:var(--tint);border:1px solid var(--rule);border-radius:1rem;padding:.05rem .7rem;
font-size:.84rem}
.quiet{color:var(--quiet);font-size:.84rem}
.cols{display:grid;grid-template-columns:minmax(0,1fr) 25rem;gap:1rem 2.4rem;align-items:start}
#feature h3{font-size:.92rem;margin:1.1rem 0 .35rem}
.ctx{display:grid;grid-template-columns:3.1rem minmax(0,1fr);gap:.7rem;
padding:.3rem 0;border-bottom:1px solid var(--rule)}
.ctx .v{text-align:right;font-size:.8rem;color:var(--quiet);
font-variant-numeric:tabular-nums;padding-top:.12rem}
.ctx .t{white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.75}
.ctx span span{border-radius:3px;padding:.12em 0;unicode-bidi:isolate}
.ctx .x{opacity:.45;font-size:.8em}
.ctx .m{opacity:1;outline:2px solid var(--ink);outline-offset:1px;font-weight:600}
.two{display:grid;grid-template-columns:1fr 1fr;gap:1.3rem}
.side table{width:100%;font-size:.83rem;border-collapse:collapse}
.side th,.side td{padding:.16rem .35rem .16rem 0;border-bottom:1px solid var(--rule);overflow-wrap:anywhere}
.side thead th{color:var(--quiet)}
.side td.r,.side th.r{text-align:right;font-variant-numeric:tabular-nums;
padding-right:0;padding-left:.5rem;white-space:nowrap}
.side .link{border:0;background:none;padding:0;font:inherit;color:inherit;
text-decoration:underline;cursor:pointer}
.side .b{width:34%}
.meters{table-layout:fixed}
.meters td:first-child{white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.meters .r{width:3.6rem}
.meter{display:block;height:.55rem;min-width:1px;border-radius:2px}
.up{background:light-dark(#c0392b,#f4845f)}.down{background:light-dark(#2166ac,#62b0e0)}
.hist{display:block;width:100%;height:5.4rem}
.hist rect{fill:light-dark(#2394c1,#35a79c)}
.axis{display:flex;justify-content:space-between;font-size:.76rem;color:var(--quiet);font-variant-numeric:tabular-nums}
.none{padding:.8rem .9rem;color:var(--quiet);font-size:.84rem}
@media (max-width:1150px){.cols{grid-template-columns:minmax(0,1fr)}}
@media (max-width:760px){#board{grid-template-columns:1fr;height:auto}
#list{max-height:38vh}#side{border-right:0}}
@media print{#board{display:block}#side{display:none}}
"""

# Everything from the data is set as text, never as HTML.
DASHBOARD_SCRIPT = """
(function () {
  "use strict";
  var data = JSON.parse(document.getElementById("data").textContent);
  var byNumber = {};
  data.features.forEach(function (f) { byNumber[f.f] = f; });
  var list = document.getElementById("list"), panel = document.getElementById("feature");
  var search = document.getElementById("search"), sort = document.getElementById("sort");
  var current = null;

  function el(tag, attributes, children) {
    var node = document.createElement(tag);
    Object.keys(attributes || {}).forEach(function (key) {
      if (key === "text") node.textContent = attributes[key];
      else if (key === "click") node.addEventListener("click", attributes[key]);
      else node.setAttribute(key, attributes[key]);
    });
    (children || []).forEach(function (child) { if (child) node.appendChild(child); });
    return node;
  }
  function fixed(value, places) { return value.toFixed(places).replace("-", "\\u2212"); }
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
"""
