// Elements made of data. Text is always text: nothing here reads HTML.

/** An element with properties, listeners (on…) and children; null and false children are left out. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name in element && name !== "list" && name !== "form") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((one) => one !== null && one !== undefined && one !== false));
  return element;
}

/** Puts these children in place of those that were there; null and false ones are left out. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter((one) => one !== null && one !== undefined && one !== false));
}

/** Makes these the children, in this order. Those that stay are not moved: the focus stays in them. */
export function arrange(element, children) {
  const wanted = new Set(children);
  for (const one of [...element.children]) if (!wanted.has(one)) one.remove();
  let at = element.firstElementChild;
  for (const one of children) {
    if (one === at) at = at.nextElementSibling;
    else element.insertBefore(one, at);
  }
}

/** Says something to people who listen to a screen reader. */
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

/** Shows a message at the top until it is closed. */
export function notice(text, kind = "error") {
  const place = document.getElementById("notices");
  if ([...place.children].some((one) => one.dataset.text === text)) return;
  const box = h("p", { class: `notice ${kind}` }, h("span", {}, text));
  box.dataset.text = text;
  box.append(h("button", { type: "button", class: "quiet", "aria-label": "Close this message", onclick: () => box.remove() }, "✕"));
  place.append(box);
}

export function bytes(size) {
  for (const [unit, factor] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]]) {
    if (size >= factor) return `${(size / factor).toFixed(size >= factor * 100 ? 0 : 1)} ${unit}`;
  }
  return `${size} B`;
}

export function duration(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  if (seconds < 86400) return `${(seconds / 3600).toFixed(1)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

export function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

export function clock(unixSeconds) {
  return new Date(unixSeconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
}

/** As `clock`, with the day where that is not today's. */
export function moment(unixSeconds) {
  const date = new Date(unixSeconds * 1000);
  const today = date.toDateString() === new Date().toDateString();
  return today ? clock(unixSeconds) : `${date.toLocaleDateString([], { year: "numeric", month: "short", day: "numeric" })}, ${clock(unixSeconds)}`;
}

/** The first names of a list: "a, b and 3 more". */
export function named(names, most = 5) {
  return names.slice(0, most).join(", ") + (names.length > most ? ` and ${(names.length - most).toLocaleString("en")} more` : "");
}

/** The words of an event or a state for people: `request_scan` is "request scan". */
export function words(name) {
  return name.replaceAll("_", " ");
}

/** With a capital, as a button begins. */
export function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
