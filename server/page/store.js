// All tasks, as the server told last: read once, then kept up to date by its events.

import { get } from "./api.js";

const LONGEST_PAUSE_MS = 15000;

export class Store extends EventTarget {
  /** By id: `{id, state, allowed, task}`. */
  tasks = new Map();
  /** Numbers of tasks by state. */
  counts = new Map();
  /** What was said last of tasks that are gone, by id. */
  last = new Map();
  lifecycle = { states: [], edges: [] };
  online = false;
  #source = null;
  #pauseMs = 500;

  async open() {
    this.lifecycle = await get("api/lifecycle");
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
      this.dispatchEvent(new Event("reset"));
    } catch {
      this.#tell(false);
      this.#later();
    }
  }

  #follow(since) {
    this.#source?.close();
    const source = new EventSource(`api/events?since=${encodeURIComponent(since)}`);
    this.#source = source;
    source.onopen = () => {
      this.#pauseMs = 500;
      this.#tell(true);
    };
    source.onerror = () => {
      this.#tell(false);
      if (source.readyState === EventSource.CLOSED) this.#later();
    };
    source.addEventListener("reset", () => {
      source.close();
      this.#readAll();
    });
    source.addEventListener("task", (event) => this.#take(JSON.parse(event.data)));
  }

  #later() {
    this.#source?.close();
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
    if (this.roles.get(view.state) === "removing") {
      setTimeout(() => this.#lookAfter(view.id), 1500);
    }
    this.last.set(view.id, view);
    if (this.last.size > 2000) this.last.delete(this.last.keys().next().value);
    this.dispatchEvent(new CustomEvent("task", { detail: { view, before, gone, message, notification } }));
  }

  async #lookAfter(id) {
    try {
      const view = await get(`api/tasks/${id}`);
      if (this.roles.get(view.state) === "removing") setTimeout(() => this.#lookAfter(id), 5000);
    } catch (error) {
      const before = this.tasks.get(id);
      if (error.status !== 404 || !before) return;
      this.#count(before.state, -1);
      this.tasks.delete(id);
      this.dispatchEvent(new CustomEvent("task", { detail: { view: before, before, gone: true, message: null } }));
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
  return (
    notes.source ?? task.sourcefilename ?? task.albumfilepath ?? task.albumpath ?? task.videopath ??
    (task.contenttype === "any" ? "scan of the Music Directory" : task.contenttype) ?? "task"
  );
}

/** The message of the last change of state. */
export function lastMessage(view) {
  return view.task.history?.at(-1)?.message ?? null;
}
