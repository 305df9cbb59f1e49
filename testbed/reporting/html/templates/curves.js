"use strict";
// The chart of curves: which table, metric, axis and setting; codecs by checkboxes; values at the
// cursor as a table below, by pointer or arrow keys. Reads what curve_data.py writes.
(() => {
  const ANY = -1, HEIGHT = 400, FAILED_HEIGHT = 84;
  const data = JSON.parse(document.getElementById("data").textContent).curves;
  const root = document.getElementById("chart");
  const element = (name, properties = {}, parent = root, ...children) => {
    const node = Object.assign(document.createElement(name), properties);
    node.append(...children);
    parent.append(node);
    return node;
  };
  if (!data.length) {
    element("p", { className: "quiet", textContent: "The run has no points." });
    return;
  }
  const off = new Set();
  const state = { source: data[0], metric: "", axis: "", chosen: {}, bands: true, at: null };

  const choices = element("div", { className: "choices" });
  const fixed = element("p", { className: "fixed" });
  const legend = element("fieldset", { className: "legend" });
  const frame = element("div", { className: "frame", tabIndex: 0 });
  frame.setAttribute("role", "group");
  frame.setAttribute("aria-label", "Curves. Left and right arrow keys move along the axis; the values are in the table below.");
  const readout = element("div", { className: "readout" });
  readout.setAttribute("aria-live", "polite");

  const axis = () => state.source.axes.find((each) => each.id === state.axis);
  const metric = () => state.source.metrics.find((each) => each.id === state.metric);
  const facets = () => state.source.facets.filter((each) => each.axis !== state.axis);

  // All combinations of facets that a curve runs over, with how many places it has along the axis.
  function panels() {
    const found = new Map(), shown = facets(), own = axis();
    for (const strict of [true, false]) {
      own.x.forEach((x, row) => {
        const values = shown.map((each) => each.of[row]);
        if (x === null || (strict && values.includes(ANY))) return;
        const key = values.join();
        if (!found.has(key)) found.set(key, { values, places: new Set(), series: new Set() });
        found.get(key).places.add(x);
        found.get(key).series.add(state.source.of[row]);
      });
      if (found.size) break;
    }
    const all = [...found.values()], most = Math.max(...all.map((each) => each.places.size));
    return all.filter((each) => most < 2 || each.places.size > 1);
  }

  // The panel that agrees with most of what is chosen; then that of most places and curves.
  function settle(kept) {
    const shown = facets();
    const all = panels();
    if (!all.length) { state.chosen = {}; return all; }
    const rank = (each) => shown.reduce((sum, facet, i) => {
      const same = each.values[i] === state.chosen[facet.id];
      return sum + (same ? (facet.id === kept ? 1e6 : 1e3) : 0);
    }, Math.min(each.places.size, 30) + Math.min(each.series.size, 30) / 40);
    const best = all.reduce((a, b) => (rank(b) > rank(a) ? b : a));
    state.chosen = Object.fromEntries(shown.map((facet, i) => [facet.id, best.values[i]]));
    return all;
  }

  function select(label, options, value, change) {
    const node = element("select", {}, element("label", { textContent: label }, choices));
    for (const [id, text] of options) element("option", { value: id, textContent: text, selected: String(id) === String(value) }, node);
    node.setAttribute("aria-label", label);
    node.addEventListener("change", () => {
      change(node.value);
      build(label);
    });
  }

  // The controls, anew: what can be chosen depends on what is.
  function build(focus) {
    const source = state.source;
    if (!source.metrics.some((each) => each.id === state.metric)) state.metric = source.metrics[0].id;
    if (!axis()) state.axis = source.axes[0].id;
    const all = settle(state.kept);
    choices.replaceChildren();
    if (data.length > 1) select("Table", data.map((each) => [each.id, each.title]), source.id, (value) => { state.source = data.find((each) => each.id === value); state.chosen = {}; state.at = null; });
    select("Metric", source.metrics.map((each) => [each.id, each.label]), state.metric, (value) => { state.metric = value; });
    if (source.axes.length > 1) select("Along the axis", source.axes.map((each) => [each.id, each.label]), state.axis, (value) => { state.axis = value; state.at = null; });
    const same = [];
    facets().forEach((facet, i) => {
      const values = [...new Set(all.map((each) => each.values[i]))].filter((each) => each !== ANY).sort((a, b) => a - b);
      if (values.length > 1) {
        select(facet.label, values.map((each) => [each, facet.values[each]]), state.chosen[facet.id], (value) => {
          state.chosen[facet.id] = Number(value);
          state.kept = facet.id;
        });
      } else if (values.length && facet.values[values[0]] !== "-") same.push(`${facet.label}: ${facet.values[values[0]]}`);
    });
    const labelled = element("label", { className: "switch" }, choices);
    const bands = element("input", { type: "checkbox", checked: state.bands }, labelled);
    labelled.append("95 % intervals");
    bands.addEventListener("change", () => { state.bands = bands.checked; draw(); });
    fixed.textContent = same.join(" · ") + (source.rows > source.shown ? ` · the first ${source.shown} of ${source.rows} points` : "");
    buildLegend();
    if (focus) [...choices.querySelectorAll("select")].find((each) => each.getAttribute("aria-label") === focus)?.focus();
    draw();
  }

  // Rows of the chosen panel, as curves in the order of series.
  function curves() {
    const source = state.source, shown = facets(), own = axis(), value = metric(), found = new Map();
    own.x.forEach((x, row) => {
      const fits = shown.every((each) => each.of[row] === ANY || state.chosen[each.id] === ANY || each.of[row] === state.chosen[each.id]);
      if (x === null || !fits) return;
      const number = source.of[row];
      if (!found.has(number)) found.set(number, { look: source.series[number], points: [] });
      const part = (name) => (value[name] ? value[name][row] : null);
      found.get(number).points.push({
        x, row, mean: value.mean[row], low: part("low"), high: part("high"),
        failed: source.failed ? source.failed[row] : null,
      });
    });
    const all = [...found.entries()].sort((a, b) => a[0] - b[0]).map((each) => each[1]);
    for (const each of all) {
      each.points = each.points.filter((p) => p.mean !== null).sort((a, b) => a.x - b.x);
    }
    return all.filter((each) => each.points.length);
  }

  function buildLegend() {
    legend.replaceChildren();
    element("legend", { textContent: "Codecs" }, legend);
    for (const each of curves()) {
      const label = element("label", {}, legend);
      const box = element("input", { type: "checkbox", checked: !off.has(each.look.label) }, label);
      label.append(Plot.swatch(each.look), document.createTextNode(each.look.label));
      box.addEventListener("change", () => {
        off[box.checked ? "delete" : "add"](each.look.label);
        draw();
      });
    }
  }

  function range(values, share, signed) {
    let low = Math.min(...values), high = Math.max(...values);
    if (signed) [low, high] = [Math.min(low, 0), Math.max(high, 0)];
    const room = (high - low || Math.abs(high) || 1) * 0.06;
    [low, high] = [low - room, high + room];
    return share ? [Math.max(low, -0.03), Math.min(high, 1.03)] : [low, high];
  }

  let places = [];
  function draw() {
    const all = curves(), shown = all.filter((each) => !off.has(each.look.label));
    const width = Math.max(frame.clientWidth, 300);
    const failing = state.metric !== "failed" && shown.some((each) => each.points.some((p) => p.failed > 0));
    const height = HEIGHT + (failing ? FAILED_HEIGHT : 0);
    const svg = Plot.make("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${metric().label} against ${axis().label}` });
    frame.replaceChildren(svg);
    const points = shown.flatMap((each) => each.points);
    if (!points.length) {
      Plot.make("text", { x: width / 2, y: HEIGHT / 2, "text-anchor": "middle" }, svg, "No curve is chosen.");
      readout.replaceChildren();
      return;
    }
    const xAll = all.flatMap((each) => each.points.map((p) => p.x));
    const xs = range(xAll, false, false);
    const ends = state.bands ? points.flatMap((p) => [p.mean, p.low ?? p.mean, p.high ?? p.mean]) : points.map((p) => p.mean);
    const ys = range(ends, metric().share, metric().signed);
    const box = { left: 54, right: width - 14, top: 30, bottom: 352 };
    const narrow = width < 520 ? axis().label.replace(/ \(complex.*/, "") : axis().label;
    const scales = Plot.axes(svg, box, xs, ys, { x: failing ? null : narrow, y: metric().label });
    if (metric().signed) Plot.make("line", { class: "axis", x1: box.left, x2: box.right, y1: scales.y(0), y2: scales.y(0) }, svg);
    for (const each of shown) Plot.curve(svg, scales, each, state.bands);
    let bottom = box.bottom;
    if (failing) {
      bottom = height - 48;
      const low = Plot.axes(svg, { ...box, top: box.bottom + 36, bottom }, xs, [-4, 104], { x: narrow, y: "failed (%)" });
      for (const each of shown) {
        Plot.curve(svg, low, { look: each.look, points: each.points.filter((p) => p.failed !== null).map((p) => ({ x: p.x, mean: 100 * p.failed })) }, false);
      }
    }
    places = [...new Set(points.map((p) => p.x))].sort((a, b) => a - b);
    if (!places.includes(state.at)) state.at = places[Math.floor(places.length / 2)];
    const cursor = Plot.make("line", { class: "cursor", y1: box.top, y2: bottom }, svg);
    const move = () => {
      cursor.setAttribute("x1", scales.x(state.at));
      cursor.setAttribute("x2", scales.x(state.at));
      read(shown);
    };
    svg.addEventListener("pointermove", (event) => {
      const seen = svg.getBoundingClientRect(), x = ((event.clientX - seen.left) / seen.width) * width;
      const near = places.reduce((a, b) => (Math.abs(scales.x(b) - x) < Math.abs(scales.x(a) - x) ? b : a));
      if (near !== state.at) { state.at = near; move(); }
    });
    frame.onkeydown = (event) => {
      const here = places.indexOf(state.at), last = places.length - 1;
      const next = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: last }[event.key];
      if (next === undefined) return;
      event.preventDefault();
      state.at = places[Math.min(last, Math.max(0, next))];
      move();
    };
    move();
  }

  function read(shown) {
    const value = metric(), source = state.source, digits = (x) => (x === null || x === undefined ? "-" : String(Number(x.toPrecision(4))));
    const number = axis().x.findIndex((x) => x === state.at);
    const facet = source.facets.find((each) => each.axis === state.axis);
    const place = facet ? facet.values[facet.of[number]] : String(state.at);
    readout.replaceChildren();
    element("h3", { textContent: `At ${facet ? facet.label : axis().label} ${place}` }, readout);
    const scroll = element("div", { className: "scroll" }, readout), table = element("table", {}, scroll);
    const names = ["codec", value.label, "95 % interval", "failed", "pictures × draws", "interval over"];
    if (source.schemes) names.push("scheme");
    if (!source.failed) names.splice(3, 1);
    const head = element("tr", {}, element("thead", {}, table)), body = element("tbody", {}, table);
    for (const name of names) element("th", { textContent: name, scope: "col" }, head);
    for (const each of shown) {
      for (const p of each.points.filter((q) => q.x === state.at)) {
        const cells = [
          each.look.label, digits(p.mean), p.low === null ? "-" : `${digits(p.low)} to ${digits(p.high)}`,
          ...(source.failed ? [`${digits(100 * p.failed)} %`] : []),
          `${source.images[p.row]} × ${source.draws[p.row]}`, source.over[p.row],
          ...(source.schemes ? [source.schemes[p.row]] : []),
        ];
        const row = element("tr", {}, body);
        for (const cell of cells) element("td", { textContent: cell }, row);
      }
    }
  }

  build();
  let before = frame.clientWidth;
  new ResizeObserver(() => {
    if (frame.clientWidth !== before) { before = frame.clientWidth; draw(); }
  }).observe(frame);
})();
