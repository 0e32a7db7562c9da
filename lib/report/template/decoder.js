// Trained networks computed here, and moved in by hand. What an operation does stands in report/operations.py.
const ACTIVATIONS = {
  relu: () => (x) => x > 0 ? x : 0,
  leaky_relu: (a) => (x) => x > 0 ? x : a * x,
  elu: (a) => (x) => x > 0 ? x : a * Math.expm1(x),
  tanh: () => Math.tanh,
  sigmoid: () => (x) => 1 / (1 + Math.exp(-x)),
  softplus: () => (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  silu: () => (x) => x / (1 + Math.exp(-x)),
};

// Base 85: five digits are four bytes.
const DIGITS = new Map([..."0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%:()*+-;.=,?@^_`{|}~"].map((digit, i) => [digit, i]));

async function unpacked(text) {
  const bytes = new Uint8Array(4 * Math.ceil(text.length / 5)), view = new DataView(bytes.buffer);
  for (let i = 0, at = 0; i < text.length; at += 4) {
    let value = 0;
    for (const end = i + 5; i < end; i++) value = 85 * value + (DIGITS.get(text[i]) ?? 84);
    view.setUint32(at, value);
  }
  return new Response(new Blob([bytes.subarray(0, Math.floor(text.length * 4 / 5))]).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer();
}

// A function from latents to the image's numbers in [0, 1].
async function network(facts) {
  const weights = new Int8Array(await unpacked(facts.weights)), floats = new Float32Array(await unpacked(facts.floats));
  let at = 0, place = 0;
  const taken = (count) => floats.subarray(place, place += count);
  const steps = facts.operations.map((one) => {
    if (one.op === "activation") {
      const act = ACTIVATIONS[one.name](one.parameter);
      return (x) => { for (let i = 0; i < x.length; i++) x[i] = act(x[i]); return x; };
    }
    if (one.op === "classes") return (x) => {
      const first = x.subarray(0, one.count);
      return Float32Array.of(...x, ...first.map((z) => z === Math.max(...first)));
    };
    const count = one.outputs, scale = taken(count), bias = taken(count);
    if (one.op === "affine") return (x) => { for (let i = 0; i < x.length; i++) x[i] = x[i] * scale[i % count] + bias[i % count]; return x; };
    const matrix = one.exact ? taken(one.inputs * count) : new Float32Array(one.inputs * count);
    if (!one.exact) for (let k = 0; k < matrix.length; k++, at++) matrix[k] = weights[at] * scale[k % count];
    return one.op === "linear" ? linear(matrix, bias) : convolution(matrix, bias, one);
  });
  return (z) => steps.reduce((x, step) => step(x), Float32Array.from(z));
}

function linear(matrix, bias) {
  const out = new Float32Array(bias.length);
  return (x) => {
    out.set(bias);
    for (let i = 0, k = 0; i < x.length; i++) {
      const value = x[i];
      if (value === 0) { k += out.length; continue; }
      for (let j = 0; j < out.length; j++, k++) out[j] += value * matrix[k];
    }
    return out;
  };
}

function convolution(matrix, bias, { from: [height, width, channels], to: [, across, count], rows, columns, to }) {
  const out = new Float32Array(to[0] * across * count), high = rows.length / height, wide = columns.length / width;
  return (x) => {
    for (let i = 0; i < out.length; i += count) out.set(bias, i);
    for (let row = 0; row < rows.length; row++) {
      if (rows[row] < 0) continue;
      for (let column = 0; column < columns.length; column++) {
        if (columns[column] < 0) continue;
        const first = (rows[row] * across + columns[column]) * count;
        let i = (Math.floor(row / high) * width + Math.floor(column / wide)) * channels;
        let k = ((row % high) * wide + column % wide) * channels * count;
        for (const end = i + channels; i < end; i++) {
          const value = x[i];
          if (value === 0) { k += count; continue; }
          for (let j = first; j < first + count; j++, k++) out[j] += value * matrix[k];
        }
      }
    }
    return out;
  };
}

const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());

// From one latent vector to another on a path that keeps their length.
function between(first, last, part) {
  const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
  const angle = Math.acos(Math.max(-1, Math.min(1, dot(first, last) / Math.sqrt(dot(first, first) * dot(last, last)) || 0)));
  const [a, b] = Math.sin(angle) < 1e-4 ? [1 - part, part] : [(1 - part) * angle, part * angle].map((turn) => Math.sin(turn) / Math.sin(angle));
  return first.map((value, i) => a * value + b * last[i]);
}

// The numbers of a text, or what is wrong with it.
function vector(text, count) {
  const words = text.replace(/[[\]()]/g, " ").replace(/−/g, "-").split(/[\s,;~]+/).filter(Boolean), values = words.map(Number);
  const wrong = words.find((word, i) => !Number.isFinite(values[i]));
  if (wrong !== undefined) return `“${wrong.slice(0, 20)}” is not a number.`;
  if (values.length !== count) return `${values.length} number${values.length === 1 ? "" : "s"}, but this decoder takes ${count}.`;
  return values;
}

function decoders() {
  const box = one("#decoder");
  if (!box || !one("script[data-decoder]", box)) return;
  const [pick, picture, note, more, text, said, field, strip, play, step] = ["run", "picture", "note", "more", "z", "said", "field", "strip", "play", "step"].map((name) => one(`#decoder-${name}`));
  const axes = [one("#decoder-across"), one("#decoder-up")], sliders = one(".decoders-sliders div", box), cross = one("i", field), grid = one("canvas", field);
  const REACH = 3, SIDE = 11, WALK = 12, FIRST = 10;
  const opened = new Map(); // decoders by run: parsed once
  let run = null, z = [], order = [], ends = [], waiting = false, cost = 0, timer = 0, saving = 0, filling = 0, playing = 0;

  const digit = (i) => `z${String(i + 1).replace(/\d/g, (letter) => "₀₁₂₃₄₅₆₇₈₉"[letter])}`;
  const element = (name, content) => Object.assign(document.createElement(name), content === undefined ? {} : { textContent: content });
  const drawn = (context, numbers, left = 0, top = 0) => {
    const [height, width, channels] = run.shape, image = context.createImageData(width, height);
    for (let i = 0, p = 0; i < numbers.length; i += channels, p += 4) {
      for (let c = 0; c < 3; c++) image.data[p + c] = Math.round(255 * numbers[i + (channels === 3 ? c : 0)]);
      image.data[p + 3] = 255;
    }
    context.putImageData(image, left, top);
  };

  // ---- the large picture, and all that says where we are
  const draw = () => {
    waiting = false;
    const start = performance.now();
    drawn(picture.getContext("2d"), run.compute(z));
    const took = performance.now() - start;
    cost = cost && took > cost ? 0.9 * cost + 0.1 * took : took; // others may be at work too
    picture.dataset.ms = cost.toFixed(2);
    picture.setAttribute("aria-label", `Image decoded by the ${pick.selectedOptions[0].textContent}`);
  };
  const say = () => {
    all("label", sliders).forEach((label) => {
      const i = Number(label.dataset.latent), input = one("input", label);
      if (document.activeElement !== input || Math.abs(input.value - z[i]) > 0.006) input.value = z[i];
      one("output", label).textContent = z[i].toFixed(2).replace("-", "−");
    });
    if (document.activeElement !== text) text.value = z.map((value) => value.toFixed(3)).join(", ");
    const [x, y] = axes.map((axis) => Math.max(-REACH, Math.min(REACH, z[axis.value] ?? 0)));
    const percent = (value) => 100 * (0.5 + (SIDE - 1) * (value + REACH) / (2 * REACH)) / SIDE;
    cross.style.left = `${percent(x)}%`;
    cross.style.top = `${percent(-y)}%`;
  };
  const kept = () => {
    clearTimeout(saving);
    saving = setTimeout(() => {
      state.set("decoder", run.name);
      state.set("axes", axes.map((axis) => Number(axis.value) + 1).join("~"));
      state.set("z", z.map((value) => Number(value.toFixed(3))).join("~"), "decoder");
    }, 300);
  };
  const move = (values, chosen = true) => {
    z = values;
    said.textContent = "";
    text.removeAttribute("aria-invalid");
    if (!waiting) {
      waiting = true; // a slow picture is drawn less often, so that the page goes on answering
      cost > 50 ? setTimeout(draw, 2 * cost) : requestAnimationFrame(draw);
    }
    say();
    background();
    if (chosen) kept();
  };
  const turned = (i, value) => move(z.map((before, j) => j === i ? value : before));

  // ---- sliders
  const slider = (i) => {
    const label = element("label"), input = element("input");
    Object.assign(input, { type: "range", min: -REACH, max: REACH, step: 0.01 });
    label.dataset.latent = i;
    label.append(element("span", digit(i)), input, element("output"), element("small", `${run.told[i].toFixed(run.unit === "nats" ? 2 : 1)} ${run.unit}`));
    input.addEventListener("input", () => turned(i, Number(input.value)));
    return label;
  };
  const rows = (every) => {
    sliders.replaceChildren(...order.slice(0, every ? order.length : FIRST).map(slider));
    more.hidden = order.length <= FIRST;
    more.textContent = every ? `Show the first ${FIRST}` : `Show all ${order.length}`;
    more.setAttribute("aria-expanded", every);
    say();
  };
  more.addEventListener("click", () => rows(more.getAttribute("aria-expanded") !== "true"));

  // ---- the plane of two latents: small pictures in the background, as long as that does not take too long
  let shown = "";
  const background = () => {
    const [a, b] = axes.map((axis) => Number(axis.value)), plain = cost > 25;
    const key = plain ? "" : [run.name, a, b, ...z.filter((_, i) => i !== a && i !== b)].join();
    if (key === shown) return;
    shown = key;
    clearTimeout(timer);
    const [height, width] = run.shape, mine = ++filling, context = grid.getContext("2d");
    let at = 0;
    const some = () => {
      if (mine !== filling) return;
      for (const end = performance.now() + 8; at < SIDE * SIDE && performance.now() < end; at++) {
        const row = Math.floor(at / SIDE), column = at % SIDE, there = [...z];
        there[b] = REACH - 2 * REACH * row / (SIDE - 1);
        there[a] = 2 * REACH * column / (SIDE - 1) - REACH;
        drawn(context, run.compute(there), column * width, row * height);
      }
      if (at < SIDE * SIDE) timer = setTimeout(some, 4);
      else grid.dataset.done = key;
    };
    if (plain) context.clearRect(0, 0, grid.width, grid.height);
    else timer = setTimeout(some, 120);
  };
  const onPlane = (x, y) => {
    const there = [...z], inside = (value) => Math.max(-REACH, Math.min(REACH, value));
    there[axes[1].value] = inside(y);
    there[axes[0].value] = inside(x);
    move(there);
  };
  const pointed = (event) => {
    const rect = grid.getBoundingClientRect();
    const [x, y] = [(event.clientX - rect.left) / rect.width, (event.clientY - rect.top) / rect.height].map((part) => (part * SIDE - 0.5) / (SIDE - 1) * 2 * REACH - REACH);
    onPlane(x, -y);
  };
  Object.assign(field, { tabIndex: 0 }).setAttribute("role", "application");
  field.setAttribute("aria-label", "Plane of two latents: drag, or move with the arrow keys");
  field.addEventListener("pointerdown", (event) => { field.setPointerCapture(event.pointerId); pointed(event); });
  field.addEventListener("pointermove", (event) => { if (event.buttons) pointed(event); });
  field.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] }[event.key];
    if (by) { event.preventDefault(); onPlane(z[axes[0].value] + by[0], z[axes[1].value] + by[1]); }
  });
  axes.forEach((axis) => axis.addEventListener("change", () => move(z)));

  // ---- a walk
  const walk = () => {
    const [height, width] = run.shape, context = strip.getContext("2d"), sample = () => order.map(normal);
    ends = [sample(), sample()];
    Object.assign(strip, { width: width * WALK, height });
    for (let i = 0; i < WALK; i++) drawn(context, run.compute(between(...ends, i / (WALK - 1))), i * width);
    step.value = 0;
  };
  const stepped = () => move(between(...ends, Number(step.value)));
  const playOn = (on) => {
    clearInterval(playing);
    playing = 0;
    play.textContent = on ? "❚❚" : "▶";
    play.setAttribute("aria-label", on ? "Stop the walk" : "Play the walk");
    if (!on) return;
    if (Number(step.value) >= 1) step.value = 0;
    playing = setInterval(() => {
      step.value = Number(step.value) + 0.01;
      stepped();
      if (Number(step.value) >= 1) playOn(false);
    }, 50);
  };
  play.addEventListener("click", () => playOn(!playing));
  step.addEventListener("input", stepped);
  one("#decoder-other").addEventListener("click", () => { playOn(false); walk(); stepped(); });
  strip.addEventListener("click", (event) => {
    const rect = strip.getBoundingClientRect();
    step.value = Math.max(0, Math.min(1, ((event.clientX - rect.left) / rect.width * WALK - 0.5) / (WALK - 1)));
    stepped();
  });

  // ---- vectors, typed and copied
  one("#decoder-random").addEventListener("click", () => move(order.map(normal)));
  one("#decoder-zero").addEventListener("click", () => move(order.map(() => 0)));
  const typed = () => {
    const values = vector(text.value, order.length);
    text.setAttribute("aria-invalid", !Array.isArray(values));
    if (!Array.isArray(values)) { said.textContent = values; return; }
    move(values);
    if (values.some((value) => Math.abs(value) > REACH)) said.textContent = `Numbers beyond ±${REACH} lie outside the sliders and the plane.`;
  };
  text.addEventListener("change", typed);
  text.addEventListener("blur", () => { if (!said.textContent) say(); });
  one("#decoder-copy").addEventListener("click", async () => {
    try { await navigator.clipboard.writeText(text.value); said.textContent = "Copied."; } catch {
      text.select();
      said.textContent = "It is selected: copy it with Ctrl+C.";
    }
  });

  // ---- a run, read when it is chosen, and what the address says
  const read = async (name) => {
    if (!opened.has(name)) {
      const facts = JSON.parse(all("script[data-decoder]", box).find((script) => script.dataset.decoder === name).textContent);
      opened.set(name, network(facts).then((compute) => ({ name, told: facts.told, unit: facts.unit, shape: facts.shape, mean: facts.mean, largest: facts.largest, compute })));
    }
    return opened.get(name);
  };
  const choose = async (name, values, pair) => {
    pick.value = name;
    const found = await read(name);
    if (pick.value !== name) return; // another one has been chosen meanwhile
    playOn(false);
    const other = found !== run, [height, width] = found.shape;
    run = found;
    if (other) {
      cost = 0;
      order = run.told.map((_, i) => i).sort((i, j) => run.told[j] - run.told[i]);
      if (z.length !== order.length) z = order.map(normal);
      Object.assign(picture, { width, height });
      Object.assign(grid, { width: width * SIDE, height: height * SIDE });
      axes.forEach((axis, k) => {
        axis.replaceChildren(...order.map((i) => Object.assign(element("option", digit(i)), { value: i })));
        axis.value = order[Math.min(k, order.length - 1)];
      });
      for (let i = 0; i < 4; i++) draw(); // the first ones take longer
      walk();
      rows(false);
      note.textContent = `This page's decoder differs from Keras by ${run.mean.toFixed(2)} of 255 grey levels on average, ${run.largest} at most.`;
    }
    axes.forEach((axis, k) => { if (order.includes(pair?.[k])) axis.value = pair[k]; });
    said.textContent = "";
    text.removeAttribute("aria-invalid");
    move(values ?? z, false);
    box.dataset.ready = name;
  };
  const restore = () => {
    const name = [...pick.options].map((option) => option.value).find((value) => value === state.get("decoder")) ?? pick.value;
    const pair = state.get("axes").split("~").map((value) => Number(value) - 1);
    read(name).then((found) => {
      const values = vector(state.get("z"), found.told.length);
      choose(name, Array.isArray(values) ? values : undefined, pair);
    });
  };
  pick.addEventListener("change", () => choose(pick.value).then(kept));
  ["decoder", "z", "axes"].forEach((name) => state.on(name, restore));
  new IntersectionObserver((seen, observer) => {
    if (seen.some((entry) => entry.isIntersecting)) { observer.disconnect(); restore(); }
  }, { rootMargin: "400px" }).observe(box);
}

decoders();
