// Two to four runs, or settings with all their seeds, side by side: what differs, the curves, the galleries.
const comparison = (() => {
  const box = one("#compare"), MOST = 4;
  if (!box || !study) return null;
  const runs = new Map(study.runs.map((run) => [run.name, run])), groups = Map.groupBy(study.runs, (run) => run.setting);
  const several = groups.size < runs.size, watching = [];
  const [add, button, differ, seeds, said, unknown] = ["add", "button", "differ", "seeds", "said", "unknown"].map((name) => one(`#compare-${name}`));

  // ---- what is chosen

  const grouped = () => several && state.get("seeds") !== "apart";
  const key = (run) => grouped() ? run.setting : run.name;
  const column = (run) => {
    const of = grouped() ? groups.get(run.setting) : [run];
    return { key: key(run), run, runs: of, label: of.length > 1 ? `${run.group}, ${of.length} seeds` : run.label };
  };
  const usual = () => [...new Map(study.runs.map((run) => [key(run), run.name])).values()].slice(0, 2);
  const names = () => state.get("runs") ? state.unpack(state.get("runs")) : usual();
  const chosen = () => {
    const found = names().map((name) => runs.get(name)).filter(Boolean);
    return [...new Map(found.map((run) => [key(run), column(run)])).values()].slice(0, MOST);
  };
  const baseOf = (columns) => {
    const run = runs.get(state.get("base"));
    return run && columns.find((one) => one.key === key(run));
  };
  const choose = (list, at = "compare") => {
    state.set("runs", state.pack(list) || "-", at); // "-": none, which is not the default
    draw();
  };
  const has = (name) => runs.has(name) && chosen().some((one) => one.key === key(runs.get(name)));
  const toggle = (name, at) => {
    const columns = chosen(), found = columns.findIndex((one) => one.key === key(runs.get(name)));
    const rest = columns.filter((_, i) => i !== found).map((one) => one.run.name);
    choose(found < 0 && columns.length < MOST ? [...rest, name] : rest, at);
  };

  // ---- the choices on the page

  function chips(columns, base) {
    const chip = (one, i) => {
      const remove = make("button", { type: "button", "data-key": `x ${one.key}`, "aria-label": `Remove ${one.label}` }, "×");
      const pin = make("button", { type: "button", "data-key": `pin ${one.key}`, "aria-pressed": String(one === base), "aria-label": `Baseline: ${one.label}` }, "baseline");
      remove.addEventListener("click", () => toggle(one.run.name));
      pin.addEventListener("click", () => { state.set("base", one === base ? "" : one.run.name, "compare"); draw(); });
      return make("li", { class: `run-${i}` }, swatch(), make("span", {}, one.label), pin, remove);
    };
    const list = one(".chips", box), focus = list.contains(document.activeElement) && document.activeElement.dataset.key;
    list.replaceChildren(...columns.map(chip));
    if (focus) (all("button", list).find((each) => each.dataset.key === focus) ?? add).focus();
  }

  function choices(columns) {
    const had = add.value, taken = new Set(columns.map((one) => one.key)), full = columns.length >= MOST;
    const free = (grouped() ? [...groups.values()].map(([run]) => run) : study.runs).filter((run) => !taken.has(key(run)));
    add.replaceChildren(...free.map((run) => make("option", { value: run.name }, column(run).label)));
    if (free.some((run) => run.name === had)) add.value = had;
    button.disabled = full || !free.length;
    button.textContent = full ? `Add (no more than ${MOST})` : "Add";
    differ.checked = state.get("differ") !== "no";
    seeds.checked = grouped();
    seeds.closest("label").hidden = !several;
  }

  function strangers() {
    const asked = state.get("runs") === "-" ? [] : names(), lost = asked.filter((name) => !runs.has(name)), base = state.get("base");
    const known = new Set(asked.map((name) => runs.get(name)).filter(Boolean).map(key));
    const words = lost.length ? [`Not in this report, or not finished: ${lost.join(", ")}.`] : [];
    if (base && !runs.has(base) && !lost.includes(base)) words.push(`The baseline ${base} is not in this report, or not finished.`);
    if (known.size > MOST) words.push(`The link names ${known.size} runs; the first ${MOST} are shown.`);
    unknown.textContent = words.join(" ");
  }

  // ---- drawn anew after every choice

  function draw() {
    const columns = chosen(), base = baseOf(columns), { rows, hidden } = differences(columns, base, differ.checked = state.get("differ") !== "no", grouped());
    choices(columns);
    chips(columns, base);
    strangers();
    const kinds = Map.groupBy(columns.map((one, i) => ({ ...one, i })).filter((one) => one.run.curve.values.length), (one) => `${one.run.curve.label} ${one.run.curve.unit}`);
    said.textContent = columns.length < 2 ? "Add a run: a comparison needs two." : hidden;
    const charts = make("div", { class: "panels" }, ...[...kinds.values()].map(curves));
    one(".compared", box).dataset.columns = columns.length;
    one(".compared", box).replaceChildren(...columns.length ? [differencesTable(columns, base, rows), charts, ...galleries(columns)] : []);
    showEpoch();
    watching.forEach((act) => act());
  }

  button.addEventListener("click", () => toggle(add.value));
  differ.addEventListener("change", () => { state.set("differ", differ.checked ? "" : "no", "compare"); draw(); });
  seeds.addEventListener("change", () => { state.set("seeds", seeds.checked ? "" : "apart", "compare"); draw(); });
  for (const name of ["runs", "base", "differ", "seeds"]) state.on(name, draw);
  draw();
  return { has, toggle, count: () => chosen().length, full: () => chosen().length >= MOST, watch: (act) => watching.push(act) };
})();

