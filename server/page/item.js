// One thing that is brought in: its card, its upload, and its way until it is in the library.

import { explained, get, post, remove } from "./api.js";
import { about, lastMessage } from "./store.js";
import { announce, bytes, count, duration, h, words } from "./dom.js";
import { isSong } from "./sorting.js";
import { fingerprint, tar } from "./tar.js";
import { readTags } from "./tags.js";
import { integrate, proposal, targetForm } from "./target.js";
import { Upload } from "./tus.js";

const KINDS = { folder: "album, as one archive", album: "album in an archive", albumfile: "file of an album", video: "music video", artwork: "artwork" };
const FIELDS = { folder: ["artist", "album", "year"], album: ["artist", "album", "year"], albumfile: ["artist", "album", "year", "track", "title"], video: ["artist", "year", "title"], artwork: ["target"] };
const LABELS = { artist: "Artist", album: "Album", year: "Year", track: "Track", title: "Title", target: "Album or video it is for" };

let numbers = 0;

export class Item extends EventTarget {
  /** `ready`, `waiting`, `sending`, `working`, `choose`, `done` or `failed`. */
  phase = "ready";
  upload = null;
  view = null;
  message = "";
  #inputs = {};
  /** The names of what the songs do not say alike. */
  #disagreed = [];
  #integrating = false;

  constructor(store, { kind, name, files }, music) {
    super();
    this.store = store;
    this.kind = kind;
    this.name = name;
    this.files = files;
    this.music = music;
    this.blob = kind === "folder" ? tar(files) : files[0].file;
    this.fingerprint = fingerprint(files);
    const id = `item-${(numbers += 1)}`;
    for (const field of music ? FIELDS[kind] : []) {
      this.#inputs[field] = h("input", { id: `${id}-${field}`, maxLength: field === "year" ? 4 : 500, inputMode: ["year", "track"].includes(field) ? "numeric" : "text", placeholder: kind === "folder" || kind === "artwork" ? "" : "as its tags say", oninput: () => this.#later() });
    }
    this.place = h("p", { class: "place", role: "status" });
    this.bar = h("progress", { max: Math.max(1, this.blob.size), value: 0, "aria-label": `Upload of ${name}` });
    this.status = h("p", { class: "faint", role: "status" });
    this.body = h("div");
    this.buttons = h("div", { class: "buttons" });
    const inside = files.length > 1 ? `${count(files.length, "file")}, ` : "";
    this.fields = h("div", { class: "fields" }, Object.entries(this.#inputs).map(([field, input]) => h("div", { class: field }, h("label", { for: input.id }, LABELS[field]), input)));
    this.element = h(
      "li",
      { class: "card item" },
      h("div", { class: "title" }, h("h2", {}, name), h("span", { class: "faint" }, `${music ? `${KINDS[kind]}, ` : ""}${inside}${bytes(this.blob.size)}`)),
      kind === "folder" ? h("details", {}, h("summary", {}, "Files"), h("ul", { class: "found" }, files.map(({ path, file }) => h("li", {}, h("span", {}, path), h("span", { class: "faint" }, bytes(file.size)))))) : null,
      this.fields, this.place, this.bar, this.status, this.body, this.buttons,
    );
    this.bar.hidden = true;
    this.#show();
  }

  /** Reads its tags, and looks whether its place is free; an earlier upload of it goes on. */
  async look() {
    await this.store.ready;
    if (this.phase !== "ready") return;
    this.view = this.#earlier();
    if (this.view) {
      this.body.append(h("p", { class: "faint" }, "An earlier upload of these files goes on."));
      this.begin();
      return;
    }
    const songs = this.files.filter(({ path }) => isSong(path));
    if (this.kind === "folder" || (this.kind === "albumfile" && songs.length)) await this.#readSongs(songs);
    if (this.kind === "video") this.#readName();
    await this.#check();
  }

  /** The upload of the same files that was begun before, by this page or another. */
  #earlier() {
    const same = (view) => view.task.annotations?.fingerprint === this.fingerprint;
    return [...this.store.tasks.values()].find((view) => same(view) && !["removing", "failed"].includes(this.store.role(view))) ?? null;
  }

  /** What all songs say alike; no song speaks for another. */
  async #readSongs(songs) {
    const all = [];
    for (const { file } of songs) all.push(await readTags(file));
    for (const [field, input] of Object.entries(this.#inputs)) {
      const values = new Set(all.map((tags) => tags[field] ?? ""));
      if (values.size === 1) input.value ||= [...values][0];
      else if (["artist", "album", "year"].includes(field)) this.#disagreed.push(LABELS[field].toLowerCase());
    }
  }

  #readName() {
    const stem = this.name.replace(/\.[^.]*$/, "");
    const parts = /^(?:(.+?) - )?(?:(\d{4}) - )?(.+)$/.exec(stem);
    if (!parts) return;
    this.#inputs.artist.value ||= parts[1] ?? "";
    this.#inputs.year.value ||= parts[2] ?? "";
    this.#inputs.title.value ||= parts[3];
  }

