// A run's galleries over the epochs.
function film(box) {
  const view = one(".film-view", box), slider = one("input", box), out = one("output", box), play = one("button", box);
  const epochs = box.dataset.epochs.split(",");
  let timer = 0;
  const show = () => { view.style.setProperty("--frame", slider.value); out.textContent = `epoch ${epochs[slider.value]}`; };
  const stop = () => { clearInterval(timer); timer = 0; play.textContent = "▶"; };
  slider.addEventListener("input", () => { stop(); show(); });
  play.addEventListener("click", () => {
    if (timer) return stop();
    if (slider.value === slider.max) slider.value = 0;
    show();
    play.textContent = "❚❚";
    timer = setInterval(() => { slider.value = Number(slider.value) + 1; show(); if (slider.value === slider.max) stop(); }, 600);
  });
  show();
}

all(".film").forEach(film);
