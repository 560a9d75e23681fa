// A scan: its start, its progress, what it found, and imports of what is new.

import { explained, post, remove } from "./api.js";
import { progressOf } from "./store.js";
import { announce, count, fill, h, notice } from "./dom.js";

const SHOWN = 200;
/** Imports that are asked for at once: more would only wait in the browser. */
const AT_ONCE = 4;

export class Scan {
  #store;
  #task = null;
  #found = null;
  #shown = SHOWN;
  #frame = 0;
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
    const finished = scans.filter((view) => this.#store.role(view) === "finished");
    for (const view of scans) if (view === finished.at(-1) || !finished.includes(view)) this.#take(view);
    // What became of the imports while nobody listened.
    for (const entry of this.#imports.values()) entry.view = this.#store.tasks.get(entry.id) ?? entry.view;
    this.#showLater();
  }

  #changed({ view, gone }) {
    if (view.task.contenttype === "any") this.#take(view, gone);
    for (const [path, entry] of this.#imports) {
      if (entry.id !== view.id) continue;
      entry.view = view;
      this.#showLater();
      if (this.#store.role(view) === "finished") announce(`${path} is imported`);
    }
  }

  #take(view, gone = false) {
    const role = this.#store.role(view);
    if (["queued", "working"].includes(role)) {
      this.#task = view.id;
      const progress = progressOf(view);
      this.progress.hidden = false;
      this.cancel.hidden = false;
      this.start.disabled = true;
      if (progress) {
        this.progress.max = progress.total;
        this.progress.value = progress.done;
        this.status.textContent = `${progress.done.toLocaleString("en")} of ${progress.total.toLocaleString("en")}: ${progress.path}`;
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
        this.#found = { id: view.id, ...sortedOut(view.task.annotations) };
        this.#shown = SHOWN;
        this.#imports.clear();
        announce("The scan is complete");
        this.#showLater();
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

  /** Once for all that happens until the next frame. */
  #showLater() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      if (this.#found) this.#show();
    });
  }