  get said() {
    return Object.fromEntries(Object.entries(this.#inputs).map(([field, input]) => [field, input.value.trim()]));
  }

  #later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#check(), 250);
  }

  /** Says where an album would go, and whether something is there, before anything is sent. */
  async #check() {
    const { artist, album, year } = this.said;
    if (this.phase !== "ready" || !this.music) return;
    this.place.className = "place";
    this.place.replaceChildren();
    if (!["folder", "album"].includes(this.kind)) return;
    if (!(artist && album && year)) {
      const asked = this.#disagreed.filter((field) => !this.said[field]);
      this.place.className = asked.length ? "place bad" : "place";
      if (asked.length) this.place.textContent = `Its songs do not agree on ${asked.join(", ")}: write above what it shall be.`;
      else if (this.kind === "folder") this.place.textContent = "Its songs are asked for what is missing here.";
      return;
    }
    try {
      const found = await get(`api/library/targets?${new URLSearchParams({ artist, album, year })}`);
      if (this.phase !== "ready") return;
      this.place.className = found.usable ? "place" : "place bad";
      this.place.replaceChildren(...(found.usable ? ["Goes to ", h("b", {}, found.target)] : [found.reason]));
    } catch (error) {
      this.place.className = "place bad";
      this.place.textContent = explained(error);
    }
  }

  /** Puts it in line; `send` is called when its turn has come. */
  begin() {
    if (!["ready", "failed"].includes(this.phase)) return;
    const onServer = this.view && this.view.task.offset === this.view.task.filesize;
    this.#enter(onServer ? "working" : "waiting");
    if (onServer) this.follow(this.view);
  }

  async send() {
    this.#enter("sending");
    await this.store.ready;
    this.view ??= this.#earlier();
    if (this.view && this.view.task.offset === this.view.task.filesize) {
      this.#enter("working");
      this.follow(this.view);
      return;
    }
    if (this.phase !== "sending") return;
    const url = this.view ? new URL(`uploads/${this.view.id}`, document.baseURI).pathname : null;
    const upload = (this.upload = new Upload(this.blob, this.#metadata(), url));
    upload.addEventListener("created", () => this.#took());
    upload.addEventListener("progress", () => this.#progress());
    try {
      await upload.run();
      if (this.phase === "sending") {
        this.#enter("working");
        this.#took();
      }
    } catch (error) {
      this.#took();
      this.#fail(error.message);
    }
  }

  #took() {
    const view = this.store.tasks.get(this.upload.taskId);
    if (view) this.follow(view);
  }

  #metadata() {
    const { artist, album, year, title } = this.said;
    const extension = this.kind === "folder" ? ".tar" : "";
    const known = { filename: `${this.name}${extension}`, filetype: this.blob.type, fingerprint: this.fingerprint, source: this.name };
    if (!this.music) return known;
    known.contenttype = this.kind === "folder" ? "album" : this.kind;
    if (known.contenttype === "album") Object.assign(known, { artist, album, releaseyear: year });
    if (known.contenttype === "video") Object.assign(known, { artistname: artist, release: year, name: title });
    return known;
  }

  #progress() {
    const { upload } = this;
    if (this.phase !== "sending") return;
    const sent = upload.sent ?? upload.offset;
    this.bar.value = sent;
    const rest = this.blob.size - sent;
    const speed = upload.speed ? `, ${bytes(upload.speed)}/s, ${duration(rest / upload.speed)} left` : "";
    this.status.textContent = upload.trouble ?? `${bytes(sent)} of ${bytes(this.blob.size)}${rest ? speed : ""}`;
    this.status.classList.toggle("bad", upload.trouble !== null);
  }

  /** What its task does now. */
  async follow(view, gone = false) {
    this.view = view;
    const role = this.store.role(view);
    if (this.phase === "done" || this.phase === "waiting") return;
    // While it comes in, only the upload itself knows how it is, also when it has just failed.
    const comes = role === "waiting" && !gone && (this.phase === "sending" || view.state !== "readyforintegration");
    if (comes && ["sending", "failed"].includes(this.phase)) return;
    if (role === "failed") this.#fail(lastMessage(view) ?? words(view.state));
    else if (role === "finished") this.#done(view);
    else if (role === "removing" || gone) this.#fail(lastMessage(view) ?? "Its task was removed.");
    else if (this.music && view.state === "readyforintegration") await this.#bringIn(view);
    else {
      this.#enter("working");
      this.status.textContent = words(view.state);
    }
  }

  async #bringIn(view) {
    if (this.#integrating || this.phase === "choose") return;
    this.#integrating = true;
    try {
      const { artist, album, year, title } = this.said;
      const found = await this.#proposed(view);
      if (found.usable) await integrate(view, found.target);
      else this.#choose(view, { artist, album, year, name: title });
    } catch (error) {
      this.#choose(view, {}, explained(error));
    }
    this.#integrating = false;
  }

  /** The place that the server finds by what is said here; a track that a person wrote counts, too. */
  async #proposed(view) {
    const { artist, album, year, title, target, track } = this.said;
    if (target) return { target, usable: true };
    const found = await proposal(view.id, { artist, album, year, name: title });
    if (!/^[0-9]{1,4}$/.test(track ?? "") || Number(track) === found.number) return found;
    const built = this.#built(found, track.padStart(2, "0"));
    return built ? proposal(view.id, { target: built }) : found;
  }