function swatch() { return make("i", { class: "swatch", "aria-hidden": "true" }); }

// ---- settings and numbers

// The rows of the table, and in words what is left out if only what differs is wanted.
function differences(columns, base, only, grouped) {
  const settings = ["model", "data", ...study.settings].filter((name) => !(grouped && name === "seed")).map((name) => {
    const values = columns.map(({ run }) => run[name] ?? run.settings[name] ?? study.common[name]);
    const text = (value) => Number.isInteger(value) ? digits(value) : String(value ?? "–");
    return { name, kind: "setting", cells: values.map((value) => ({ value, text: text(value) })) };
  });
  const numbers = study.metrics.map((name) => {
    const found = columns.map(({ runs }) => estimate(runs.map((run) => run.metrics[name] ?? NaN)));
    const means = columns.map(({ runs }) => byClassifier(runs, name));
    return { name, kind: "number", cells: measured(found, means, columns, base) };
  });
  const rows = [...settings, ...numbers], known = (row) => row.cells.map((cell) => cell.value).filter((value) => value !== undefined);
  if (!only || columns.length < 2) return { rows: rows.filter((row) => known(row).length), hidden: "" };
  const alike = (row) => known(row).length && new Set(known(row)).size < 2, whole = (row) => known(row).length === columns.length;
  const shown = rows.filter((row) => known(row).length && !alike(row)), same = rows.filter((row) => alike(row) && whole(row)), some = rows.filter((row) => alike(row) && !whole(row));
  const words = [same.length && `${same.length} that ${same.length > 1 ? "are" : "is"} the same in all`, some.length && `${some.length} that are the same in all that have them`].filter(Boolean);
  return { rows: shown, hidden: `${shown.length ? "" : "Nothing differs. "}${words.length ? `Rows left out: ${words.join(", ")}.` : ""}` };
}

