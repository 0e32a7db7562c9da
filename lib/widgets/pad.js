// A black square to draw on in white; `value` is the drawing as a PNG, and empty before the first stroke.
const SIDE = 280;

export default {
  render({ model, el }) {
    const canvas = document.createElement("canvas"), clear = document.createElement("button"), pen = canvas.getContext("2d");
    Object.assign(canvas, { width: SIDE, height: SIDE });
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", "Draw here with the mouse, white on black; a file can be uploaded instead");
    canvas.style.cssText = "display: block; border: 1px solid #888; touch-action: none; cursor: crosshair; max-width: 100%";
    Object.assign(clear, { type: "button", textContent: "Clear", className: "jupyter-button widget-button lm-Widget jupyter-widgets" });
    el.append(canvas, clear);
    const empty = () => {
      Object.assign(pen, { fillStyle: "black", strokeStyle: "white", lineWidth: SIDE / 10, lineCap: "round", lineJoin: "round" });
      pen.fillRect(0, 0, SIDE, SIDE);
    };
    const keep = (content) => {
      model.set("value", new DataView(content));
      model.save_changes();
    };
    const place = (event) => [event.offsetX, event.offsetY].map((value) => value * SIDE / canvas.clientWidth);
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      pen.beginPath();
      pen.moveTo(...place(event));
      pen.lineTo(...place(event)); // a dot
      pen.stroke();
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!event.buttons) return;
      pen.lineTo(...place(event));
      pen.stroke();
    });
    canvas.addEventListener("pointerup", () => canvas.toBlob(async (blob) => keep(await blob.arrayBuffer())));
    clear.addEventListener("click", () => { empty(); keep(new ArrayBuffer(0)); });
    empty();
    const before = model.get("value");
    if (before?.byteLength) createImageBitmap(new Blob([before])).then((image) => pen.drawImage(image, 0, 0));
  },
};
