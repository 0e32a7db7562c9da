// A slider for each of several numbers, with its name before it and its value behind it. Numbers of a standard normal also
// show their quantile, and their sliders may run over quantiles: then equal steps are equally probable.
const below = (z) => { // the share below z, to 1e-7 (Abramowitz & Stegun 1964, 26.2.17)
  const t = 1 / (1 + 0.2316419 * Math.abs(z));
  const sum = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  const tail = sum * Math.exp(-z * z / 2) / Math.sqrt(2 * Math.PI);
  return z > 0 ? 1 - tail : tail;
};
const quantile = (share) => { // its inverse, by halving
  let low = -8, high = 8;
  for (let i = 0; i < 40; i++) below((low + high) / 2) < share ? low = (low + high) / 2 : high = (low + high) / 2;
  return (low + high) / 2;
};

export default {
  render({ model, el }) {
    const normal = model.get("normal"), byQuantile = () => model.get("by") === "quantile";
    const rows = model.get("names").map((name, index) => {
      const row = document.createElement("div"), label = document.createElement("label"), text = document.createElement("span");
      const slider = document.createElement("input"), value = document.createElement("output"), note = document.createElement("small");
      row.style.cssText = "display: flex; align-items: center; gap: 8px; min-height: 28px";
      label.style.cssText = "display: flex; align-items: center; gap: 8px";
      text.style.cssText = "min-width: 2em; text-align: right";
      slider.style.cssText = "width: 220px; margin: 0; accent-color: var(--jp-brand-color1, #1976d2)";
      value.style.cssText = `min-width: ${normal ? 7.5 : 3.5}em; text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap`;
      note.style.cssText = "min-width: 6em; text-align: right; white-space: nowrap; opacity: 0.75";
      text.textContent = name;
      note.textContent = model.get("notes")[index] ?? "";
      slider.type = "range";
      slider.dataset.lmSuppressShortcuts = "true"; // else JupyterLab takes the arrow keys
      slider.addEventListener("input", () => {
        const all = [...model.get("value")];
        all[index] = byQuantile() ? Math.round(1000 * quantile(slider.value / 100)) / 1000 : Number(slider.value);
        model.set("value", all);
        model.save_changes();
      });
      label.append(text, slider);
      row.append(label, value, ...(note.textContent ? [note] : []));
      return { row, slider, value };
    });
    const follow = () => {
      rows.forEach(({ slider, value }, index) => {
        const number = model.get("value")[index], share = 100 * below(number);
        slider.value = byQuantile() ? share : number;
        value.textContent = number.toFixed(2).replace(/^-(?=0\.00$)/, "").replace("-", "−") + (normal ? ` (${share.toFixed(1)} %)` : "");
        slider.setAttribute("aria-valuetext", value.textContent);
      });
    };
    const scale = () => {
      const [min, max, step] = byQuantile() ? [0.1, 99.9, 0.1] : ["low", "high", "step"].map((name) => model.get(name));
      rows.forEach(({ slider }) => Object.assign(slider, { min, max, step }));
      follow();
    };
    el.style.color = "var(--jp-ui-font-color1, inherit)";
    el.style.fontSize = "var(--jp-ui-font-size1, 13px)";
    el.append(...rows.map(({ row }) => row));
    model.on("change:value", follow);
    model.on("change:by", scale);
    scale();
  },
};
