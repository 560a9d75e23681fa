// Where people drop music, and what becomes of it.

import { remove } from "./api.js";
import { about } from "./store.js";
import { announce, arrange, count, fill, h, named, notice } from "./dom.js";
import { Item } from "./item.js";
import { chosen, dropped, sorted } from "./sorting.js";
import { progressText, removal } from "./tasks.js";
import { targetForm } from "./target.js";

/** More at once only fill the server's disk. */
const SIDE_BY_SIDE = 2;

export class Add {
  #store;
  #items = [];
  #left = new Map();
  #frame = 0;

  constructor(store, place, { music }) {
    this.#store = store;
    this.music = music;
    const files = h("input", { type: "file", multiple: true, id: "pick-files", class: "unseen", onchange: () => this.#picked(files) });
    const folder = h("input", { type: "file", id: "pick-folder", class: "unseen", webkitdirectory: true, onchange: () => this.#picked(folder) });
    this.zone = h(
      "div",
      { class: "zone" },
      h("p", { class: "big" }, music ? "Drop an album here" : "Drop files here"),
      music ? h("p", { class: "faint" }, "A folder, an archive (zip, tar), songs, or a music video") : null,
      h("p", { class: "buttons" }, files, h("label", { for: "pick-files", class: "button" }, "Choose files"), folder, h("label", { for: "pick-folder", class: "button" }, "Choose a folder")),
    );
    this.hint = h("p", { class: "notice good", hidden: true },
      "Nothing is here yet. Drop the first album above; if music lies in the Music Directory already, ", h("a", { href: "#scan" }, "scan it"), ".");
    this.bar = h("div", { class: "together", hidden: true });
    this.list = h("ul", { class: "items" });
    this.leftList = h("ul", { class: "items" });
    this.leftovers = h("section", { hidden: true, "aria-labelledby": "left-title" }, h("h2", { id: "left-title" }, "Unfinished"), this.leftList);
    place.append(h("h1", { id: "add-title" }, music ? "Add music" : "Add files"), this.zone, this.hint, this.bar, this.list, this.leftovers);
    this.#listen();
    store.addEventListener("reset", () => this.#reset());
    store.addEventListener("task", ({ detail }) => this.#changed(detail));
  }

  #listen() {
    let depth = 0;
    const over = (on) => this.zone.classList.toggle("over", on);
    addEventListener("dragenter", (event) => {
      event.preventDefault();
      depth += 1;
      over(true);
    });
    addEventListener("dragleave", () => {
      depth = Math.max(0, depth - 1);
      over(depth > 0);
    });
    addEventListener("dragover", (event) => event.preventDefault());
    addEventListener("drop", async (event) => {
      event.preventDefault();
      depth = 0;
      over(false);
      location.hash = "#add";
      try {
        this.take(await dropped(event.dataTransfer));
      } catch (error) {
        notice(`What was dropped cannot be read: ${error.message}`);
      }
    });
  }

  #picked(input) {
    this.take(chosen(input));
    input.value = "";
  }

  /** `[{path, file}]`. */
  take(files) {
    const { items, leftOut } = this.music ? sorted(files) : { items: files.map((one) => ({ kind: "file", name: one.path.split("/").at(-1), files: [one] })), leftOut: [] };
    for (const empty of items.filter((item) => item.files.every(({ file }) => file.size === 0))) notice(`${empty.name} is empty.`);
    for (const found of items.filter((item) => item.files.some(({ file }) => file.size > 0))) this.#add(found)?.look();
    if (leftOut.length) notice(`Left out, as no song is near: ${named(leftOut)}.`, "info");
    if (!items.length && !leftOut.length) notice("There is nothing to add in what was dropped.", "info");
    announce(`${count(items.length, "item")} to add`);
    this.#next();
  }

  /** The item, or null where the same is there already. */
  #add(found) {
    const item = new Item(this.#store, found, this.music);
    if (this.#items.some((other) => other.fingerprint === item.fingerprint && other.phase !== "done")) return null;
    item.addEventListener("phase", () => this.#next());
    item.addEventListener("dropped", () => this.#drop(item));
    item.addEventListener("rest", ({ detail }) => this.#sendRest(item, detail));
    this.#items.push(item);
    this.list.append(item.element);
    return item;
  }

  /** What is missing of a folder that is in the library but for that goes there, file by file. */
  #sendRest(item, rest) {
    for (const found of rest) this.#add(found)?.begin();
    item.drop();
    announce(`${count(rest.length, "file")} to add`);
  }

  #drop(item) {
    const { element } = item, hadFocus = element.contains(document.activeElement);
    const near = element.nextElementSibling ?? element.previousElementSibling ?? this.zone.querySelector("input");
    this.#items = this.#items.filter((one) => one !== item);
    element.remove();
    if (hadFocus) near.focus();
    this.#next();
  }

  #next() {
    const sending = this.#items.filter((item) => item.phase === "sending").length;
    const waiting = this.#items.filter((item) => item.phase === "waiting");
    for (const item of waiting.slice(0, Math.max(0, SIDE_BY_SIDE - sending))) item.send();
    const ready = this.#items.filter((item) => item.phase === "ready");
    const done = this.#items.filter((item) => ["done", "there"].includes(item.phase) && !item.missing.length);
    this.bar.hidden = ready.length < 2 && done.length < 2;
    fill(
      this.bar,
        ready.length > 1 ? h("button", { type: "button", class: "primary", onclick: () => ready.forEach((item) => item.begin()) }, `Bring all ${ready.length} in`) : null,
        done.length > 1 ? h("button", { type: "button", onclick: () => done.forEach((item) => item.drop()) }, `Close ${done.length} that are done`) : null,
    );
    this.#hint();
    this.#leftLater(); // what was left may have become one of the items'
  }

  #hint() {
    this.hint.hidden = !this.music || this.#store.tasks.size > 0 || this.#items.length > 0;
  }

  #changed({ view, gone, before }) {
    for (const item of this.#items) {
      if (item.view?.id === view.id || item.upload?.taskId === view.id) item.follow(view, gone);
    }
    if (gone || before?.state !== view.state || !before) this.#leftLater();
    this.#hint();
  }

  #reset() {
    for (const item of this.#items) {
      const id = item.view?.id ?? item.upload?.taskId;
      const view = id && this.#store.tasks.get(id);
      if (view) item.follow(view);
      else if (id) item.lost();
    }
    this.#leftLater();
    this.#hint();
  }

  /** Once for all that happens until the next frame. */
  #leftLater() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#showLeft();
    });
  }

  /** Uploads that wait for a client, and none of the items is theirs. */
  #showLeft() {
    const ours = new Set(this.#items.flatMap((item) => [item.view?.id, item.upload?.taskId]));
    const coming = new Set(this.#store.lifecycle.edges.filter((edge) => edge.event === "receive_chunk").map((edge) => edge.source));
    const left = [];
    for (const view of this.#store.tasks.values()) {
      if (left.length >= 50) break;
      if (ours.has(view.id)) continue;
      const kind = coming.has(view.state) ? "coming" : this.music && view.state === "readyforintegration" ? "ready" : null;
      if (kind) left.push({ view, kind });
    }
    this.leftovers.hidden = !left.length;
    for (const id of this.#left.keys()) if (!left.some(({ view }) => view.id === id)) this.#left.delete(id);
    const cards = left.map(({ view, kind }) => {
      const key = `${kind} ${view.state}`;
      if (this.#left.get(view.id)?.key !== key) this.#left.set(view.id, { key, card: this.#leftCard(view, kind) });
      return this.#left.get(view.id).card;
    });
    arrange(this.leftList, cards);
  }

  #leftCard(view, kind) {
    const gone = () => remove(view.id).catch((error) => notice(error.message));
    return h(
      "li",
      { class: "card item" },
      h("div", { class: "heading" }, h("h3", {}, about(view)), h("span", { class: "faint" }, progressText(view) ?? "")),
      kind === "coming" ? h("p", {}, view.task.offset ? "A part of it is on the server. Drop the same files again, and the upload goes on." : "It waits for its bytes. Drop the same files again, and they are sent.") : targetForm(view),
      h("div", { class: "buttons" }, removal(this.music, gone)),
    );
  }
}
