// What only the report does: films over the epochs, planes to move over, two runs side by side, the table, the scatter.
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

function film(box) {
  const view = one(".film-view", box), slider = one("input", box), out = one("output", box), play = one("button", box);
  const epochs = box.dataset.epochs.split(",");
  let timer = 0;
  const show = () => { view.style.setProperty("--frame", slider.value); out.textContent = `epoch ${epochs[slider.value]}`; };
  const stop = () => { clearInterval(timer); timer = 0; play.textContent = "▶"; };
  slider.addEventListener("input", () => { stop(); show(); });
  play.addEventListener("click", () => {
    if (timer) return stop();
    if (slider.value === slider.max) slider.value = 0;
    show();
    play.textContent = "❚❚";
    timer = setInterval(() => { slider.value = Number(slider.value) + 1; show(); if (slider.value === slider.max) stop(); }, 600);
  });
  show();
}

// The decoder over a grid of z, as mean + coefficients · basis, all in bytes (see sections/planes.py).
function plane(box) {
  const canvas = document.getElementById(box.dataset.plane), facts = study?.planes[box.dataset.plane];
  if (!facts) return;
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const mean = bytes(facts.mean), basis = new Int8Array(bytes(facts.basis).buffer), coefficients = new Int8Array(bytes(facts.coefficients).buffer);
  const { count, rank, reach, channels, scales, margins } = facts, pixels = mean.length;
  const context = canvas.getContext("2d"), picture = context.createImageData(canvas.width, canvas.height);
  const out = one("output", canvas.parentElement), cross = document.createElement("i");
  box.append(cross);
  box.tabIndex = 0;
  box.setAttribute("role", "application");
  box.setAttribute("aria-label", box.dataset.label);
  const z = [0, 0];
  const draw = () => {
    const [x, y] = [z[0], -z[1]].map((value) => (value + reach) / (2 * reach) * (count - 1));
    const [left, top] = [x, y].map((value) => Math.min(Math.floor(value), count - 2)), dx = x - left, dy = y - top;
    const values = Float32Array.from(mean);
    for (let k = 0; k < rank; k++) {
      const at = (row, column) => coefficients[(row * count + column) * rank + k];
      const weight = ((1 - dy) * ((1 - dx) * at(top, left) + dx * at(top, left + 1)) + dy * ((1 - dx) * at(top + 1, left) + dx * at(top + 1, left + 1))) * scales[k];
      for (let i = 0, j = k * pixels; i < pixels; i++, j++) values[i] += weight * basis[j];
    }
    for (let i = 0, p = 0; i < pixels; i += channels, p += 4) {
      for (let c = 0; c < 3; c++) picture.data[p + c] = values[i + (channels === 3 ? c : 0)];
      picture.data[p + 3] = 255;
    }
    context.putImageData(picture, 0, 0);
    out.textContent = `z₁ ${z[0].toFixed(2)}, z₂ ${z[1].toFixed(2)}`;
    const [l, r, b, t] = margins;
    cross.style.left = `${100 * (l + (r - l) * (z[0] + reach) / (2 * reach))}%`;
    cross.style.top = `${100 * (1 - (b + (t - b) * (z[1] + reach) / (2 * reach)))}%`;
  };
  const move = (horizontal, vertical) => {
    [horizontal, vertical].forEach((value, i) => { z[i] = Math.max(-reach, Math.min(reach, value)); });
    draw();
  };
  box.addEventListener("pointermove", (event) => {
    const rect = one("img", box).getBoundingClientRect(), [l, r, b, t] = margins;
    move(((event.clientX - rect.left) / rect.width - l) / (r - l) * 2 * reach - reach, (1 - (event.clientY - rect.top) / rect.height - b) / (t - b) * 2 * reach - reach);
  });
  box.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] }[event.key];
    if (step) { event.preventDefault(); move(z[0] + step[0], z[1] + step[1]); }
  });
  draw();
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

function curve(run, limits, epochs) {
  const svg = shape("svg", { viewBox: "0 0 520 300", role: "img", "aria-label": run.curve.values.length ? `${run.curve.label} of ${run.label} by epoch, from ${run.curve.values[0]} to ${run.curve.values.at(-1)}` : `No curve of ${run.label}` });
  const [X, Y] = axes(svg, [1, epochs], limits, "epoch", `${run.curve.label}${run.curve.unit && ` (${run.curve.unit})`}; dashed: validation`, { left: 62, top: 28, width: 440, height: 220 });
  const path = (values) => values.map((value, i) => value === null ? "" : `${i && values[i - 1] !== null ? "L" : "M"}${X(i + 1).toFixed(1)} ${Y(value).toFixed(1)}`).join("");
  for (const level of run.curve.levels.filter(({ value }) => value >= limits[0] && value <= limits[1])) {
    shape("line", { x1: 62, x2: 502, y1: Y(level.value), y2: Y(level.value), stroke: "var(--soft)", "stroke-dasharray": "2 3" }, svg);
    shape("text", { class: "tick", x: 500, y: Y(level.value) - 4, "text-anchor": "end" }, svg, level.label);
  }
  shape("path", { d: path(run.curve.values), fill: "none", stroke: "var(--line-1)", "stroke-width": 2.2 }, svg);
  if (run.curve.validation) shape("path", { d: path(run.curve.validation), fill: "none", stroke: "var(--line-2)", "stroke-width": 1.8, "stroke-dasharray": "6 3" }, svg);
  return svg;
}

