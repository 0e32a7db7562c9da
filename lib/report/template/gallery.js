// Galleries of the fixed latents over the epochs. The page has one epoch, kept in the address: every slider moves all galleries.
const epochsOf = (box) => box.dataset.epochs.split(",").map(Number);
const chosenEpoch = () => Number(state.get("epoch")) || Infinity; // none chosen: the last one of each
const frameAt = (box) => Math.max(0, epochsOf(box).findLastIndex((epoch) => epoch <= chosenEpoch()));

// Shows the chosen epoch in a film, or the nearest before it. A copy of a film needs this once.
function film(box) {
  one(".film-view", box).style.setProperty("--frame", frameAt(box));
}

function showEpoch() {
  all(".film").forEach(film);
  all(".epochs").forEach((bar) => {
    const slider = one("input", bar), epoch = epochsOf(bar)[frameAt(bar)];
    slider.value = frameAt(bar);
    slider.setAttribute("aria-valuetext", `epoch ${epoch}`);
    one("output", bar).textContent = epoch;
  });
}

function epochs(bar) {
  const slider = one("input", bar), play = one("button", bar), every = epochsOf(bar), last = every.length - 1;
  let timer = 0;
  const go = (index) => { state.set("epoch", index === last ? "" : every[index]); showEpoch(); };
  const name = play?.getAttribute("aria-label");
  const stop = () => { clearInterval(timer); timer = 0; if (play) { play.textContent = "▶"; play.setAttribute("aria-label", name); } };
  slider.addEventListener("input", () => { stop(); go(Number(slider.value)); });
  play?.addEventListener("click", () => {
    if (timer) return stop();
    if (Number(slider.value) === last) go(0);
    play.textContent = "❚❚";
    play.setAttribute("aria-label", name.replace("Play", "Pause"));
    timer = setInterval(() => { go(Number(slider.value) + 1); if (Number(slider.value) === last) stop(); }, 600);
  });
}

// A film that stands in two figures is in the page once; the second place gets its strip here.
function again(box) {
  const source = document.getElementById(box.dataset.of);
  if (!source) return;
  const [from, to] = [source, box].map((film) => one(".film-view img", film));
  ["src", "alt", "width", "height"].forEach((name) => to.setAttribute(name, from.getAttribute(name)));
  one(".film-view", box).style.setProperty("--frames", epochsOf(source).length);
}

all(".film[data-of]").forEach(again);
all(".epochs").forEach(epochs);
state.on("epoch", showEpoch);
showEpoch();
