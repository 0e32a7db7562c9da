// A button for each kind of file: the kernel makes it, and the browser offers it as a download.
export default {
  initialize({ model }) {
    model.on("msg:custom", ({ name }, [content]) => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([content]));
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
  },
  render({ model, el }) {
    for (const name of model.get("names")) {
      const button = document.createElement("button");
      Object.assign(button, { type: "button", className: "jupyter-button widget-button lm-Widget jupyter-widgets" });
      button.textContent = `Save as ${name.split(".").pop().toUpperCase()}`;
      button.style.width = "auto";
      button.addEventListener("click", () => model.send(name));
      el.append(button);
    }
  },
};
