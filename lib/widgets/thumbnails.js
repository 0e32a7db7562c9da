// Pictures in a row, of which one is chosen by mouse or arrow keys: radio buttons whose names are read out.
export default {
  render({ model, el }) {
    const group = document.createElement("fieldset"), legend = document.createElement("legend"), name = `one-of-${Math.random()}`;
    group.className = "latent-report-thumbnails";
    legend.textContent = model.get("label");
    const choices = model.get("names").map((words, index) => {
      const label = document.createElement("label"), choice = document.createElement("input"), image = document.createElement("img");
      Object.assign(choice, { type: "radio", name, title: words });
      choice.dataset.lmSuppressShortcuts = "true"; // else JupyterLab takes the arrow keys
      choice.addEventListener("change", () => {
        model.set("value", index);
        model.save_changes();
      });
      image.alt = words;
      image.src = URL.createObjectURL(new Blob([model.get("pictures")[index]], { type: "image/png" }));
      label.append(choice, image);
      return { label, choice };
    });
    group.append(legend, ...choices.map(({ label }) => label));
    el.append(group);
    const follow = () => choices.forEach(({ choice }, index) => { choice.checked = index === model.get("value"); });
    model.on("change:value", follow);
    follow();
  },
};
