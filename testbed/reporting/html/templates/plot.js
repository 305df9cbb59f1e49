"use strict";
// Draws lines with intervals as SVG: scales, axes, markers. Knows nothing of where they come from.
const Plot = (() => {
  const NS = "http://www.w3.org/2000/svg";
  const DASHES = ["", "7 4", "2 3", "9 3 2 3", "12 4", "4 2 1 2"];
  // Of an area of 1, around 0; as matplotlib's markers.
  const SHAPES = {
    s: "M-1-1H1V1H-1Z", "^": "M0-1.2L1.15 .95H-1.15Z", v: "M0 1.2L1.15-.95H-1.15Z",
    "<": "M-1.2 0L.95-1.15V1.15Z", ">": "M1.2 0L-.95-1.15V1.15Z", D: "M0-1.35L1.35 0L0 1.35L-1.35 0Z",
    P: "M-.45-1.2H.45V-.45H1.2V.45H.45V1.2H-.45V.45H-1.2V-.45H-.45Z",
    X: "M-.6-1.2L0-.6L.6-1.2L1.2-.6L.6 0L1.2 .6L.6 1.2L0 .6L-.6 1.2L-1.2 .6L-.6 0L-1.2-.6Z",
    "*": star(5, 1.5, 0.6), p: star(5, 1.25, 1.02), h: star(6, 1.25, 1.09),
    o: "M-1.1 0A1.1 1.1 0 1 0 1.1 0A1.1 1.1 0 1 0-1.1 0Z",
  };

  function star(corners, outer, inner) {
    const points = [];
    for (let i = 0; i < 2 * corners; i++) {
      const angle = Math.PI * (i / corners - 0.5), radius = i % 2 ? inner : outer;
      points.push(`${(radius * Math.cos(angle)).toFixed(2)} ${(radius * Math.sin(angle)).toFixed(2)}`);
    }
    return `M${points.join("L")}Z`;
  }

  function make(name, attributes, parent, text) {
    const node = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    if (parent) parent.append(node);
    return node;
  }

  // What would vanish on a dark page.
  const DARK = { "#000000": "var(--ink)", "#882255": "light-dark(#882255, #c65c93)" };
  const ink = (look) => DARK[look.colour.toLowerCase()] || look.colour;

  function line(parent, look, d) {
    return make("path", {
      d, fill: "none", stroke: ink(look), "stroke-width": 2, "stroke-linejoin": "round",
      "stroke-dasharray": DASHES[look.dash % DASHES.length],
    }, parent);
  }

  function marker(parent, look, x, y, size = 4) {
    make("path", {
      d: SHAPES[look.marker] || SHAPES.o, transform: `translate(${x} ${y}) scale(${size})`,
      fill: look.filled ? ink(look) : "var(--page)", stroke: ink(look), "stroke-width": 1.4,
      "vector-effect": "non-scaling-stroke",
    }, parent);
  }

  function swatch(look) {
    const svg = make("svg", { viewBox: "0 0 44 16", "aria-hidden": "true" });
    line(svg, look, "M1 8H43");
    marker(svg, look, 22, 8);
    return svg;
  }

  function ticks(low, high, count) {
    const raw = (high - low) / count || 1, power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= raw * 0.999);
    const found = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) found.push(i * step);
    return found.map((each) => Number(each.toPrecision(12)));
  }

  const words = (value) => (Math.abs(value) < 1e-12 ? "0" : String(Number(value.toPrecision(4))));

  // A box of axes. box: left, right, top, bottom in px. Returns the scales.
  function axes(svg, box, xs, ys, labels) {
    const x = (value) => box.left + ((value - xs[0]) / (xs[1] - xs[0])) * (box.right - box.left);
    const y = (value) => box.bottom - ((value - ys[0]) / (ys[1] - ys[0])) * (box.bottom - box.top);
    const across = Math.max(3, Math.min(9, Math.floor((box.right - box.left) / 80)));
    for (const value of ticks(ys[0], ys[1], Math.max(2, Math.round((box.bottom - box.top) / 55)))) {
      make("line", { class: "grid", x1: box.left, x2: box.right, y1: y(value), y2: y(value) }, svg);
      make("text", { x: box.left - 7, y: y(value) + 4, "text-anchor": "end" }, svg, words(value));
    }
    for (const value of ticks(xs[0], xs[1], across)) {
      make("line", { class: "grid", x1: x(value), x2: x(value), y1: box.top, y2: box.bottom }, svg);
      if (labels.x !== null) make("text", { x: x(value), y: box.bottom + 17, "text-anchor": "middle" }, svg, words(value));
    }
    make("path", { class: "axis", fill: "none", d: `M${box.left} ${box.top}V${box.bottom}H${box.right}` }, svg);
    if (labels.x) make("text", { x: (box.left + box.right) / 2, y: box.bottom + 37, "text-anchor": "middle" }, svg, labels.x);
    make("text", { x: box.left - 44, y: box.top - 10 }, svg, labels.y);
    return { x, y };
  }

  // curve: look, points [{x, mean, low, high}] in the order of x.
  function curve(svg, scales, each, withBand) {
    const band = each.points.filter((p) => p.low !== null && p.high !== null && p.low !== undefined);
    if (withBand && band.length === 1) {
      const [p] = band;
      make("path", { class: "band", stroke: ink(each.look), "stroke-width": 5, "stroke-opacity": 0.25, d: `M${scales.x(p.x)} ${scales.y(p.low)}V${scales.y(p.high)}` }, svg);
    } else if (withBand && band.length) {
      const up = band.map((p) => `${scales.x(p.x)} ${scales.y(p.high)}`);
      const down = band.map((p) => `${scales.x(p.x)} ${scales.y(p.low)}`).reverse();
      make("path", { class: "band", d: `M${[...up, ...down].join("L")}Z`, fill: ink(each.look), "fill-opacity": 0.16 }, svg);
    }
    const d = each.points.map((p) => `${scales.x(p.x)} ${scales.y(p.mean)}`).join("L");
    if (d) line(svg, each.look, `M${d}`);
    for (const p of each.points) marker(svg, each.look, scales.x(p.x), scales.y(p.mean));
  }

  return { make, axes, curve, swatch, words };
})();
