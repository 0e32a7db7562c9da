// What every page does: colours, contents that follow the reader, pictures at full size. All of it is an addition: the page is whole without.
"use strict";
const root = document.documentElement;
const one = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

function colours() {
  const choice = one("#theme");
  const store = { get: () => { try { return localStorage.getItem("theme") || ""; } catch { return ""; } },
                  set: (value) => { try { localStorage.setItem("theme", value); } catch { /* not kept */ } } };
  const apply = (value) => value ? root.dataset.theme = value : delete root.dataset.theme;
  choice.value = store.get();
  apply(choice.value);
  choice.addEventListener("change", () => { store.set(choice.value); apply(choice.value); });
}

function contents() {
  const fold = one(".contents details"), narrow = matchMedia("(max-width: 60rem)");
  const fit = () => { fold.open = !narrow.matches; };
  fit();
  narrow.addEventListener("change", fit);
  const links = new Map(all(".contents a[href^='#']").map((link) => [link.hash.slice(1), link]));
  all(".contents a[href^='#']").forEach((link) => link.addEventListener("click", () => { if (narrow.matches) fold.open = false; }));
  const headings = all("main h2[id], main h3[id]").filter((heading) => links.has(heading.id));
  let shown = null, waiting = false;
  const follow = () => {
    waiting = false;
    const atEnd = scrollY + innerHeight > root.scrollHeight - 2, line = atEnd ? innerHeight : innerHeight / 3;
    const passed = headings.filter((heading) => heading.getClientRects().length && heading.getBoundingClientRect().top < line);
    const link = links.get((passed.at(-1) || headings[0])?.id);
    if (!link || link === shown) return;
    shown?.removeAttribute("aria-current");
    (shown = link).setAttribute("aria-current", "true");
    if (!narrow.matches) {
      const nav = one(".contents"), offset = link.getBoundingClientRect().top - nav.getBoundingClientRect().top;
      if (offset < 0 || offset > nav.clientHeight - 40) nav.scrollTop += offset - nav.clientHeight / 2;
    }
  };
  addEventListener("scroll", () => { if (!waiting) { waiting = true; requestAnimationFrame(follow); } }, { passive: true });
  follow();
}

function lightbox() {
  const found = all("main figure .panel img");
  if (!found.length) return;
  found.forEach((picture) => {
    const opener = document.createElement("button");
    opener.type = "button";
    opener.className = "zoom";
    picture.replaceWith(opener);
    opener.append(picture);
  });
  const box = document.createElement("dialog");
  box.className = "lightbox";
  box.setAttribute("aria-label", "Picture at full size");
  const bar = document.createElement("nav"), stage = document.createElement("div"), text = document.createElement("p"), place = document.createElement("span");
  const button = (label, act) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = label;
    made.addEventListener("click", act);
    return made;
  };
  let at = 0, pictures = [];
  const show = (index) => {
    at = (index + pictures.length) % pictures.length;
    const source = pictures[at], image = source.cloneNode(), frame = source.closest(".film-view")?.cloneNode();
    frame?.append(image);
    stage.replaceChildren(frame ?? image);
    const words = [[".panel", ".setting"], ["figure", "figcaption"]].map(([around, name]) => source.closest(around)?.querySelector(name)?.textContent.trim());
    text.textContent = words.filter(Boolean).join(" — ");
    place.textContent = `${at + 1} of ${pictures.length} · ← → for the others, Esc closes`;
  };
  // At once, not on the later "close" event: by then the reader may have moved the focus on.
  const close = () => { box.close(); pictures[at].closest("button").focus(); };
  bar.append(button("← Previous", () => show(at - 1)), button("Next →", () => show(at + 1)), place, button("Close", close));
  box.append(bar, stage, text);
  box.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) { show(at + step); event.preventDefault(); }
    if (event.key === "Escape") { close(); event.preventDefault(); }
    if (event.key === "Home" || event.key === "End") show(event.key === "Home" ? 0 : -1);
  });
  stage.addEventListener("click", (event) => { if (event.target === stage) close(); });
  document.body.append(box);
  one("main").addEventListener("click", (event) => { // here, because copies of pictures open too
    const opener = event.target.closest(".zoom");
    if (!opener) return;
    pictures = all("main .zoom img").filter((picture) => picture.getClientRects().length);
    show(pictures.indexOf(one("img", opener)));
    box.showModal();
  });
}

// What a link leads to may be folded.
function unfold() {
  const target = document.getElementById(location.hash.slice(1).split("&")[0]);
  const folds = [];
  for (let fold = target?.closest("details"); fold; fold = fold.parentElement.closest("details")) folds.push(fold);
  if (folds.every((fold) => fold.open)) return;
  folds.forEach((fold) => { fold.open = true; });
  target.scrollIntoView();
}

// Pictures are decoded when they come into view; a printer sees all of them.
addEventListener("beforeprint", () => all("img[loading]").forEach((image) => { image.loading = "eager"; }));
addEventListener("beforeprint", () => all("details").forEach((fold) => { fold.open = true; }));
addEventListener("hashchange", unfold);
colours();
contents();
unfold();
root.classList.add("ready");
lightbox();
