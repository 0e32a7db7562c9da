// Twenty pairs of a real and a generated image: what the reader answers stays in this page.
function quiz() {
  const box = one("#quiz");
  if (!box || !one("#quiz-data")) return;
  const pick = one("#quiz-run"), start = one("#quiz-start"), pair = one(".quiz-pair", box), said = one("#quiz-said"), bar = one("progress", box), results = one(".scroll", box);
  const sides = all("[data-side]", box), past = new Map(); // errors by run, a number a round
  let data = null, run = null, pictures = [], pairs = [], at = 0, errors = 0;

  const shuffled = (count) => {
    const found = [...Array(count).keys()];
    for (let i = count - 1; i > 0; i--) {
      const j = Math.floor(Math.random() * (i + 1));
      [found[i], found[j]] = [found[j], found[i]];
    }
    return found;
  };
  const loaded = async (source) => {
    const image = new Image();
    image.src = source;
    await image.decode();
    return image;
  };
  const show = () => {
    const [height, width] = run.size, { real, fake, left } = pairs[at];
    sides.forEach((side, i) => {
      const canvas = one("canvas", side), isReal = (i === 0) === left;
      Object.assign(canvas, { width, height });
      canvas.getContext("2d").drawImage(pictures[isReal ? 0 : 1], -(width + 1) * (isReal ? real : fake), 0);
    });
    bar.max = pairs.length;
    bar.value = at;
    said.textContent = `Pair ${at + 1} of ${pairs.length}.`;
  };
  const begin = async () => {
    data ??= JSON.parse(one("#quiz-data").textContent);
    run = data.runs.find((one) => one.name === pick.value);
    pictures = await Promise.all([loaded(data.real[run.real]), loaded(run.fake)]);
    const real = shuffled(run.count), fake = shuffled(run.count);
    pairs = real.map((place, i) => ({ real: place, fake: fake[i], left: Math.random() < 0.5 }));
    at = errors = 0;
    pair.hidden = false;
    show();
    sides[0].focus();
  };
  const answer = (side) => {
    if (pair.hidden) return;
    errors += (side === 0) !== pairs[at].left;
    if (++at < pairs.length) show();
    else end();
  };
  const end = () => {
    pair.hidden = true;
    past.set(run, [...(past.get(run) ?? []), errors]);
    const rate = (wrong, count) => `${Math.round(100 * wrong / count)} %`;
    said.textContent = `You took the generated image for the real one in ${errors} of ${pairs.length} pairs: an error rate of ${rate(errors, pairs.length)}. `
      + `${run.distance ? `The run's ${run.distance[0]} is ${run.distance[1]}. ` : ""}Someone who cannot tell them apart is wrong about half the time${pairs.length === 20 ? "; with twenty pairs, guessing gives 6 to 14 errors in 19 of 20 rounds" : ""}.`;
    one("tbody", results).replaceChildren(...[...past].map(([of, rounds]) => {
      const row = document.createElement("tr"), all = rounds.reduce((sum, wrong) => sum + wrong, 0);
      [of.label, `${rounds.join(", ")} of ${of.count}`, rate(all, of.count * rounds.length), (of.distance ?? ["–"]).join(" ")].forEach((text, i) => {
        const cell = row.insertCell();
        cell.textContent = text;
        if (i === 1 || i === 2) cell.className = "number";
      });
      return row;
    }));
    results.hidden = false;
    start.textContent = "Again";
    start.focus();
  };
  start.addEventListener("click", begin);
  sides.forEach((side, i) => side.addEventListener("click", () => answer(i)));
  pair.addEventListener("keydown", (event) => {
    const side = { ArrowLeft: 0, ArrowRight: 1 }[event.key];
    if (side === undefined || event.repeat) return;
    event.preventDefault();
    answer(side);
  });
  const chosen = (name) => {
    if ([...pick.options].some((option) => option.value === name)) pick.value = name;
    pair.hidden = true;
    start.textContent = "Start";
  };
  pick.addEventListener("change", () => { chosen(pick.value); said.textContent = ""; state.set("quiz", pick.value, "quiz"); });
  state.on("quiz", chosen);
  chosen(state.get("quiz"));
}

quiz();
