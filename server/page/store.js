// All tasks, as the server told last: read once, then kept up to date by its events.

import { get, getAtLast } from "./api.js";

const LONGEST_PAUSE_MS = 15000;

export class Store extends EventTarget {
  /** The server says each 15 s that it is there: after so long a silence the line is dead. */
  static silentMs = 35000;
  /** By id: `{id, state, allowed, task}`. */
  tasks = new Map();
  /** Numbers of tasks by state. */
  counts = new Map();
  /** What was said last of tasks that are gone, by id. */
  last = new Map();
  lifecycle = { states: [], edges: [] };
  online = false;
  #isReady = null;
  /** Resolves when the tasks have been read for the first time. */
  ready = new Promise((resolve) => (this.#isReady = resolve));
  #source = null;
  #silence = 0;
  #pauseMs = 500;
  #sweep = 0;

  async open() {
    this.lifecycle = await getAtLast("api/lifecycle");
    this.roles = new Map(this.lifecycle.states.map((state) => [state.name, state.role]));
    await this.#readAll();
  }

  role(view) {
    return this.roles.get(view.state);
  }

  async #readAll() {
    try {
      const tasks = new Map();
      let after = null, first = null;
      do {
        const page = await get(`api/tasks?limit=1000${after ? `&after=${encodeURIComponent(after)}` : ""}`);
        first ??= page;
        for (const view of page.tasks) tasks.set(view.id, view);
        after = page.next;
      } while (after);
      this.tasks = tasks;
      this.counts = new Map();
      for (const view of tasks.values()) this.#count(view.state, 1);
      this.#follow(`${first.run}-${first.last}`);
      this.#isReady();
      this.dispatchEvent(new Event("reset"));
      if (this.#removing().length) this.#lookLater(1500);
    } catch {
      this.#tell(false);
      this.#later();
    }
  }

  #follow(since) {
    this.#source?.close();
    const source = new EventSource(`api/events?since=${encodeURIComponent(since)}`);
    this.#source = source;
    this.#heard();
    source.onopen = () => {
      this.#pauseMs = 500;
      this.#heard();
      this.#tell(true);
    };
    source.addEventListener("alive", () => this.#heard());
    source.onerror = () => {
      this.#tell(false);
      if (source.readyState === EventSource.CLOSED) this.#later();
    };
    source.addEventListener("reset", () => {
      source.close();
      this.#readAll();
    });
    source.addEventListener("task", (event) => {
      this.#heard();
      this.#take(JSON.parse(event.data));
    });
  }

  #heard() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      this.#tell(false);
      this.#later();
    }, Store.silentMs);
  }

  #later() {
    this.#source?.close();
    clearTimeout(this.#silence);
    setTimeout(() => this.#readAll(), this.#pauseMs);
    this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
  }

  #tell(online) {
    if (online === this.online) return;
    this.online = online;
    this.dispatchEvent(new Event("connection"));
  }

  #take({ notification, message, task: view, gone }) {
    if (view === null) return;
    const before = this.tasks.get(view.id);
    if (before) this.#count(before.state, -1);
    if (gone) {
      this.tasks.delete(view.id);
    } else {
      this.tasks.set(view.id, view);
      this.#count(view.state, 1);
    }
    // The end of a removal is not notified: the state before it is the last that is told.
    if (this.role(view) === "removing") this.#lookLater(1000);
    this.last.set(view.id, view);
    if (this.last.size > 2000) this.last.delete(this.last.keys().next().value);
    this.dispatchEvent(new CustomEvent("task", { detail: { view, before, gone, message, notification } }));
  }

  #removing() {
    return [...this.tasks.values()].filter((view) => this.role(view) === "removing");
  }

  #lookLater(pauseMs) {
    this.#sweep ||= setTimeout(async () => {
      try {
        await this.#lookForRemoved();
      } catch {
        // The server is away: all tasks are read anew when it is back.
      }
      this.#sweep = 0;
      if (this.#removing().length) this.#lookLater(2000);
    }, pauseMs);
  }

  /** Asks for all that are being removed, once; who is not among them any more is gone. */
  async #lookForRemoved() {
    const asked = this.#removing();
    const there = new Set();
    for (const state of new Set(asked.map((view) => view.state))) {
      let after = null;
      do {
        const page = await get(`api/tasks?limit=1000&state=${state}${after ? `&after=${encodeURIComponent(after)}` : ""}`);
        for (const view of page.tasks) there.add(view.id);
        after = page.next;
      } while (after);
    }
    for (const { id } of asked) {
      const view = this.tasks.get(id);
      if (!view || there.has(id) || this.role(view) !== "removing") continue;
      this.#count(view.state, -1);
      this.tasks.delete(id);
      this.dispatchEvent(new CustomEvent("task", { detail: { view, before: view, gone: true, message: null } }));
    }
  }

  #count(state, step) {
    this.counts.set(state, (this.counts.get(state) ?? 0) + step);
  }
}

/** What a person knows a task by. */
export function about(view) {
  const task = view.task;
  const notes = task.annotations ?? {};
  const names = [notes.source, task.sourcefilename, task.albumfilepath, task.albumpath, task.videopath];
  // Notes are anybody's: what is no text is no name.
  return (
    names.find((name) => typeof name === "string" && name.trim()) ??
    (task.contenttype === "any" ? "scan of the Music Directory" : task.contenttype) ?? "task"
  );
}

/** `{done, total, path}` of a task that says how far it is; else null. */
export function progressOf(view) {
  const told = view.task.annotations?.progress;
  const { done, total, path } = told ?? {};
  if (!Number.isFinite(done) || !Number.isFinite(total) || total <= 0) return null;
  return { done, total, path: typeof path === "string" ? path : "" };
}

/** The message of the last change of state. */
export function lastMessage(view) {
  return view.task.history?.at(-1)?.message ?? null;
}
