// What the report's scripts share: the study's data, numbers in words, axes.
const study = one("#study-data") ? JSON.parse(one("#study-data").textContent) : null;
const SVG = "http://www.w3.org/2000/svg";
const COLOURS = { VAE: "#0072B2", GAN: "#D55E00", WGAN: "#009E73" }, OTHERS = ["#CC79A7", "#E69F00", "#56B4E9"];

function colour(run) {
  const others = [...new Set(study.runs.map((one) => one.model).filter((model) => !(model in COLOURS)))];
  return COLOURS[run.model] ?? OTHERS[others.indexOf(run.model) % OTHERS.length];
}

// As lib/rounding.py writes a number by itself.
function digits(value) {
  if (value < 0) return `−${digits(-value)}`;
  if (Number.isInteger(value)) return value.toLocaleString("en", { useGrouping: value > 9999 });
  if (value < 1e-4) return value.toExponential(2);
  const power = Number(value.toExponential(2).split("e")[1]), places = Math.max(2 - power, value < 999.5 ? 1 : 0);
  return value.toLocaleString("en", { minimumFractionDigits: places, maximumFractionDigits: places, useGrouping: value >= 9999.5 });
}

function shape(name, attributes, parent, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent?.append(made);
  return made;
}

function ticks(low, high, wanted = 5) {
  const raw = (high - low || 1) / wanted, power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= raw);
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-6; value += step) found.push(Number(value.toPrecision(10)));
  return found;
}

// Axes with labels; gives back the two functions from values to places.
function axes(svg, [x0, x1], [y0, y1], xLabel, yLabel, box) {
  const X = (value) => box.left + (value - x0) / (x1 - x0 || 1) * box.width;
  const Y = (value) => box.top + box.height - (value - y0) / (y1 - y0 || 1) * box.height;
  for (const value of ticks(y0, y1)) {
    shape("line", { class: "axis", x1: box.left, x2: box.left + box.width, y1: Y(value), y2: Y(value) }, svg);
    shape("text", { class: "tick", x: box.left - 6, y: Y(value) + 4, "text-anchor": "end" }, svg, value);
  }
  for (const value of ticks(x0, x1, 6)) shape("text", { class: "tick", x: X(value), y: box.top + box.height + 16, "text-anchor": "middle" }, svg, value);
  shape("text", { x: box.left + box.width / 2, y: box.top + box.height + 34, "text-anchor": "middle" }, svg, xLabel);
  shape("text", { x: box.left, y: box.top - 8 }, svg, yLabel);
  return [X, Y];
}

function padded(every) {
  const values = every.filter(Number.isFinite);
  if (!values.length) return [0, 1];
  const low = Math.min(...values), high = Math.max(...values), margin = 0.06 * (high - low) || 0.5;
  return [low - margin, high + margin];
}