  #show() {
    const { importable, lost, moved, skipped } = this.#found;
    const open = importable.filter(({ path }) => !this.#imports.has(path));
    const nothing = !importable.length && !lost.length && !moved.length && !skipped.length;
    // The focus stays on what was pressed, or goes to the next that can be.
    const focused = this.result.contains(document.activeElement) ? document.activeElement.dataset.path : undefined;
    fill(
      this.result,
      nothing ? h("p", { class: "notice good" }, "The database has what is in the Music Directory, and nothing else.") : null,
      importable.length
        ? section("New", importable.length,
            open.length > 1 ? h("button", { type: "button", onclick: () => this.#importAll(open) }, `Import all ${open.length.toLocaleString("en")}`) : null,
            h("ul", { class: "found" }, importable.slice(0, this.#shown).map((one) => this.#item(one))),
            importable.length > this.#shown ? h("button", { type: "button", onclick: () => { this.#shown += SHOWN; this.#showLater(); } }, "Show more") : null)
        : null,
      lost.length ? section("Lost", lost.length, list(lost), h("p", { class: "faint" }, "Put it back and scan again, or delete it in MusicDB. Nothing is deleted from the database here.")) : null,
      moved.length ? section("Moved", moved.length, list(moved)) : null,
      skipped.length ? section("Skipped", skipped.length, list(skipped)) : null,
    );
    if (focused !== undefined) {
      const buttons = [...this.result.querySelectorAll("button[data-path]")];
      const at = importable.findIndex(({ path }) => path === focused);
      const next = new Set(importable.slice(Math.max(0, at)).map(({ path }) => path));
      (buttons.find((button) => next.has(button.dataset.path)) ?? this.start).focus({ preventScroll: true });
    }
  }

  async #importAll(entries) {
    const rest = [...entries];
    for (const { path } of rest) this.#imports.set(path, { id: null, view: null });
    const one = async () => {
      while (rest.length) if (!(await this.#import(rest.shift()))) for (const { path } of rest.splice(0)) this.#imports.delete(path);
      this.#showLater();
    };
    await Promise.all(Array.from({ length: AT_ONCE }, one));
  }

  #item(one) {
    const begun = this.#imports.get(one.path);
    const role = begun?.view ? this.#store.role(begun.view) : null;
    let action = h("button", { type: "button", "aria-label": `Import ${one.path}`, onclick: () => this.#import(one) }, "Import");
    action.dataset.path = one.path;
    if (role === "finished" || role === "removing") action = h("span", { class: "state finished" }, "imported");
    else if (role === "failed") action = h("span", { class: "why" }, begun.view.task.history?.at(-1)?.message ?? "failed");
    else if (begun) action = h("span", { class: "state working" }, "importing…");
    return h("li", {}, h("span", {}, one.path), h("span", { class: "faint" }, one.note), action);
  }

  /** Whether it makes sense to go on with others. */
  async #import({ path, kind }) {
    this.#imports.set(path, { id: null, view: null });
    this.#showLater();
    let goesOn = true;
    try {
      const view = await post("api/imports", { contenttype: kind, path, with_artwork: true });
      this.#imports.set(path, { id: view.id, view: this.#store.tasks.get(view.id) ?? this.#store.last.get(view.id) ?? view });
    } catch (error) {
      this.#imports.delete(path);
      notice(error.status === 0 ? error.message : `${path}: ${explained(error)}`);
      goesOn = error.status !== 0;
    }
    this.#showLater();
    return goesOn;
  }
}

/** What a scan found, as lists of `{path, note}`; in one pass, as it may be a whole collection. */
function sortedOut({ newpaths, lostpaths, movedpaths, skippedpaths }) {
  const moved = new Set(movedpaths.flatMap((pair) => [pair.lost, pair.new]));
  const above = (path) => path.slice(0, path.lastIndexOf("/"));
  const unmoved = (entries) => entries.filter((entry) => !moved.has(entry.path));
  const songs = new Map(), left = new Map();
  for (const { path } of newpaths.songs) {
    const album = above(path);
    songs.set(album, (songs.get(album) ?? 0) + 1);
    if (!moved.has(path)) left.set(album, (left.get(album) ?? 0) + 1);
  }
  const known = new Set(unmoved(newpaths.filteredsongs).map((song) => above(song.path)));
  const lostAlbums = new Set(lostpaths.albums.map((album) => album.path));
  return {
    importable: [
      ...newpaths.albums.filter(({ path }) => left.has(path) || !songs.has(path)).map(({ path }) => ({ path, kind: "album", note: count(songs.get(path) ?? 0, "song") })),
      ...[...known].map((path) => ({ path, kind: "album", note: "new songs" })),
      ...unmoved(newpaths.videos).map(({ path }) => ({ path, kind: "video", note: "video" })),
    ],
    lost: [
      ...unmoved(lostpaths.albums).map(({ path }) => ({ path, note: "album" })),
      ...unmoved(lostpaths.songs).filter((song) => !lostAlbums.has(above(song.path))).map(({ path }) => ({ path, note: "song" })),
      ...unmoved(lostpaths.videos).map(({ path }) => ({ path, note: "video" })),
    ],
    moved: movedpaths.map((pair) => ({ path: pair.lost, note: `→ ${pair.new}` })),
    skipped: skippedpaths.map(({ path, reason }) => ({ path, note: reason })),
  };
}

function section(title, number, ...children) {
  return h("section", { class: "card" }, h("h2", {}, `${title} `, h("span", { class: "badge" }, number.toLocaleString("en"))), ...children);
}

function list(entries) {
  const rows = entries.slice(0, SHOWN).map(({ path, note }) => h("li", {}, h("span", {}, path), h("span", { class: "faint" }, note)));
  const more = entries.length - rows.length;
  return h("ul", { class: "found" }, rows, more ? h("li", { class: "faint" }, `and ${more.toLocaleString("en")} more: musictasks scan lists them all`) : null);
}
