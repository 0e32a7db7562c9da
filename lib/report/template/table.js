// All runs, to be sorted and filtered, with the columns that the reader wants.
function table() {
  const grid = one("#runs-table");
  if (!grid) return;
  const body = one("tbody", grid), rows = all("tr", body), heads = all("thead th", grid), keys = heads.map((head) => head.dataset.column);
  filtering(rows);
  sorting(body, rows, heads, keys);
  columns(heads, keys);
  if (comparison) choosing(rows);
}

function filtering(rows) {
  const filter = one("#filter"), count = one("#filtered");
  const texts = rows.map((row) => [row.cells[0].title, ...[...row.cells].filter((cell) => cell.className !== "number").map((cell) => cell.textContent)].join(" ").toLowerCase());
  const apply = (text) => {
    const words = [...text.toLowerCase().matchAll(/"([^"]+)"|[^\s"]+/g)].map(([word, phrase]) => phrase ?? word);
    let shown = 0;
    rows.forEach((row, i) => { row.hidden = !words.every((word) => texts[i].includes(word)); shown += !row.hidden; });
    count.textContent = words.length ? `${shown} of ${rows.length} runs` : `${rows.length} runs`;
  };
  filter.addEventListener("input", () => { apply(filter.value); state.set("filter", filter.value, "every-run"); });
  const restore = (text) => { filter.value = text; apply(text); };
  if (state.get("filter")) restore(state.get("filter"));
  state.on("filter", restore);
}

// The state is a column, with a minus if the largest stand first.
function sorting(body, rows, heads, keys) {
  const apply = (order) => {
    const down = order.startsWith("-"), sign = down ? -1 : 1, column = keys.indexOf(order.slice(down));
    heads.forEach((head, i) => { if (i === column) head.setAttribute("aria-sort", down ? "descending" : "ascending"); else head.removeAttribute("aria-sort"); });
    if (column < 0) return body.append(...rows);
    const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
    body.append(...rows.toSorted((a, b) => {
      const [first, second] = [key(a), key(b)];
      if (first === "" || second === "") return (first === "") - (second === ""); // what is missing stands last
      const numbers = [Number(first), Number(second)];
      return sign * (numbers.some(Number.isNaN) ? first.localeCompare(second, "en", { numeric: true }) : numbers[0] - numbers[1]);
    }));
  };
  heads.forEach((head, i) => {
    const button = make("button", { type: "button" }, ...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const order = head.getAttribute("aria-sort") === "ascending" ? `-${keys[i]}` : keys[i];
      apply(order);
      state.set("sort", order, "every-run");
    });
  });
  if (state.get("sort")) apply(state.get("sort"));
  state.on("sort", apply);
}

// One rule of style hides the columns that are not wanted: no cell is touched, however many runs there are.
function columns(heads, keys) {
  const usual = keys.filter((key, i) => !("off" in heads[i].dataset)), style = make("style"), list = one("#columns");
  const boxes = keys.slice(1).map((key, i) => {
    const box = make("input", { type: "checkbox", value: key });
    list.append(make("label", {}, box, heads[i + 1].textContent));
    return box;
  });
  const apply = (chosen) => {
    const shown = new Set(chosen ? state.unpack(chosen) : usual);
    boxes.forEach((box) => { box.checked = shown.has(box.value); });
    const hidden = boxes.flatMap((box, i) => box.checked ? [] : [`#runs-table tr > :nth-child(${i + 2})`]);
    style.textContent = hidden.length ? `${hidden.join(", ")} { display: none; }` : "";
  };
  list.addEventListener("change", () => {
    const shown = boxes.filter((box) => box.checked).map((box) => box.value), same = shown.join() === usual.slice(1).join();
    state.set("columns", same ? "" : state.pack(shown) || keys[0], "every-run"); // the first column is always there
    apply(state.get("columns"));
  });
  document.head.append(style);
  apply(state.get("columns"));
  state.on("columns", apply);
}

// A box in each row adds its run to the comparison.
function choosing(rows) {
  const link = make("a", { href: "#compare" }), known = rows.filter((row) => row.dataset.run);
  const boxes = known.map((row) => {
    const box = make("input", { type: "checkbox", "aria-label": `Compare ${row.cells[0].textContent}` });
    row.cells[0].prepend(box);
    box.addEventListener("change", () => comparison.toggle(row.dataset.run, "every-run"));
    return box;
  });
  const follow = () => {
    const full = comparison.full();
    boxes.forEach((box, i) => { box.checked = comparison.has(known[i].dataset.run); box.disabled = full && !box.checked; });
    link.textContent = `Compare ${comparison.count() === 1 ? "it with another" : `the ${comparison.count()} chosen`}${full ? " (no more than 4)" : ""}`;
  };
  one("#filtered").after(link);
  comparison.watch(follow);
  follow();
}

table();
