// Any two numbers of all runs.
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

scatter();
