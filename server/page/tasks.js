// The list of all tasks, and one of them in detail.

import { explained, post, remove } from "./api.js";
import { about, lastMessage, progressOf } from "./store.js";
import { announce, arrange, bytes, count, duration, h, sentence, words } from "./dom.js";
import { history } from "./machine.js";
import { targetForm } from "./target.js";

const SHOWN = 200;

export class Tasks {
  #store;
  #shown = SHOWN;
  #rows = new Map();
  #selected = null;
  #frame = 0;
  #kept = new Map();

  constructor(store, place, { music, onSelect }) {
    this.#store = store;
    this.music = music;
    this.onSelect = onSelect;
    this.search = h("input", { type: "search", id: "task-search", placeholder: "name, path or id", oninput: () => this.#again() });
    this.state = h("select", { id: "task-state", onchange: () => this.#again() });
    this.summary = h("span", { role: "status" });
    this.all = h("button", { type: "button", class: "link", hidden: true, onclick: () => this.#showAll() }, "Show all");
    this.list = h("ul", { class: "tasks" });
    this.more = h("button", { type: "button", hidden: true, onclick: () => this.#show((this.#shown += SHOWN)) }, "Show more");
    this.detail = h("aside", { class: "card detail", "aria-label": "The task that was chosen", hidden: true, tabIndex: -1 });
    place.append(
      h("h1", { id: "tasks-title" }, "Tasks"),
      h(
        "div",
        { class: "filters" },
        h("label", { for: "task-search" }, "Search"), this.search,
        h("label", { for: "task-state" }, "State"), this.state,
      ),
      h("div", { class: "split" }, h("div", {}, h("p", { class: "faint" }, this.summary, " ", this.all), this.list, this.more), this.detail),
    );
    addEventListener("keydown", (event) => this.#pressed(event, place));
    store.addEventListener("reset", () => this.#show());
    store.addEventListener("task", ({ detail }) => this.#changed(detail));
  }

  open() {
    const used = this.#store.lifecycle.states.filter((state) => !["initial", "gone"].includes(state.role));
    this.state.replaceChildren(h("option", { value: "" }, "all"), ...used.map((state) => h("option", { value: state.name }, words(state.name))));
    this.#show();
  }

  filter(state) {
    this.state.value = state;
    this.search.value = "";
    this.#again();
  }

  #showAll() {
    this.filter("");
    this.state.focus(); // the button is gone
  }

  #again() {
    this.#shown = SHOWN;
    if (this.#selected !== null && !this.#found().some((view) => view.id === this.#selected)) this.select(null);
    this.#show();
  }

  /** Escape closes the task, unless it has something else to close or to clear. */
  #pressed(event, place) {
    if (event.key !== "Escape" || event.defaultPrevented || place.hidden || this.detail.hidden) return;
    if (event.target === this.state || (event.target === this.search && this.search.value)) return;
    this.#close();
  }

  /** The focus goes back to the task's row. */
  #close() {
    const row = this.#rows.get(this.#selected)?.row;
    this.select(null);
    row?.querySelector("button")?.focus();
  }

  #changed({ view }) {
    if (view.id === this.#selected) this.select(view.id, false);
    this.#soon();
  }

  #soon() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#show();
    });
  }

  #found() {
    const text = this.search.value.trim().toLowerCase(), state = this.state.value;
    const found = [];
    for (const view of this.#store.tasks.values()) {
      if (state && view.state !== state) continue;
      if (text && !`${view.id} ${about(view)} ${view.task.albumpath ?? ""} ${view.task.albumfilepath ?? ""}`.toLowerCase().includes(text)) continue;
      found.push(view);
    }
    return found.reverse(); // the newest first
  }

  #show() {
    const found = this.#found();
    const all = this.#store.tasks.size;
    this.summary.textContent = found.length === all ? (all ? count(all, "task") : "There are no tasks. What you add shows up here.") : `${found.length.toLocaleString("en")} of ${count(all, "task")}`;
    const rows = found.slice(0, this.#shown).map((view) => this.#row(view));
    arrange(this.list, rows);
    for (const id of this.#rows.keys()) if (!this.#store.tasks.has(id)) this.#rows.delete(id);
    this.more.hidden = found.length <= this.#shown;
    this.all.hidden = !this.state.value && !this.search.value.trim();
  }

  #row(view) {
    const known = this.#rows.get(view.id);
    if (known?.view === view && known.selected === (view.id === this.#selected)) return known.row;
    const role = this.#store.role(view);
    const button = h(
      "button",
      { type: "button", class: "task", onclick: () => this.select(view.id), "aria-pressed": view.id === this.#selected ? "true" : "false" },
      h("span", { class: "name" }, about(view)),
      h("span", { class: `state ${role}` }, words(view.state)),
      progressText(view) ? h("span", { class: "faint" }, progressText(view)) : null,
      role === "failed" && lastMessage(view) ? h("span", { class: "why" }, lastMessage(view)) : null,
    );
    const had = known?.row.contains(document.activeElement);
    const row = known?.row ?? h("li");
    row.replaceChildren(button);
    if (had) button.focus();
    this.#rows.set(view.id, { view, row, selected: view.id === this.#selected });
    return row;
  }

  /** Shows one task; null closes it. */
  select(id, focus = true) {
    const view = id === null ? null : (this.#store.tasks.get(id) ?? this.#store.last.get(id) ?? null);
    this.#selected = view?.id ?? null;
    this.onSelect(view);
    this.detail.hidden = view === null;
    if (view !== null) this.#showDetail(view);
    this.#soon();
    if (view === null || !focus) return;
    this.detail.focus({ preventScroll: true });
    this.detail.scrollIntoView({ block: "nearest" }); // on a phone it stands above the whole list
  }

  #showDetail(view) {
    const { task } = view;
    const gone = !this.#store.tasks.has(view.id);
    const now = Date.now() / 1000;
    const facts = [
      ["Id", view.id],
      ["Type", task.contenttype],
      ["Size", task.filesize ? bytes(task.filesize) : null],
      ["Goes to", task.albumfilepath ?? task.albumpath ?? task.videopath],
      ["Since", task.updatetime ? `${duration(Math.max(1, now - task.updatetime))} ago` : null],
    ].filter(([, value]) => value);
    const parts = [
      this.#keep("heading", `${view.id} ${about(view)}`, () => h(
        "div",
        { class: "heading" },
        h("h2", {}, about(view)),
        h("button", { type: "button", class: "quiet", "aria-label": "Close the task", onclick: () => this.#close() }, "✕"),
      )),
      h("p", {}, h("span", { class: `state ${this.#store.role(view)}` }, gone ? "gone" : words(view.state)), progressText(view) ? ` ${progressText(view)}` : null),
      lastMessage(view) ? h("p", { class: "message" }, lastMessage(view)) : null,
      h("dl", {}, facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, String(value))])),
      gone ? null : this.#keep("actions", `${view.id} ${view.state} ${view.allowed}`, () => this.#actions(view)),
      h("h3", {}, "History"),
      history(view),
    ];
    arrange(this.detail, parts.filter((part) => part !== null));
  }

  /** A part of what is shown of a task, made anew only for another key: news of each piece that
   * arrives take neither the focus, nor what is written, nor a question that waits for its answer. */
  #keep(name, key, make) {
    if (this.#kept.get(name)?.key !== key) this.#kept.set(name, { key, part: make() });
    return this.#kept.get(name).part;
  }

  #actions(view) {
    const problem = h("p", { class: "notice error", role: "alert", hidden: true });
    const act = async (event) => {
      problem.hidden = true;
      try {
        await (event === "remove" ? remove(view.id) : event === "retry" ? post(`api/tasks/${view.id}/retry`) : post(`api/tasks/${view.id}/events/${event}`));
        announce(`${words(event)}: done`);
      } catch (error) {
        problem.textContent = explained(error);
        problem.hidden = false;
      }
    };
    const buttons = view.allowed
      .filter((event) => !(this.music && ["request_integration", "request_artwork_import"].includes(event)))
      .map((event) =>
        event === "remove"
          ? removal(this.music, () => act(event))
          : h("button", { type: "button", onclick: () => act(event) }, sentence(words(event))),
      );
    const integrates = this.music && view.allowed.some((event) => ["request_integration", "request_artwork_import"].includes(event)) && view.state === "readyforintegration";
    return h("div", { class: "actions" }, integrates ? targetForm(view) : null, h("div", { class: "buttons" }, buttons), problem);
  }
}

/** A button that asks once more, in its place. */
function confirmed(label, question, action) {
  const place = h("span", { class: "confirm" });
  const ask = () => {
    const no = h("button", { type: "button", onclick: reset }, "Keep it");
    place.replaceChildren(h("span", {}, question), h("button", { type: "button", class: "danger", onclick: () => { reset(); action(); } }, label), no);
    no.focus();
  };
  const reset = () => place.replaceChildren(h("button", { type: "button", class: "danger", onclick: ask }, label));
  reset();
  return place;
}

/** The button that removes a task; what it says of the Music Directory is for music. */
export function removal(music, action) {
  const stays = music ? " Files that are in the Music Directory already stay there." : "";
  return confirmed("Remove", `Remove it, with what was uploaded?${stays}`, action);
}

/** How far a task is, where it says so. */
export function progressText(view) {
  const { task } = view;
  const progress = progressOf(view);
  if (progress) return `${progress.done.toLocaleString("en")} of ${progress.total.toLocaleString("en")}`;
  if (task.filesize && (task.offset ?? 0) < task.filesize && task.offset !== null) return `${Math.floor((100 * task.offset) / task.filesize)} %`;
  return null;
}
