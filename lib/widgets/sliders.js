// A slider for each of several numbers, with its name before it and its value behind it.
export default {
  render({ model, el }) {
    const rows = model.get("names").map((name, index) => {
      const row = document.createElement("div"), label = document.createElement("label"), text = document.createElement("span");
      const slider = document.createElement("input"), value = document.createElement("output");
      row.style.cssText = "display: flex; align-items: center; gap: 8px; min-height: 28px";
      label.style.cssText = "display: flex; align-items: center; gap: 8px";
      text.style.cssText = "min-width: 2em; text-align: right";
      slider.style.cssText = "width: 220px; margin: 0; accent-color: var(--jp-brand-color1, #1976d2)";
      value.style.cssText = "min-width: 3.5em; text-align: right; font-variant-numeric: tabular-nums";
      text.textContent = name;
      slider.dataset.lmSuppressShortcuts = "true"; // else JupyterLab takes the arrow keys
      Object.assign(slider, { type: "range", min: model.get("low"), max: model.get("high"), step: model.get("step") });
      slider.addEventListener("input", () => {
        const all = [...model.get("value")];
        all[index] = Number(slider.value);
        model.set("value", all);
        model.save_changes();
      });
      label.append(text, slider);
      row.append(label, value);
      return { row, slider, value };
    });
    const follow = () => {
      rows.forEach(({ slider, value }, index) => {
        const number = model.get("value")[index];
        slider.value = number;
        value.textContent = number.toFixed(2).replace(/^-(?=0\.00$)/, "").replace("-", "−");
      });
    };
    el.style.color = "var(--jp-ui-font-color1, inherit)";
    el.style.fontSize = "var(--jp-ui-font-size1, 13px)";
    el.append(...rows.map(({ row }) => row));
    model.on("change:value", follow);
    follow();
  },
};