function compare() {
  const box = one("#compare");
  if (!box || !study) return;
  const sides = ["left", "right"].map((side) => one(`#compare-${side}`)), panels = one(".panels", box);
  const draw = () => {
    const chosen = sides.map((side) => study.runs.find((run) => run.name === side.value));
    const alike = chosen[0].curve.label === chosen[1].curve.label;
    const reached = (runs) => { // a level far off would flatten the curves
      const [low, high] = padded(runs.flatMap((run) => [...run.curve.values, ...(run.curve.validation || [])]));
      const near = runs.flatMap((run) => run.curve.levels.map((level) => level.value)).filter((value) => value > 2 * low - high && value < 2 * high - low);
      return padded([low, high, ...near]);
    };
    const epochs = Math.max(...chosen.map((run) => run.curve.values.length), 2);
    panels.replaceChildren(...chosen.map((run) => {
      const panel = document.createElement("div"), title = document.createElement("p"), name = document.createElement("b");
      panel.className = "panel";
      title.className = "setting";
      name.textContent = run.label;
      title.append(name);
      panel.append(title, curve(run, reached(alike ? chosen : [run]), epochs));
      const source = document.getElementById(run.film);
      if (source) {
        const copy = source.cloneNode(true);
        copy.removeAttribute("id");
        panel.append(copy);
        film(copy);
      }
      const list = document.createElement("p");
      list.className = "numbers";
      list.textContent = study.order.filter((metric) => metric in run.metrics).map((metric) => `${study.labels[metric]} ${digits(run.metrics[metric])}`).join(" · ");
      panel.append(list);
      return panel;
    }));
  };
  sides.forEach((side) => side.addEventListener("change", draw));
  draw();
}

function scatter() {
  const box = one("#scatter");
  if (!box || !study) return;
  const choices = ["x", "y"].map((axis) => one(`#scatter-${axis}`)), panel = one(".panel", box), note = one("#scatter-note");
  const draw = () => {
    const [x, y] = choices.map((choice) => choice.value), value = (run, name) => run.metrics[name] ?? run.settings[name];
    const runs = study.runs.filter((run) => Number.isFinite(value(run, x)) && Number.isFinite(value(run, y)));
    note.textContent = `${runs.length} of ${study.runs.length} runs`;
    const wide = panel.clientWidth > 560, width = wide ? 850 : 380; // the legend stands beside, or below
    const kinds = [...new Map(runs.map((run) => [`${run.model}, ${run.data}`, run])).entries()];
    const svg = shape("svg", { viewBox: `0 0 ${width} ${wide ? 420 : 400 + 22 * kinds.length}`, role: "group", "aria-label": `${study.labels[y]} over ${study.labels[x]}, ${runs.length} runs` });
    if (!runs.length) {
      shape("text", { x: width / 2, y: 200, "text-anchor": "middle" }, svg, "No run has both numbers.");
      return panel.replaceChildren(svg);
    }
    const [X, Y] = axes(svg, padded(runs.map((run) => value(run, x))), padded(runs.map((run) => value(run, y))), study.labels[x], study.labels[y], { left: wide ? 70 : 44, top: 30, width: wide ? 560 : 320, height: 330 });
    for (const run of runs) {
      const label = `${run.label}: ${study.labels[x]} ${digits(value(run, x))}, ${study.labels[y]} ${digits(value(run, y))}`;
      const link = run.page ? shape("a", { href: run.page, "aria-label": label }, svg) : shape("g", { role: "img", "aria-label": label }, svg);
      const at = { cx: X(value(run, x)), cy: Y(value(run, y)) };
      const dot = run.family === "MNIST" ? shape("circle", { class: "dot", ...at, r: 7, fill: colour(run) }, link)
        : shape("rect", { class: "dot", x: at.cx - 6, y: at.cy - 6, width: 12, height: 12, fill: colour(run) }, link);
      shape("title", {}, dot, label);
    }
    kinds.forEach(([name, run], i) => {
      const at = wide ? { cx: 646, cy: 44 + 22 * i } : { cx: 20, cy: 412 + 22 * i };
      if (run.family === "MNIST") shape("circle", { cx: at.cx, cy: at.cy, r: 6, fill: colour(run) }, svg);
      else shape("rect", { x: at.cx - 5, y: at.cy - 5, width: 10, height: 10, fill: colour(run) }, svg);
      shape("text", { x: at.cx + 12, y: at.cy + 4 }, svg, name);
    });
    panel.replaceChildren(svg);
  };
  choices.forEach((choice) => choice.addEventListener("change", draw));
  draw();
}

function table() {
  const grid = one("#runs-table");
  if (!grid) return;
  const body = one("tbody", grid), rows = all("tr", body), filter = one("#filter"), count = one("#filtered");
  const texts = rows.map((row) => row.textContent.toLowerCase());
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, i) => { row.hidden = !words.every((word) => texts[i].includes(word)); shown += !row.hidden; });
    count.textContent = `${shown} of ${rows.length} runs`;
  });
  all("thead th", grid).forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending", sign = down ? -1 : 1;
      all("th", grid).forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => row.cells[column]?.dataset.value ?? row.cells[column]?.textContent ?? "";
      const order = (a, b) => {
        const [first, second] = [key(a), key(b)];
        if (first === "" || second === "") return (first === "") - (second === ""); // what is missing stands last
        const numbers = [Number(first), Number(second)];
        return sign * (numbers.some(Number.isNaN) ? first.localeCompare(second, "en", { numeric: true }) : numbers[0] - numbers[1]);
      };
      body.append(...rows.toSorted(order));
    });
  });
}

all(".film").forEach(film);
all(".plane").forEach(plane);
compare();
scatter();
table();
addEventListener("beforeprint", () => all("details").forEach((fold) => { fold.open = true; }));
