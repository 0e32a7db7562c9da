// What the report's scripts share: the study's data, elements, numbers in words, axes.
const study = one("#study-data") ? JSON.parse(one("#study-data").textContent) : null;
const SVG = "http://www.w3.org/2000/svg";
const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]; // of models; shapes are of datasets
const SHAPES = ["M-6 0a6 6 0 1 0 12 0a6 6 0 1 0 -12 0", "M-5.5 -5.5h11v11h-11z", "M0 -8l7 8l-7 8l-7 -8z", "M0 -7l7.5 12.5h-15z"];

function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== false) made.setAttribute(name, value === true ? "" : value);
  made.append(...children);
  return made;
}

function shape(name, attributes, parent, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent?.append(made);
  return made;
}

function mark(run, x, y, parent) {
  const place = (name) => [...new Set(study.runs.map((each) => each[name]))].indexOf(run[name]);
  const fill = COLOURS[place("model") % COLOURS.length], d = SHAPES[place("family") % SHAPES.length];
  return shape("path", { class: "dot", d, fill, transform: `translate(${x} ${y})` }, parent);
}

// ---- numbers, as lib/rounding.py writes them

function fixed(value, places) {
  const text = Math.abs(value).toLocaleString("en", { minimumFractionDigits: places, maximumFractionDigits: places, useGrouping: Math.abs(value) >= 9999.5 });
  return value < 0 ? `−${text}` : text;
}

// The decimals that a number has by itself, or a mean with the half width of its interval.
function places(value, half = 0) {
  const power = (size) => Number(size.toExponential(2).split("e")[1]), size = Math.max(Math.abs(value), half);
  if (!size || (Number.isInteger(value) && !half)) return 0;
  return Math.min(Math.max(2 - power(size), half ? -power(half) : 0, size < 999.5 ? 1 : 0), 6);
}

function digits(value) {
  if (!value || Math.abs(value) >= 1e-4) return fixed(value, places(value));
  return value.toExponential(2).replace(/-(\d)$/, "-0$1").replaceAll("-", "−");
}

// Over seeds: the mean, and the half width of its 95 % interval by Student's t if there are several.
function estimate(values) {
  const known = values.filter(Number.isFinite), n = known.length, mean = known.reduce((sum, value) => sum + value, 0) / n;
  const variance = known.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1);
  return { n, mean, half: n > 1 ? study.quantiles[n - 2] * Math.sqrt(variance / n) : 0 };
}

const valueOf = (run, name) => run.metrics[name] ?? run.settings[name] ?? study.common[name];

// ---- axes

function ticks(low, high, wanted = 5) {
  const raw = (high - low || 1) / wanted, power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= raw);
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-6; value += step) found.push(Number(value.toPrecision(10)));
  return found;
}

// Axes with labels; gives back the two functions from values to places.
function axes(svg, [x0, x1], [y0, y1], xLabel, yLabel, box, xTicks = ticks(x0, x1, 6), yTicks = ticks(y0, y1)) {
  const X = (value) => box.left + (value - x0) / (x1 - x0 || 1) * box.width;
  const Y = (value) => box.top + box.height - (value - y0) / (y1 - y0 || 1) * box.height;
  for (const value of yTicks) {
    shape("line", { class: "axis", x1: box.left, x2: box.left + box.width, y1: Y(value), y2: Y(value) }, svg);
    shape("text", { class: "tick", x: box.left - 6, y: Y(value) + 4, "text-anchor": "end" }, svg, value);
  }
  for (const value of xTicks) shape("text", { class: "tick", x: X(value), y: box.top + box.height + 16, "text-anchor": "middle" }, svg, value);
  shape("text", { x: box.left + box.width / 2, y: box.top + box.height + 34, "text-anchor": "middle" }, svg, xLabel);
  shape("text", { x: box.left, y: box.top - 8 }, svg, yLabel);
  return [X, Y];
}

function padded(every) {
  const values = every.filter(Number.isFinite);
  if (!values.length) return [0, 1];
  const low = values.reduce((a, b) => Math.min(a, b)), high = values.reduce((a, b) => Math.max(a, b)), margin = 0.06 * (high - low) || 0.5;
  return [low - margin, high + margin];
}
