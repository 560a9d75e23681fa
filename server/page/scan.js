// A scan: its start, its progress, what it found, and imports of what is new.

import { explained, post, remove } from "./api.js";
import { announce, count, fill, h, notice } from "./dom.js";

export class Scan {
  #store;
  #task = null;
  #found = null;
  #imports = new Map();

  constructor(store, place) {
    this.#store = store;
    this.start = h("button", { type: "button", class: "primary", onclick: () => this.#start() }, "Scan the Music Directory");
    this.cancel = h("button", { type: "button", hidden: true, onclick: () => this.#cancel() }, "Cancel");
    this.progress = h("progress", { hidden: true, "aria-label": "Progress of the scan" });
    this.status = h("p", { role: "status", class: "faint" });
    this.result = h("div");
    place.append(
      h("h1", { id: "scan-title" }, "Scan"),
      h("p", {}, "Compares the Music Directory with the database: what is new, lost or moved. It changes neither."),
      h("p", { class: "buttons" }, this.start, this.cancel),
      this.progress, this.status, this.result,
    );
    store.addEventListener("reset", () => this.#look());
    store.addEventListener("task", ({ detail }) => this.#changed(detail));
  }

  #look() {
    const scans = [...this.#store.tasks.values()].filter((view) => view.task.contenttype === "any");
    for (const view of scans) this.#take(view);
    for (const [path, id] of this.#imports) if (typeof id === "string" && !this.#store.tasks.has(id)) this.#imports.delete(path);
  }

  #changed({ view, gone }) {
    if (view.task.contenttype === "any") this.#take(view, gone);
    for (const [path, entry] of this.#imports) {
      if (entry.id !== view.id) continue;
      entry.view = view;
      this.#show();
      if (this.#store.role(view) === "finished") announce(`${path} is imported`);
    }
  }

  #take(view, gone = false) {
    const role = this.#store.role(view);
    if (["queued", "working"].includes(role)) {
      this.#task = view.id;
      const progress = view.task.annotations?.progress;
      this.progress.hidden = false;
      this.cancel.hidden = false;
      this.start.disabled = true;
      if (progress?.total) {
        this.progress.max = progress.total;
        this.progress.value = progress.done;
        this.status.textContent = `${progress.done.toLocaleString("en")} of ${progress.total.toLocaleString("en")}: ${progress.path ?? ""}`;
      } else {
        this.progress.removeAttribute("value");
        this.status.textContent = "Reading the Music Directory…";
      }
      return;
    }
    if (view.id !== this.#task && role !== "finished") return;
    this.#idle();
    if (role === "finished" && view.task.annotations?.newpaths) {
      if (this.#found?.id !== view.id) {
        this.#found = { id: view.id, ...view.task.annotations };
        this.#imports.clear();
        announce("The scan is complete");
        this.#show();
      }
    } else if (role === "failed") {
      this.status.textContent = view.task.history?.at(-1)?.message ?? "The scan failed.";
    } else if (gone || role === "removing") {
      if (this.#found?.id !== view.id) this.status.textContent = "The scan was cancelled.";
    }
  }

  #idle() {
    this.#task = null;
    this.progress.hidden = true;
    this.cancel.hidden = true;
    this.start.disabled = false;
    this.status.textContent = "";
  }

  async #start() {
    this.start.disabled = true;
    this.#found = null;
    this.result.replaceChildren();
    try {
      const view = await post("api/scans");
      this.#task = view.id;
      // A quick one has ended before this answer.
      const now = this.#store.tasks.get(view.id) ?? this.#store.last.get(view.id) ?? view;
      this.#take(now);
    } catch (error) {
      this.#idle();
      notice(explained(error));
    }
  }

  async #cancel() {
    try {
      if (this.#task) await remove(this.#task);
    } catch (error) {
      notice(explained(error));
    }
  }

  #show() {
    const { newpaths, lostpaths, movedpaths, skippedpaths } = this.#found;
    const moved = new Set(movedpaths.flatMap((pair) => [pair.lost, pair.new]));
    const unmoved = (entries) => entries.filter((entry) => !moved.has(entry.path));
    const above = (path) => path.slice(0, path.lastIndexOf("/"));
    const albums = newpaths.albums.filter(({ path }) => newpaths.songs.some((song) => above(song.path) === path && !moved.has(song.path)) || !newpaths.songs.some((song) => above(song.path) === path));
    const known = new Set(unmoved(newpaths.filteredsongs).map((song) => above(song.path)));
    const importable = [
      ...albums.map(({ path }) => ({ path, kind: "album", note: count(newpaths.songs.filter((song) => above(song.path) === path).length, "song") })),
      ...[...known].map((path) => ({ path, kind: "album", note: "new songs" })),
      ...unmoved(newpaths.videos).map(({ path }) => ({ path, kind: "video", note: "video" })),
    ];
    const lostAlbums = new Set(lostpaths.albums.map((album) => album.path));
    const lost = [
      ...unmoved(lostpaths.albums).map(({ path }) => ({ path, note: "album" })),
      ...unmoved(lostpaths.songs).filter((song) => !lostAlbums.has(above(song.path))).map(({ path }) => ({ path, note: "song" })),
      ...unmoved(lostpaths.videos).map(({ path }) => ({ path, note: "video" })),
    ];
    const open = importable.filter(({ path }) => !this.#imports.has(path));
    const nothing = !importable.length && !lost.length && !movedpaths.length && !skippedpaths.length;
    fill(
      this.result,
        nothing ? h("p", { class: "notice good" }, "The database has what is in the Music Directory, and nothing else.") : null,
        importable.length
          ? section("New", importable.length, h("ul", { class: "found" }, importable.map((one) => this.#item(one))),
              open.length > 1 ? h("button", { type: "button", onclick: () => open.forEach((one) => this.#import(one)) }, `Import all ${open.length}`) : null)
          : null,
        lost.length ? section("Lost", lost.length, list(lost), h("p", { class: "faint" }, "Put it back and scan again, or delete it in MusicDB. Nothing is deleted from the database here.")) : null,
        movedpaths.length ? section("Moved", movedpaths.length, list(movedpaths.map((pair) => ({ path: pair.lost, note: `→ ${pair.new}` })))) : null,
        skippedpaths.length ? section("Skipped", skippedpaths.length, list(skippedpaths.map(({ path, reason }) => ({ path, note: reason })))) : null,
    );
  }

  #item(one) {
    const begun = this.#imports.get(one.path);
    const role = begun?.view ? this.#store.role(begun.view) : null;
    let action = h("button", { type: "button", "aria-label": `Import ${one.path}`, onclick: () => this.#import(one) }, "Import");
    if (role === "finished" || role === "removing") action = h("span", { class: "state finished" }, "imported");
    else if (role === "failed") action = h("span", { class: "why" }, begun.view.task.history?.at(-1)?.message ?? "failed");
    else if (begun) action = h("span", { class: "state working" }, "importing…");
    return h("li", {}, h("span", {}, one.path), h("span", { class: "faint" }, one.note), action);
  }

  async #import({ path, kind }) {
    this.#imports.set(path, { id: null, view: null });
    this.#show();
    try {
      const view = await post("api/imports", { contenttype: kind, path, with_artwork: true });
      this.#imports.set(path, { id: view.id, view: this.#store.tasks.get(view.id) ?? this.#store.last.get(view.id) ?? view });
    } catch (error) {
      this.#imports.delete(path);
      notice(`${path}: ${explained(error)}`);
    }
    this.#show();
  }
}

function section(title, number, ...children) {
  return h("section", { class: "card" }, h("h2", {}, `${title} `, h("span", { class: "badge" }, number.toLocaleString("en"))), ...children);
}

function list(entries) {
  return h("ul", { class: "found" }, entries.slice(0, 1000).map(({ path, note }) => h("li", {}, h("span", {}, path), h("span", { class: "faint" }, note))));
}
