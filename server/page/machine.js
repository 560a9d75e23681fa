// The picture of the lifecycle, with the tasks in it.

import { about } from "./store.js";
import { clock, count, h, moment, words } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
/** More tasks in one state are a number, and more that move at once do not. */
const MOST_DOTS = 8, MOST_MOVING = 40;
const WAY_MS = 700;

export class Machine {
  #store;
  #nodes = new Map();
  #edges = new Map();
  #moving = 0;
  #stale = new Set();
  #way = null;
  #svg = null;

  constructor(store, place, { onState, onTask }) {
    this.#store = store;
    this.place = place;
    this.onState = onState;
    this.onTask = onTask;
    store.addEventListener("reset", () => this.#all());
    store.addEventListener("task", ({ detail }) => this.#moved(detail));
  }

  async open() {
    const response = await fetch("page/lifecycle.svg");
    if (response.ok) this.#take(await response.text());
    else this.#fallback();
    this.#all();
  }

  #take(text) {
    const svg = document.importNode(new DOMParser().parseFromString(text, "image/svg+xml").documentElement, true);
    svg.querySelector("metadata")?.remove();
    svg.removeAttribute("width");
    svg.removeAttribute("height");
    svg.setAttribute("role", "group");
    svg.setAttribute("aria-label", "The states that a task can be in, with the number of tasks in each");
    const known = new Set(this.#store.lifecycle.states.map((state) => state.name));
    for (const node of svg.querySelectorAll("g.node")) {
      const name = node.querySelector("title")?.textContent;
      if (known.has(name)) node.dataset.state = name;
    }
    for (const edge of svg.querySelectorAll("g.edge")) {
      const path = edge.querySelector("path");
      const title = edge.querySelector("title")?.textContent;
      if (path && title) this.#edges.set(title, { group: edge, path });
    }
    // Titles would be shown as tooltips of the browser's own.
    for (const title of svg.querySelectorAll("title")) title.remove();
    this.#svg = svg;
    const layer = svg.querySelector("g.graph") ?? svg;
    // What is not shown has no size, so it is measured out of sight.
    const measured = h("div", { class: "measured", "aria-hidden": "true" }, svg);
    document.body.append(measured);
    for (const group of svg.querySelectorAll("g.node[data-state]")) this.#prepare(group, layer);
    this.place.replaceChildren(svg);
    measured.remove();
  }

  #prepare(group, layer) {
    const name = group.dataset.state;
    const box = group.getBBox();
    const middle = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
    group.setAttribute("tabindex", "0");
    group.setAttribute("role", "button");
    group.addEventListener("click", () => this.onState(name));
    group.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        this.onState(name);
      }
    });
    const dots = make("g", { class: "dots" });
    const badge = make("g", { class: "count", transform: `translate(${box.x + box.width},${box.y})`, "aria-hidden": "true" });
    badge.append(make("rect", { rx: 9, height: 18 }), make("text", { "text-anchor": "middle" }));
    const when = make("text", { class: "when", x: middle.x, y: box.y + box.height + 14, "text-anchor": "middle" });
    layer.append(badge, dots, when);
    this.#nodes.set(name, { group, box, middle, dots, badge, when });
  }

  /** Without Graphviz on the server: a table with the numbers. */
  #fallback() {
    const rows = this.#store.lifecycle.states
      .filter((state) => !["initial", "gone"].includes(state.role))
      .map((state) => {
        const cell = h("td", {}, "0");
        this.#nodes.set(state.name, { cell });
        const button = h("button", { type: "button", class: "link", onclick: () => this.onState(state.name) }, words(state.name));
        return h("tr", {}, h("th", { scope: "row" }, button), h("td", {}, state.group), cell);
      });
    this.place.replaceChildren(
      h("p", { class: "faint" }, "The server draws no picture: it lacks the extra “diagrams”."),
      h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "State"), h("th", { scope: "col" }, "Part"), h("th", { scope: "col" }, "Tasks"))), h("tbody", {}, rows)),
    );
  }

  #all() {
    for (const name of this.#nodes.keys()) this.#stale.add(name);
    this.#soon();
  }

  #soon() {
    if (this.#stale.size && !this.waiting) {
      this.waiting = requestAnimationFrame(() => {
        this.waiting = 0;
        this.#show();
      });
    }
  }

  #show() {
    const few = new Map();
    for (const name of this.#stale) {
      if ((this.#store.counts.get(name) ?? 0) <= MOST_DOTS) few.set(name, []);
    }
    if (few.size) for (const view of this.#store.tasks.values()) few.get(view.state)?.push(view);
    for (const name of this.#stale) this.#showState(name, few.get(name));
    this.#stale.clear();
  }

  #showState(name, views) {
    const node = this.#nodes.get(name);
    const number = this.#store.counts.get(name) ?? 0;
    if (node.cell) {
      node.cell.textContent = number.toLocaleString("en");
      return;
    }
    node.group.setAttribute("aria-label", `${words(name)}: ${count(number, "task")}`);
    node.group.classList.toggle("used", number > 0);
    const text = node.badge.querySelector("text"), rect = node.badge.querySelector("rect");
    text.textContent = number.toLocaleString("en");
    const width = 10 + 7 * text.textContent.length;
    rect.setAttribute("width", width);
    // From the corner outwards: a long number does not cover the state's name.
    rect.setAttribute("x", -9);
    text.setAttribute("x", width / 2 - 9);
    rect.setAttribute("y", -9);
    text.setAttribute("y", 4);
    node.badge.classList.toggle("shown", number > 0);
    node.dots.replaceChildren(...(views ?? []).map((view, i) => this.#dot(view, node, i, views.length)));
  }

  #dot(view, node, i, number) {
    const step = Math.min(10, (node.box.width - 12) / Math.max(1, number));
    const dot = make("circle", {
      class: `dot ${this.#store.role(view)}`,
      r: 4,
      cx: node.middle.x + (i - (number - 1) / 2) * step,
      cy: node.box.y + node.box.height,
    });
    const title = make("title", {});
    title.textContent = about(view);
    dot.append(title);
    dot.addEventListener("click", () => this.onTask(view.id));
    return dot;
  }

  #moved({ view, before, gone }) {
    const from = before?.state ?? "new", to = view.state;
    if (before && before.state === to && !gone) return;
    for (const name of [before?.state, to]) if (this.#nodes.has(name)) this.#stale.add(name);
    this.#soon();
    if (this.#svg && from !== to) this.#travel(view, from, to);
  }

  #travel(view, from, to) {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches || document.hidden || !this.place.offsetParent;
    const [start, end] = [this.#nodes.get(from), this.#nodes.get(to)];
    if (still || this.#moving >= MOST_MOVING || !end) return;
    const way = this.#edges.get(`${from}->${to}`)?.path;
    const length = way?.getTotalLength() ?? 0;
    const at = (part) => {
      if (way) return way.getPointAtLength(length * part);
      const a = start?.middle ?? { x: end.middle.x, y: end.middle.y - 40 };
      return { x: a.x + (end.middle.x - a.x) * part, y: a.y + (end.middle.y - a.y) * part };
    };
    const dot = make("circle", { class: `dot moving ${this.#store.roles.get(to)}`, r: 5.5 });
    end.dots.parentNode.append(dot);
    this.#moving += 1;
    const began = performance.now();
    const step = (now) => {
      const part = Math.min(1, Math.max(0, (now - began) / WAY_MS));
      const point = at(part * part * (3 - 2 * part));
      dot.setAttribute("cx", point.x);
      dot.setAttribute("cy", point.y);
      if (part < 1) requestAnimationFrame(step);
      else {
        dot.remove();
        this.#moving -= 1;
      }
    };
    step(began);
  }

  /** Marks the way that a task has come, with times; null: none. */
  mark(view) {
    this.#way = view;
    if (!this.#svg) return;
    this.#svg.classList.toggle("marked", view !== null);
    for (const { group } of this.#edges.values()) group.classList.remove("way");
    for (const node of this.#nodes.values()) {
      node.group.classList.remove("way", "now");
      node.when.textContent = "";
    }
    if (view === null) return;
    for (const entry of view.task.history ?? []) {
      this.#edges.get(`${entry.from}->${entry.to}`)?.group.classList.add("way");
      const node = this.#nodes.get(entry.to);
      if (!node) continue;
      node.group.classList.add("way");
      node.when.textContent = clock(entry.time);
      this.#nodes.get(entry.from)?.group.classList.add("way");
    }
    const now = this.#nodes.get(view.state)?.group;
    now?.classList.add("now");
    // On a phone most of the picture is out of sight.
    if (this.place.scrollWidth > this.place.clientWidth) now?.scrollIntoView({ block: "nearest", inline: "center" });
  }

  get marked() {
    return this.#way;
  }
}

function make(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/** The history of a task as a list. */
export function history(view) {
  const entries = view.task.history ?? [];
  return h(
    "ol",
    { class: "history" },
    entries.map((entry) =>
      h(
        "li",
        {},
        h("time", { datetime: new Date(entry.time * 1000).toISOString() }, moment(entry.time)),
        h("span", {}, h("b", {}, words(entry.to)), h("span", { class: "faint" }, ` by ${words(entry.event)}`)),
        entry.message ? h("p", {}, entry.message) : null,
      ),
    ),
  );
}
