// What the reader has chosen stands in the address, after the place: #compare&runs=a,b&epoch=4. A link shows it again.
const state = (() => {
  const values = new Map(), listeners = new Map();
  let place = "";
  const write = () => {
    const chosen = [...values].map(([name, value]) => `&${name}=${encodeURIComponent(value)}`).join("");
    history.replaceState(null, "", place || chosen ? `#${place}${chosen}` : location.pathname + location.search);
  };
  const read = () => {
    const [first, ...pairs] = location.hash.slice(1).split("&"), given = first.includes("=") ? [first, ...pairs] : pairs;
    place = first.includes("=") ? "" : first;
    for (const pair of given) {
      const [name, value = ""] = pair.split("=");
      try { values.set(name, decodeURIComponent(value)); } catch { /* not written by us */ }
    }
    return given.length > 0;
  };
  const come = () => {
    if (read()) {
      for (const [name, heard] of listeners) if (values.has(name)) heard.forEach((act) => act(values.get(name)));
      document.getElementById(place)?.scrollIntoView();
    }
    write(); // also after a link within the page: what was chosen before stays in the address
  };
  read();
  addEventListener("hashchange", come);
  addEventListener("load", come);
  return {
    get: (name, otherwise = "") => values.get(name) ?? otherwise,
    // An empty value leaves the address. `at`: the id of the place where a link should lead.
    set(name, value, at) {
      if (value === "" || value === undefined) values.delete(name); else values.set(name, String(value));
      if (at) place = at;
      write();
    },
    on(name, act) { listeners.set(name, [...(listeners.get(name) ?? []), act]); },
  };
})();
