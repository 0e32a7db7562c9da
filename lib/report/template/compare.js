// Two runs side by side.
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

compare();
