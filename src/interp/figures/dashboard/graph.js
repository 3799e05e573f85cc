// An attribution graph: nodes by token and layer, to click, pin and group. All texts are set as text.
(function () {
  "use strict";
  var graph = JSON.parse(document.getElementById("data").textContent);
  var map = document.getElementById("drawing"), about = document.getElementById("about");
  var NS = "http://www.w3.org/2000/svg";
  var nodes = {}, into = {}, from = {}, places = {}, marks = {};
  var pinned = new Set(graph.qParams.pinnedIds), groups = graph.qParams.supernodes.map(function (g) {
    return { name: g[0], members: g.slice(1) };
  });
  var chosen = graph.qParams.clickedId || null, loaded = "";
  graph.nodes.forEach(function (n) { nodes[n.node_id] = n; into[n.node_id] = []; from[n.node_id] = []; });
  graph.links.forEach(function (l) { into[l.target].push(l); from[l.source].push(l); });
  [into, from].forEach(function (all) {
    Object.keys(all).forEach(function (id) {
      all[id].sort(function (a, b) { return Math.abs(b.weight) - Math.abs(a.weight); });
    });
  });

  function svg(tag, attributes, text) {
    var node = document.createElementNS(NS, tag);
    Object.keys(attributes).forEach(function (key) { node.setAttribute(key, attributes[key]); });
    if (text !== undefined) node.textContent = text;
    return node;
  }
  function number(value) {
    if (value === null || value === undefined) return "";
    return value.toPrecision(3).replace("-", "\u2212");
  }
  function short(text, n) { return text.length > n ? text.slice(0, n - 1) + "\u2026" : text; }

  function kind(n) {
    return { "embedding": "token", "logit": "logit", "mlp reconstruction error": "error" }[n.feature_type]
      || "feature";
  }
  function height(n) { return n.layer === "E" ? -1 : Number(n.layer); }
  function token(n) { return graph.metadata.prompt_tokens[n.ctx_idx]; }
  function name(n) {
    var of = kind(n);
    if (of === "token") return "token " + JSON.stringify(token(n));
    if (of === "logit") return n.clerp || n.node_id;
    var what = of === "error" ? "error" : "feature " + n.node_id.split("_")[1];
    return "MLP " + n.layer + ", " + what + " at " + JSON.stringify(token(n));
  }

  // ---- the drawing ----

  function layOut() {
    var layers = Array.from(new Set(graph.nodes.map(height))).sort(function (a, b) { return b - a; });
    var columns = graph.metadata.prompt_tokens.length, cells = {}, per = 5;
    graph.nodes.forEach(function (n) {
      var key = height(n) + " " + n.ctx_idx;
      (cells[key] = cells[key] || []).push(n);
    });
    var wide = [];
    for (var c = 0; c < columns; c++) {
      var most = Math.max.apply(null, layers.map(function (l) { return (cells[l + " " + c] || []).length; }));
      wide.push(20 + 24 * Math.max(2, Math.min(per, most)));
    }
    var left = 46, y = 8, xs = [];
    wide.forEach(function (w, i) { xs[i] = i ? xs[i - 1] + wide[i - 1] : left; });
    var width = left + wide.reduce(function (a, b) { return a + b; }, 0);
    layers.forEach(function (layer) {
      var rows = 1;
      for (var c = 0; c < columns; c++) {
        rows = Math.max(rows, Math.ceil((cells[layer + " " + c] || []).length / per));
      }
      var tall = 14 + 24 * rows;
      map.appendChild(svg("line", { "class": "cell", x1: left, x2: width, y1: y + tall, y2: y + tall }));
      map.appendChild(svg("text", { "class": "quiet", x: 0, y: y + tall / 2 + 4 },
        layer === -1 ? "tokens" : layer === layers[0] && isTop(layer) ? "logits" : "MLP " + layer));
      for (c = 0; c < columns; c++) {
        (cells[layer + " " + c] || []).forEach(function (n, i) {
          places[n.node_id] = [xs[c] + 20 + 24 * (i % per), y + 19 + 24 * Math.floor(i / per)];
        });
      }
      y += tall;
    });
    graph.metadata.prompt_tokens.forEach(function (t, i) {
      map.appendChild(svg("text", { x: xs[i] + 6, y: y + 18 }, short(t, 14)));
    });
    map.setAttribute("width", width + 10);
    map.setAttribute("height", y + 28);
  }
  function isTop(layer) {
    return graph.nodes.some(function (n) { return kind(n) === "logit" && height(n) === layer; });
  }

  function draw(n) {
    var at = places[n.node_id], r = 5 + 4 * Math.min(1, Math.sqrt(n.influence || n.token_prob || 0));
    var x = at[0], y = at[1], mark, of = kind(n);
    if (of === "feature") mark = svg("circle", { cx: x, cy: y, r: r });
    else if (of === "error") {
      mark = svg("path", { d: "M" + x + " " + (y - r) + "L" + (x + r) + " " + y + "L" + x + " " + (y + r)
        + "L" + (x - r) + " " + y + "Z" });
    } else mark = svg("rect", { x: x - r, y: y - r, width: 2 * r, height: 2 * r });
    mark.setAttribute("tabindex", "0");
    mark.setAttribute("role", "button");
    mark.setAttribute("aria-label", name(n) + (n.clerp && of === "feature" ? ", " + n.clerp : ""));
    mark.appendChild(svg("title", {}, name(n) + (n.clerp ? "\n" + n.clerp : "")));
    mark.addEventListener("click", function (event) {
      if (event.shiftKey) pin(n.node_id); else choose(n.node_id);
    });
    mark.addEventListener("keydown", function (event) {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(n.node_id); }
    });
    marks[n.node_id] = mark;
    map.appendChild(mark);
  }

  var edges = svg("g", {});
  function drawEdges() {
    edges.replaceChildren();
    if (!chosen) return;
    var shown = into[chosen].slice(0, 20).concat(from[chosen].slice(0, 20));
    var most = Math.max.apply(null, shown.map(function (l) { return Math.abs(l.weight); }).concat(1e-12));
    shown.forEach(function (l) {
      var a = places[l.source], b = places[l.target], middle = (a[1] + b[1]) / 2;
      edges.appendChild(svg("path", {
        "class": "edge " + (l.weight >= 0 ? "up" : "down"),
        "stroke-width": 0.7 + 4 * Math.abs(l.weight) / most,
        d: "M" + a[0] + " " + a[1] + "C" + a[0] + " " + middle + " " + b[0] + " " + middle + " " + b[0] + " " + b[1]
      }));
    });
  }
  function mark() {
    var grouped = new Set();
    groups.forEach(function (g) { g.members.forEach(function (id) { grouped.add(id); }); });
    graph.nodes.forEach(function (n) {
      var id = n.node_id;
      marks[id].setAttribute("class", "node " + kind(n) + (n.clerp ? " named" : "")
        + (grouped.has(id) ? " grouped" : "") + (pinned.has(id) ? " pinned" : "")
        + (id === chosen ? " chosen" : ""));
    });
  }

  // ---- what is said of a node ----

  function choose(id) { chosen = id; refresh(); about.scrollTop = 0; }
  function pin(id) { if (pinned.has(id)) pinned.delete(id); else pinned.add(id); refresh(); }

  function links(title, all, end) {
    if (!all.length) return null;
    var truth = all.some(function (l) { return l.in_model !== undefined && l.in_model !== null; });
    var rows = all.slice(0, 25).map(function (l) {
      var n = nodes[l[end]];
      return el("tr", {}, [
        el("td", {}, [el("button", { text: name(n), click: function () { choose(l[end]); } }),
          n.clerp && kind(n) === "feature" ? el("span", { text: " " + n.clerp }) : null]),
        el("td", { "class": l.weight >= 0 ? "pos" : "neg", text: number(l.weight) }),
        truth ? el("td", { text: number(l.in_model) }) : null
      ]);
    });
    return el("section", {}, [
      el("h3", { text: title + (all.length > 25 ? ", the 25 strongest of " + all.length : "") }),
      el("table", {}, [el("tr", {}, [el("th", {}), el("th", { text: "direct effect" }),
        truth ? el("th", { text: "in the model" }) : null])].concat(rows))
    ]);
  }
  function facts(n) {
    var rows = [["strength", n.activation], ["influence", n.influence], ["lost without it, by the graph",
      n.attribution], ["in the local model", n.in_local_model], ["in the model", n.in_model]];
    if (kind(n) === "logit") rows = [["probability", n.token_prob]];
    return el("table", {}, rows.filter(function (row) {
      return row[1] !== null && row[1] !== undefined;
    }).map(function (row) { return el("tr", {}, [el("td", { text: row[0] }), el("td", { text: number(row[1]) })]); }));
  }
  function sum(members, key) {
    return members.reduce(function (total, id) { return total + (nodes[id][key] || 0); }, 0);
  }
  function grouping() {
    var field = el("input", { placeholder: "name of the group", "aria-label": "name of the group" });
    var made = groups.map(function (g, i) {
      return el("li", {}, [
        el("b", { text: g.name + ": " }),
        el("span", { text: g.members.map(function (id) { return name(nodes[id]); }).join("; ")
          + ". By the graph " + number(sum(g.members, "attribution")) + ", each alone in the model "
          + number(sum(g.members, "in_model")) + " " }),
        el("button", { "class": "act", text: "Take apart",
          click: function () { groups.splice(i, 1); refresh(); } })
      ]);
    });
    return el("section", {}, [
      el("h3", { text: "Groups" }),
      el("p", { text: pinned.size + " pinned (shift-click, or the button). A group is a supernode in the file." }),
      el("div", {}, [field, el("button", { "class": "act", text: "Group the pinned", click: function () {
        if (!pinned.size || !field.value.trim()) return;
        groups.push({ name: field.value.trim(), members: Array.from(pinned) });
        pinned.clear();
        refresh();
      } })]),
      el("ul", {}, made),
      el("p", {}, [
        el("button", { "class": "act", text: "Save as a graph file", click: save }),
        el("label", { "class": "act" }, [el("span", { text: "Load groups of a file" }), loader()])
      ]),
      el("p", { id: "loaded", role: "status", text: loaded })
    ]);
  }
  function loader() {
    var input = el("input", { type: "file", accept: ".json", "class": "hidden" });
    input.addEventListener("change", function () {
      var file = input.files[0];
      if (!file) return;
      file.text().then(load).catch(function () { say("This file cannot be read."); });
    });
    return input;
  }
  function load(text) {
    var view, added = 0, left = 0;
    try { view = JSON.parse(text).qParams; } catch (error) { view = null; }
    if (!view || !Array.isArray(view.supernodes)) return say("This is no graph file.");
    view.supernodes.forEach(function (g) {
      var members = g.slice(1).filter(function (id) { return nodes[id]; });
      left += g.length - 1 - members.length;
      if (!members.length) return;
      groups = groups.filter(function (own) { return own.name !== String(g[0]); });
      groups.push({ name: String(g[0]), members: members });
      added += 1;
    });
    (view.pinnedIds || []).forEach(function (id) { if (nodes[id]) pinned.add(id); });
    say(added + " groups loaded" + (left ? "; " + left + " nodes of theirs are not in this graph" : "") + ".");
  }
  function say(words) { loaded = words; refresh(); }
  function save() {
    var out = Object.assign({}, graph);
    out.qParams = Object.assign({}, graph.qParams, {
      pinnedIds: Array.from(pinned), clickedId: chosen || "",
      supernodes: groups.map(function (g) { return [g.name].concat(g.members); })
    });
    var link = el("a", { download: graph.metadata.slug + ".json" });
    link.href = URL.createObjectURL(new Blob([JSON.stringify(out, null, 1)], { type: "application/json" }));
    link.click();
  }
  function heads() {
    var all = graph.metadata.heads;
    if (!Array.isArray(all) || !all.length) return null;
    return el("section", {}, [
      el("h3", { text: "Why heads attend there" }),
      el("p", { text: "The heads that move most of the answer to the last token, and the strongest pairs of what "
        + "is in the query and in the key; pairs sum to the score before the softmax." })
    ].concat(all.map(function (h) {
      return el("details", {}, [
        el("summary", { text: "Head " + h.head + ": " + JSON.stringify(graph.metadata.prompt_tokens[h.query])
          + " attends to " + JSON.stringify(graph.metadata.prompt_tokens[h.key]) + " (" + number(h.attention)
          + ")" }),
        el("table", {}, [el("tr", {}, [el("th", { text: "in the query" }), el("th", { text: "in the key" }),
          el("th", { text: "score" })])].concat(h.pairs.map(function (p) {
            return el("tr", {}, [el("td", { text: p[0] }), el("td", { text: p[1] }),
              el("td", { "class": p[2] >= 0 ? "pos" : "neg", text: number(p[2]) })]);
          })))
      ]);
    })));
  }
  function refresh() {
    drawEdges();
    mark();
    var n = chosen && nodes[chosen];
    about.replaceChildren.apply(about, [
      el("h2", { text: n ? name(n) : "Click a node" }),
      n && n.clerp && kind(n) === "feature" ? el("p", { text: "says: " + n.clerp }) : null,
      n ? facts(n) : null,
      n ? el("p", {}, [el("button", { "class": "act", text: pinned.has(chosen) ? "Unpin" : "Pin",
        click: function () { pin(chosen); } })]) : null,
      n ? links("What it reads", into[chosen], "source") : null,
      n ? links("What reads it", from[chosen], "target") : null,
      heads(),
      grouping()
    ].filter(Boolean));
  }

  layOut();
  map.appendChild(edges);
  graph.nodes.forEach(draw);
  if (!chosen || !nodes[chosen]) {
    var logits = graph.nodes.filter(function (n) { return kind(n) === "logit"; });
    chosen = logits.length ? logits[0].node_id : null;
  }
  refresh();
})();