  #built(found, number) {
    // The disc in the name of a song of several stays.
    if (found.target) return found.target.replace(/\/(\d+-)?\d+ ([^/]*)$/, (_, disc, rest) => `/${disc ?? ""}${number} ${rest}`);
    if (!(found.artist && found.album && found.year && found.title)) return null;
    const safe = (text) => text.replaceAll("/", "\u2215");
    const disc = found.disc ? `${found.disc}-` : "";
    return `${safe(found.artist)}/${found.year} - ${safe(found.album)}/${disc}${number} ${safe(found.title)}.${this.name.split(".").at(-1).toLowerCase()}`;
  }

  #choose(view, given, reason = null) {
    this.#enter("choose");
    this.body.replaceChildren(...(reason ? [h("p", { class: "place bad" }, reason)] : []), targetForm(view, given));
  }

  #done(view) {
    this.#enter("done");
    const path = view.task.albumpath ?? view.task.videopath ?? view.task.albumfilepath ?? about(view);
    this.place.className = "place good";
    this.place.replaceChildren("In the library: ", h("b", {}, path));
    announce(`${this.name} is in the library`);
  }

  #fail(reason) {
    this.upload?.stop();
    this.message = reason;
    this.#enter("failed");
    announce(`${this.name}: ${reason}`);
  }

  async #again() {
    this.body.replaceChildren();
    const view = this.view && this.store.tasks.get(this.view.id);
    if (view?.allowed.includes("retry")) {
      try {
        this.#enter("working");
        await post(`api/tasks/${view.id}/retry`);
      } catch (error) {
        this.#fail(explained(error));
      }
      return;
    }
    this.view = null;
    this.phase = "ready";
    this.begin();
  }

  /** Takes it out of the list; what was uploaded goes, too, unless it is in the library. */
  async drop() {
    this.upload?.stop();
    const id = this.view?.id ?? this.upload?.taskId;
    const view = id && this.store.tasks.get(id);
    if (view && this.phase !== "done") {
      try {
        await remove(view.id);
      } catch (error) {
        if (error.status !== 404) this.message = explained(error);
      }
    }
    this.dispatchEvent(new Event("dropped"));
  }

  #enter(phase) {
    if (this.phase === phase) return;
    this.phase = phase;
    this.#show();
    this.dispatchEvent(new Event("phase"));
  }

  #show() {
    const { phase } = this;
    this.element.dataset.phase = phase;
    const editable = phase === "ready";
    this.fields.hidden = !editable || !Object.keys(this.#inputs).length;
    this.bar.hidden = !["sending", "working"].includes(phase);
    if (phase === "working") this.bar.removeAttribute("value");
    if (phase !== "choose" && phase !== "waiting") this.body.replaceChildren();
    if (["waiting", "sending", "working", "choose"].includes(phase)) this.place.replaceChildren();
    this.status.textContent = { waiting: "Waits for its turn.", failed: "", done: "", choose: "", ready: "" }[phase] ?? this.status.textContent;
    if (phase === "failed") {
      this.place.className = "place bad";
      this.place.textContent = this.message;
    }
    const button = (label, action, kind = "") => h("button", { type: "button", class: kind, onclick: action }, label);
    this.buttons.replaceChildren(
      ...{
        ready: [button("Bring it in", () => this.begin(), "primary"), button("Leave it out", () => this.drop())],
        waiting: [button("Leave it out", () => this.drop())],
        sending: [button("Cancel", () => this.drop())],
        working: [],
        choose: [button("Leave it out", () => this.drop())],
        done: [button("Close", () => this.drop())],
        failed: [button("Try again", () => this.#again(), "primary"), button("Leave it out", () => this.drop())],
      }[phase],
    );
  }
}
