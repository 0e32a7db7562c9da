// Any two numbers of all runs.
function scatter() {
  const box = one("#scatter");
  if (!box || !study) return;
  const choices = ["x", "y"].map((axis) => [axis, one(`#scatter-${axis}`)]), panel = one(".panel", box), note = one("#scatter-note"), picked = one("#scatter-run");
  const label = (run, names) => `${run.label}: ${names.map((name) => `${study.labels[name]} ${digits(valueOf(run, name))}`).join(", ")}`;
  const few = (runs, name) => { // a setting has marks at its values alone
    const values = new Set(runs.map((run) => valueOf(run, name)));
    return values.size <= 6 && !study.metrics.includes(name) ? [...values] : undefined;
  };
  const pick = (run, names) => {
    picked.replaceChildren(label(run, names));
    if (comparison) {
      const add = make("button", { type: "button" }, "Add to the comparison");
      const follow = () => { add.disabled = comparison.has(run.name) || comparison.full(); };
      add.addEventListener("click", () => { comparison.toggle(run.name); follow(); });
      follow();
      picked.append(" ", add, " ", make("a", { href: "#compare" }, "See the comparison"));
    }
    if (run.page) picked.append(" ", make("a", { href: run.page }, "Open its notebook"));
  };
  const draw = () => {
    const names = choices.map(([, choice]) => choice.value), [x, y] = names, [xs, ys] = names.map((name) => (run) => valueOf(run, name));
    const runs = study.runs.filter((run) => Number.isFinite(xs(run)) && Number.isFinite(ys(run)));
    note.textContent = `${runs.length} of ${study.runs.length} runs`;
    picked.textContent = runs.length ? "Choose a point to see which run it is." : "No run has both numbers.";
    const wide = panel.clientWidth > 560, width = wide ? 850 : 380; // the legend stands beside, or below
    const kinds = [...new Map(runs.map((run) => [`${run.model}, ${run.data}`, run])).entries()];
    const svg = shape("svg", { viewBox: `0 0 ${width} ${wide ? 420 : 400 + 22 * kinds.length}`, role: "group", "aria-label": `${study.labels[y]} over ${study.labels[x]}, ${runs.length} runs` });
    panel.replaceChildren(svg);
    if (!runs.length) return;
    const [X, Y] = axes(svg, padded(runs.map(xs)), padded(runs.map(ys)), study.labels[x], study.labels[y], { left: wide ? 70 : 44, top: 30, width: wide ? 560 : 320, height: 330 }, ...names.map((name) => few(runs, name)));
    for (const run of runs) {
      const point = shape("g", { role: "button", tabindex: 0, "aria-label": label(run, names) }, svg);
      shape("title", {}, mark(run, X(xs(run)), Y(ys(run)), point), label(run, names));
      point.addEventListener("click", () => pick(run, names));
      point.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); pick(run, names); } });
    }
    kinds.forEach(([name, run], i) => {
      const [left, top] = wide ? [646, 44 + 22 * i] : [20, 412 + 22 * i];
      mark(run, left, top, svg);
      shape("text", { x: left + 12, y: top + 4 }, svg, name);
    });
  };
  for (const [axis, choice] of choices) {
    const first = choice.value;
    const restore = (name) => { choice.value = [...choice.options].some((option) => option.value === name) ? name : first; };
    restore(state.get(axis));
    state.on(axis, (name) => { restore(name); draw(); });
    choice.addEventListener("change", () => { state.set(axis, choice.value === first ? "" : choice.value, "scatter"); draw(); });
  }
  draw();
}

scatter();
