// All runs, to be sorted and filtered.
function table() {
  const grid = one("#runs-table");
  if (!grid) return;
  const body = one("tbody", grid), rows = all("tr", body), filter = one("#filter"), count = one("#filtered");
  const texts = rows.map((row) => row.textContent.toLowerCase());
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, i) => { row.hidden = !words.every((word) => texts[i].includes(word)); shown += !row.hidden; });
    count.textContent = `${shown} of ${rows.length} runs`;
  });
  all("thead th", grid).forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending", sign = down ? -1 : 1;
      all("th", grid).forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => row.cells[column]?.dataset.value ?? row.cells[column]?.textContent ?? "";
      const order = (a, b) => {
        const [first, second] = [key(a), key(b)];
        if (first === "" || second === "") return (first === "") - (second === ""); // what is missing stands last
        const numbers = [Number(first), Number(second)];
        return sign * (numbers.some(Number.isNaN) ? first.localeCompare(second, "en", { numeric: true }) : numbers[0] - numbers[1]);
      };
      body.append(...rows.toSorted(order));
    });
  });
}

table();
