// The decoder over a grid of z, as mean + coefficients · basis, all in bytes (see sections/planes.py).
function plane(box) {
  const canvas = document.getElementById(box.dataset.plane), facts = study?.planes[box.dataset.plane];
  if (!facts) return;
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const mean = bytes(facts.mean), basis = new Int8Array(bytes(facts.basis).buffer), coefficients = new Int8Array(bytes(facts.coefficients).buffer);
  const { count, rank, reach, channels, scales, margins } = facts, pixels = mean.length;
  const context = canvas.getContext("2d"), picture = context.createImageData(canvas.width, canvas.height);
  const out = one("output", canvas.parentElement), cross = document.createElement("i");
  box.append(cross);
  box.tabIndex = 0;
  box.setAttribute("role", "application");
  box.setAttribute("aria-label", box.dataset.label);
  const z = [0, 0];
  const draw = () => {
    const [x, y] = [z[0], -z[1]].map((value) => (value + reach) / (2 * reach) * (count - 1));
    const [left, top] = [x, y].map((value) => Math.min(Math.floor(value), count - 2)), dx = x - left, dy = y - top;
    const values = Float32Array.from(mean);
    for (let k = 0; k < rank; k++) {
      const at = (row, column) => coefficients[(row * count + column) * rank + k];
      const weight = ((1 - dy) * ((1 - dx) * at(top, left) + dx * at(top, left + 1)) + dy * ((1 - dx) * at(top + 1, left) + dx * at(top + 1, left + 1))) * scales[k];
      for (let i = 0, j = k * pixels; i < pixels; i++, j++) values[i] += weight * basis[j];
    }
    for (let i = 0, p = 0; i < pixels; i += channels, p += 4) {
      for (let c = 0; c < 3; c++) picture.data[p + c] = values[i + (channels === 3 ? c : 0)];
      picture.data[p + 3] = 255;
    }
    context.putImageData(picture, 0, 0);
    out.textContent = `z₁ ${z[0].toFixed(2)}, z₂ ${z[1].toFixed(2)}`;
    const [l, r, b, t] = margins;
    cross.style.left = `${100 * (l + (r - l) * (z[0] + reach) / (2 * reach))}%`;
    cross.style.top = `${100 * (1 - (b + (t - b) * (z[1] + reach) / (2 * reach)))}%`;
  };
  const move = (horizontal, vertical) => {
    [horizontal, vertical].forEach((value, i) => { z[i] = Math.max(-reach, Math.min(reach, value)); });
    draw();
  };
  box.addEventListener("pointermove", (event) => {
    const rect = one("img", box).getBoundingClientRect(), [l, r, b, t] = margins;
    move(((event.clientX - rect.left) / rect.width - l) / (r - l) * 2 * reach - reach, (1 - (event.clientY - rect.top) / rect.height - b) / (t - b) * 2 * reach - reach);
  });
  box.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] }[event.key];
    if (step) { event.preventDefault(); move(z[0] + step[0], z[1] + step[1]); }
  });
  draw();
}

all(".plane").forEach(plane);
