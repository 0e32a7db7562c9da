// What the reader has chosen stands in the address, after the place: #compare&runs=a,b&epoch=4. A link shows it again.
// A link that names choices shows these and for all else the defaults; one to a place alone leaves all as it is, and so
// do back and forward. A place of the history that has been written to is marked, so that they can be told from links.
const state = (() => {
  const values = new Map(), listeners = new Map(), MARK = "chosen", PAUSE = 250; // ms: browsers refuse more than some changes a second
  let place = "", written = 0, waiting = 0;
  const encoded = (value) => encodeURIComponent(value.toWellFormed?.() ?? value).replaceAll("%2C", ",");
  const decoded = (text) => { try { return decodeURIComponent(text); } catch { return text; } };
  const write = () => {
    clearTimeout(waiting);
    waiting = 0;
    written = performance.now();
    const chosen = [...values].map(([name, value]) => `&${name}=${encoded(value)}`).join("");
    const address = place || chosen ? `#${place}${chosen}` : location.href.split("#")[0];
    try { history.replaceState(MARK, "", address); } catch { /* not where this page stands: only the address lacks it */ }
  };
  const read = () => {
    const [first, ...others] = location.hash.slice(1).split("&"), bare = first.includes("=");
    place = bare ? "" : first;
    const pairs = (bare ? [first, ...others] : others).map((pair) => [pair, pair.indexOf("=")]).filter(([, at]) => at > 0);
    return new Map(pairs.map(([pair, at]) => [pair.slice(0, at), decoded(pair.slice(at + 1))]));
  };
  const adopt = (given) => {
    const changed = [...new Set([...values.keys(), ...given.keys()])].filter((name) => values.get(name) !== given.get(name));
    values.clear();
    given.forEach((value, name) => values.set(name, value));
    for (const name of changed) listeners.get(name)?.forEach((act) => act(values.get(name) ?? ""));
  };
  const show = () => {
    const there = document.getElementById(decoded(place));
    for (let fold = there?.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    there?.scrollIntoView();
  };
  const come = () => {
    const given = read(), fresh = history.state !== MARK;
    if (fresh && given.size) adopt(given);
    write();
    if (fresh) show();
  };
  const linked = history.state !== MARK && location.hash !== "";
  read().forEach((value, name) => values.set(name, value));
  write();
  addEventListener("hashchange", come);
  addEventListener("load", () => { if (linked) show(); });
  addEventListener("pagehide", () => { if (waiting) write(); });
  return {
    get: (name, otherwise = "") => values.get(name) ?? otherwise,
    // An empty value, the default, leaves the address. `at`: the id of the place where a link should lead.
    set(name, value, at) {
      if (value === "" || value === undefined) values.delete(name); else values.set(name, String(value));
      if (at) place = at;
      if (performance.now() - written > PAUSE) write(); else waiting ||= setTimeout(write, PAUSE);
    },
    // act(value) when a link changes a choice; "" where it does not name it: the default.
    on(name, act) { listeners.set(name, [...(listeners.get(name) ?? []), act]); },
    // Several names as one value, and back.
    pack: (names) => names.map((name) => name.replaceAll("%", "%25").replaceAll(",", "%2C")).join(","),
    unpack: (value) => value.split(",").filter(Boolean).map(decoded),
  };
})();