// One number of every column: texts that share their decimals, and the differences from the baseline.
function measured(found, means, columns, base) {
  const own = found.filter(({ n, mean }) => n && mean).map(({ mean, half }) => places(mean, half)).sort((a, b) => a - b);
  const shared = own.length ? Math.min(own[own.length >> 1], own[0] + 1) : 0;
  const write = (value) => value && Math.abs(value) < 0.5 * 10 ** -shared ? digits(value) : fixed(value, shared);
  const at = columns.indexOf(base), from = base ? found[at] : null;
  const span = (values) => values.length > 1 ? ` (${write(Math.min(...values))} to ${write(Math.max(...values))})` : "";
  return found.map((one, i) => {
    if (!one.n) return { text: "–" };
    const short = one.n < columns[i].runs.length ? ` (${one.n} seed${one.n > 1 ? "s" : ""})` : "";
    const text = `${write(one.mean)}${one.half || one.n > 1 ? ` ± ${fixed(one.half, shared)}` : ""}${span(means[i])}${short}`;
    if (!from?.n || one === from) return { value: one.mean, text, difference: "" };
    return { value: one.mean, text, difference: disputed(means[i], means[at]) ? "the classifiers disagree" : difference(one.mean, from.mean, shared) };
  });
}

// A number's mean over runs by each classifier that scored all of them.
function byClassifier(runs, name) {
  const each = runs.filter((run) => name in run.metrics).map((run) => [run.metrics[name], ...run.further[name] ?? []]);
  const shared = each.length ? Math.min(...each.map((values) => values.length)) : 0;
  return Array.from({ length: shared }, (_, i) => each.reduce((sum, values) => sum + values[i], 0) / each.length);
}

// Whether by some classifier the first is larger, and by another it is not.
function disputed(first, second) {
  return new Set(first.slice(0, second.length).map((value, i) => Math.sign(value - second[i]))).size > 1;
}

function difference(value, base, shared) {
  const gap = Number((value - base).toPrecision(6)), sign = (size) => size > 0 ? "+" : "";
  if (!gap) return "the same";
  const share = 100 * gap / Math.abs(base), percent = `${sign(gap)}${fixed(share, Math.abs(share) < 99.95 ? 1 : 0)} %`;
  const part = !base ? "" : value / base < 10 ? ` (${percent})` : ` (× ${fixed(value / base, 0)})`;
  return `${sign(gap)}${fixed(gap, Math.min(places(gap), shared + 1))}${part}`;
}

function differencesTable(columns, base, rows) {
  const head = columns.map((one, i) => make("th", { scope: "col", class: `run-${i}`, title: one.runs.map((run) => run.name).join("\n") }, swatch(), one.label, ...one === base ? [make("em", {}, "baseline")] : []));
  const cell = (row) => (one, i) => {
    const changed = row.kind === "setting" && base && one.value !== row.cells[columns.indexOf(base)].value;
    return make("td", { class: row.kind === "number" || typeof one.value === "number" ? "number" : false }, changed ? make("b", {}, one.text) : one.text, ...one.difference ? [make("small", {}, one.difference)] : []);
  };
  const body = rows.map((row, i) => make("tr", { class: row.kind === "number" && rows[i - 1]?.kind === "setting" ? "first" : false }, make("th", { scope: "row" }, study.labels[row.name] ?? row.name), ...row.cells.map(cell(row))));
  const groups = columns.some((one) => one.runs.length > 1) ? " Several seeds: mean ± half the width of the 95 % interval (Student’s t)." : "";
  const brackets = columns.some(({ runs }) => runs.some((run) => Object.keys(run.further).length)) ? " In brackets the lowest and the highest by any classifier." : "";
  const caption = `${base ? "Below each number its difference from the baseline." : "Pin a run as the baseline to see differences from it."}${groups}${brackets}`;
  const table = make("table", {}, make("caption", {}, caption), make("thead", {}, make("tr", {}, make("td"), ...head)), make("tbody", {}, ...body));
  return make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Settings and numbers compared" }, table);
}

// ---- curves

// The mean of all seeds at each epoch, and the least and the most.
function along(runs, part) {
  const length = Math.max(...runs.map((run) => run.curve[part]?.length ?? 0));
  return Array.from({ length }, (_, i) => {
    const known = runs.map((run) => run.curve[part]?.[i]).filter(Number.isFinite);
    return known.length ? [estimate(known).mean, Math.min(...known), Math.max(...known)] : null;
  });
}

