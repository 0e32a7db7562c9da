// A picture of a plane of two latents: press and drag, or use the arrow keys, and `value` follows; where it is, a ring.
export default {
  render({ model, el }) {
    const image = document.createElement("img"), box = document.createElement("div"), ring = document.createElement("i");
    const reach = model.get("reach"), edge = 0.5 / model.get("side"); // of the outermost images' middles, at -reach and reach
    box.tabIndex = 0;
    box.dataset.lmSuppressShortcuts = "true"; // else JupyterLab takes the arrow keys
    box.setAttribute("role", "application");
    box.setAttribute("aria-label", "Latent plane: drag, or move with the arrow keys");
    box.style.cssText = "position: relative; display: inline-block; touch-action: none; cursor: crosshair; user-select: none";
    ring.style.cssText = "position: absolute; width: 16px; height: 16px; margin: -10px; border: 2px solid white; border-radius: 50%; box-shadow: 0 0 0 2px #d55e00; pointer-events: none";
    image.draggable = false;
    image.alt = "Images decoded on a grid over two latents";
    image.style.cssText = "display: block; width: 320px; image-rendering: pixelated";
    box.append(image, ring);
    el.append(box);
    const source = () => { image.src = URL.createObjectURL(new Blob([model.get("picture")], { type: "image/png" })); };
    const inside = (value) => Math.max(-reach, Math.min(reach, value));
    const place = () => {
      const [x, y] = model.get("value").map(inside).map((value) => edge + (1 - 2 * edge) * (value + reach) / (2 * reach));
      ring.style.left = `${100 * x}%`;
      ring.style.top = `${100 * (1 - y)}%`;
    };
    const move = (z) => {
      model.set("value", z.map((value) => Math.round(20 * inside(value)) / 20));
      model.save_changes();
    };
    const follow = (event) => {
      if (!event.buttons) return;
      const rect = image.getBoundingClientRect();
      const parts = [(event.clientX - rect.left) / rect.width, 1 - (event.clientY - rect.top) / rect.height];
      move(parts.map((part) => ((part - edge) / (1 - 2 * edge) * 2 - 1) * reach));
    };
    box.addEventListener("pointerdown", (event) => { box.setPointerCapture(event.pointerId); follow(event); });
    box.addEventListener("pointermove", follow);
    box.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] }[event.key];
      if (!step) return;
      event.preventDefault();
      move(model.get("value").map((value, i) => value + step[i]));
    });
    model.on("change:value", place);
    model.on("change:picture", source);
    source();
    place();
  },
};
