// A PNG with words for it.
export default {
  render({ model, el }) {
    const image = document.createElement("img");
    image.style.cssText = "display: block; max-width: 100%";
    image.draggable = false;
    el.append(image);
    const draw = () => {
      const before = image.src;
      image.alt = model.get("alt");
      image.className = model.get("kind");
      image.style.width = model.get("width") ? `${model.get("width")}px` : "";
      image.src = URL.createObjectURL(new Blob([model.get("value")], { type: "image/png" }));
      if (before) URL.revokeObjectURL(before);
    };
    model.on("change", draw);
    draw();
  },
};