function curves(columns) {
  const series = columns.map((one) => ({ ...one, values: along(one.runs, "values"), validation: along(one.runs, "validation") }));
  const { label, unit } = columns[0].run.curve, levels = new Map(columns.flatMap((one) => one.run.curve.levels).map((level) => [`${level.label} ${level.value}`, level]));
  const [low, high] = padded(series.flatMap((one) => [...one.values, ...one.validation]).flatMap((point) => point ?? []));
  const near = [...levels.values()].filter(({ value }) => value > 2 * low - high && value < 2 * high - low); // one far off would flatten the curves
  const limits = padded([low, high, ...near.map((level) => level.value)]), epochs = Math.max(...series.map((one) => one.values.length), 2);
  const ends = series.map((one) => [one.label, one.values.filter(Boolean)]).filter(([, known]) => known.length);
  const spoken = ends.map(([name, known]) => `${name} from ${digits(known[0][0])} to ${digits(known.at(-1)[0])}`).join("; ");
  const width = one("#compare").clientWidth < 560 ? 350 : 560; // on a phone, so that words stay readable
  const svg = shape("svg", { viewBox: `0 0 ${width} 320`, role: "img", "aria-label": `${label} by epoch: ${spoken}` });
  const [X, Y] = axes(svg, [1, epochs], limits, "epoch", `${label}${unit && ` (${unit})`}`, { left: 62, top: 28, width: width - 80, height: 240 });
  for (const level of near) {
    shape("line", { x1: 62, x2: width - 18, y1: Y(level.value), y2: Y(level.value), stroke: "var(--soft)", "stroke-dasharray": "2 3" }, svg);
    shape("text", { class: "tick", x: width - 20, y: Y(level.value) - 4, "text-anchor": "end" }, svg, level.label);
  }
  const line = (points, which) => points.map((point, i) => point ? `${i && points[i - 1] ? "L" : "M"}${X(i + 1).toFixed(1)} ${Y(point[which]).toFixed(1)}` : "").join("");
  for (const one of series) {
    const group = shape("g", { class: `run-${one.i}` }, svg);
    if (one.runs.length > 1) for (const which of [1, 2]) shape("path", { class: "edge", d: line(one.values, which) }, group);
    shape("path", { class: "curve", d: line(one.values, 0) }, group);
    if (one.validation.length) shape("path", { class: "curve validation", d: line(one.validation, 0) }, group);
  }
  const legend = make("ul", { class: "legend" }, ...series.map((one) => make("li", { class: `run-${one.i}` }, swatch(), one.label)));
  const thin = series.some((one) => one.runs.length > 1) ? ["thick: mean of the seeds", "thin: least and most"] : [];
  const words = [...thin, ...series.some((one) => one.validation.length) ? ["dashed: validation"] : []];
  if (words.length) legend.append(make("li", { class: "note" }, words.join("; ")));
  return make("div", { class: "panel" }, svg, legend);
}

// ---- galleries: copies of those above, at the page's epoch

function galleries(columns) {
  const found = columns.map((one, i) => [one, i, document.getElementById(one.run.film)]).filter(([, , film]) => film);
  if (!found.length) return [];
  const panels = found.map(([{ run }, i, source]) => {
    const copy = source.cloneNode(true);
    [copy, ...all("[id]", copy)].forEach((each) => each.removeAttribute("id"));
    return make("div", { class: `panel run-${i}` }, make("p", { class: "setting" }, swatch(), make("b", {}, run.label)), copy);
  });
  const every = [...new Set(found.flatMap(([, , film]) => epochsOf(film)))].sort((a, b) => a - b);
  const slider = make("input", { type: "range", min: 0, max: every.length - 1, "aria-label": "Epoch of all galleries" });
  const bar = make("div", { class: "epochs", "data-epochs": every.join(",") }, make("label", {}, "Epoch ", slider), make("output"));
  epochs(bar);
  return [bar, make("div", { class: "panels galleries" }, ...panels)];
}
