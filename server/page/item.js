// One thing that is brought in: its card, its upload, and its way until it is in the library.

import { explained, get, post, remove } from "./api.js";
import { about, lastMessage } from "./store.js";
import { announce, bytes, count, duration, h, named, words } from "./dom.js";
import { Asking } from "./preflight.js";
import { isSong } from "./sorting.js";
import { fingerprint, tar } from "./tar.js";
import { readTags } from "./tags.js";
import { integrate, proposal, targetForm } from "./target.js";
import { Upload } from "./tus.js";

const KINDS = { folder: "album, as one archive", album: "album in an archive", albumfile: "file of an album", video: "music video", artwork: "artwork" };
/** Of a file that is no song. */
const BESIDE = ["artist", "album", "year", "title"];
const FIELDS = { folder: ["artist", "album", "year"], album: ["artist", "album", "year"], albumfile: ["artist", "album", "year", "track", "title"], video: ["artist", "year", "title"], artwork: ["target"] };
const LABELS = { artist: "Artist", album: "Album", year: "Year", track: "Track", title: "Title", target: "Album or video it is for" };

/** In an album the server leaves it out, as long as no setting says otherwise. */
const README = /(^|\/)README$/;

let numbers = 0;

export class Item extends EventTarget {
  /** `ready`, `waiting`, `sending`, `working`, `choose`, `there`, `done` or `failed`. */
  phase = "ready";
  upload = null;
  view = null;
  message = "";
  #inputs = {};
  /** What a person wrote counts more than what tags say. */
  #written = new Set();
  #asking;
  /** It shall be sent although the library has it. */
  #anyway = false;
  /** The names of what the songs do not say alike. */
  #disagreed = [];
  /** The paths of the songs that cannot be read, and of those that say nothing. */
  #broken = [];
  #silent = [];
  #integrating = false;
  /** The files of a folder that are not in the library, where its songs are. */
  missing = [];
  #albums = [];
  /** Whether nothing is where it goes; undefined: that is not known. */
  #isFree;
  /** How often that was asked: only the last answer counts, whichever comes last. */
  #checks = 0;
  #isDropped = false;

  /** `place`: the album where a file is wanted: `{artist, year, album, path}`. */
  constructor(store, { kind, name, files, place = {} }, music) {
    super();
    this.store = store;
    this.kind = kind;
    this.name = name;
    this.files = files;
    this.music = music;
    this.blob = kind === "folder" ? tar(files) : files[0].file;
    this.fingerprint = fingerprint(files);
    const members = kind === "folder" ? files.filter(({ file }) => file.size > 0) : [];
    const inside = { songs: members.filter(({ path }) => isSong(path)), others: members.filter(({ path }) => !isSong(path) && !README.test(path)), home: place.path };
    this.#asking = new Asking(this.blob, this.#contentType, inside, (done) => this.#reads(done));
    const id = `item-${(numbers += 1)}`;
    const isBeside = kind === "albumfile" && !isSong(name);
    for (const field of !music ? [] : isBeside ? BESIDE : FIELDS[kind]) {
      this.#inputs[field] = h("input", { id: `${id}-${field}`, maxLength: field === "year" ? 4 : 500, inputMode: ["year", "track"].includes(field) ? "numeric" : "text", value: place[field] ?? "", placeholder: isBeside ? (field === "title" ? "as it is" : "") : ["folder", "artwork"].includes(kind) ? "" : "as tagged", oninput: () => this.#wrote(field) });
      if (place[field]) this.#written.add(field);
    }
    this.place = h("p", { class: "place", role: "status" });
    this.bar = h("progress", { max: Math.max(1, this.blob.size), value: 0, "aria-label": `Upload of ${name}` });
    this.status = h("p", { class: "faint", role: "status" });
    this.body = h("div");
    this.buttons = h("div", { class: "buttons" });
    const number = files.length > 1 ? `${count(files.length, "file")}, ` : "";
    this.fields = h("div", { class: "fields" }, Object.entries(this.#inputs).map(([field, input]) => h("div", { class: field }, h("label", { for: input.id }, isBeside && field === "title" ? "Name" : LABELS[field]), input)));
    this.element = h(
      "li",
      { class: "card item", tabIndex: -1 },
      h("div", { class: "heading" }, h("h2", {}, name), h("span", { class: "faint" }, `${music ? `${KINDS[kind]}, ` : ""}${number}${bytes(this.blob.size)}`)),
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
      this.#goesOn(this.view.task.offset ?? 0);
      this.begin();
      return;
    }
    const songs = this.files.filter(({ path }) => isSong(path));
    if (this.kind === "folder" || (this.kind === "albumfile" && songs.length)) await this.#readSongs(songs);
    if (this.kind === "video") this.#readName();
    await this.#check();
    const found = await this.#asked();
    if (this.phase === "ready") await this.#told(found);
  }

  #goesOn(offset) {
    this.body.replaceChildren(h("p", { class: "faint" }, `The server has it up to byte ${offset.toLocaleString("en")}: it goes on with task ${this.view.id}.`));
    this.dispatchEvent(new Event("phase")); // the task is this item's now
  }

  get #contentType() {
    return this.kind === "folder" ? "album" : this.kind;
  }

  /** What the server would do with it. */
  async #asked() {
    if (!this.music || this.#anyway) return { answer: "send" };
    const found = await this.#asking.ask();
    this.#say("");
    // Who writes where it goes wants it there, perhaps beside what is there.
    return found.answer === "send" && !this.#written.size ? this.#asking.askSongs() : found;
  }

  #reads(done) {
    this.#say(`Looks whether it is in the library: ${Math.floor((100 * done) / Math.max(1, this.blob.size))} %`);
  }

  #say(text) {
    if (!["ready", "sending"].includes(this.phase) || this.upload) return;
    this.status.classList.remove("bad");
    this.status.textContent = text;
  }

  /** Says what the server would do; true where something is to be sent. */
  async #told(found) {
    if (found.answer === "there") {
      this.#isThere(found);
      return false;
    }
    if (found.answer === "refused") {
      this.#fail(found.reason);
      return false;
    }
    if (found.answer === "go on") {
      try {
        this.view = this.store.tasks.get(found.task_id) ?? (await get(`api/tasks/${found.task_id}`));
        this.#goesOn(found.offset);
      } catch {
        this.view = null; // gone meanwhile
      }
    }
    return true;
  }

  #isThere({ path, albums = [], missing = [] }) {
    this.#albums = albums;
    this.missing = missing;
    this.#enter("there");
    const names = named(missing.map((one) => one.path));
    this.place.className = names ? "place" : "place good";
    this.place.replaceChildren(names ? "Its songs are in the library already, at " : "In the library already, and not sent: ", h("b", {}, path));
    if (names) this.place.append(`. Not there: ${names}.`, this.#home ? "" : " Drop what shall be sent by itself.");
    announce(`${this.name} is in the library already${names && `, but for ${names}`}`);
  }

  /** The one album where its songs are, as the fields of a file that goes there; else null. */
  get #home() {
    const [path] = this.#albums;
    const parts = this.#albums.length === 1 && /^(?<artist>[^/]+)\/(?<year>\d{4}) - (?<album>[^/]+)$/.exec(path);
    return parts ? { ...parts.groups, path } : null;
  }

  /** What is missing goes beside the songs, each file by itself. */
  #sendMissing() {
    const last = ({ path }) => path.split("/").at(-1);
    const isAlone = (one) => this.missing.filter((other) => last(other) === last(one)).length === 1;
    const rest = this.missing.map((one) => {
      const name = isAlone(one) ? last(one) : one.path.replaceAll("/", " - ");
      return { kind: "albumfile", name, files: [{ path: name, file: one.file }], place: this.#home };
    });
    this.dispatchEvent(new CustomEvent("rest", { detail: rest }));
  }

  /** The upload of the same files that was begun before, by this page or another. */
  #earlier() {
    const same = (view) => view.task.annotations?.fingerprint === this.fingerprint;
    return [...this.store.tasks.values()].find((view) => same(view) && !["removing", "failed"].includes(this.store.role(view))) ?? null;
  }

  /** What all songs say alike; no song speaks for another. */
  async #readSongs(songs) {
    const all = [];
    for (const { path, file } of songs) {
      const tags = await readTags(file);
      if (tags.isBroken) this.#broken.push(path);
      else all.push(tags);
      if (!tags.isBroken && !tags.artist && !tags.album && !tags.year) this.#silent.push(path);
    }
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

  #wrote(field) {
    this.#written.add(field);
    this.#later();
  }

  #later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#check(), 250);
  }

  /** Says where an album would go, and whether something is there, before anything is sent. */
  async #check() {
    const { artist, album, year } = this.said;
    const mine = (this.#checks += 1);
    if (this.phase !== "ready" || !this.music) return;
    this.place.className = "place";
    this.place.replaceChildren();
    this.#allow();
    if (this.#broken.length) {
      this.#tellBroken();
      return;
    }
    if (!["folder", "album"].includes(this.kind)) {
      if (this.#anyway) this.place.textContent = "Write above where else it shall go.";
      return;
    }
    if (!(artist && album && year)) {
      this.#tookPlace(undefined);
      const asked = this.#disagreed.filter((field) => !this.said[field]);
      this.place.className = asked.length ? "place bad" : "place";
      const why = this.#silent.length ? `No tags are found in ${named(this.#silent)}` : `Its songs do not agree on ${asked.join(", ")}`;
      if (asked.length) this.place.textContent = `${why}: write above what it shall be.`;
      else if (this.kind === "folder") this.place.textContent = "Its songs are asked for what is missing here.";
      return;
    }
    try {
      const found = await get(`api/library/targets?${new URLSearchParams({ artist, album, year })}`);
      if (this.phase !== "ready" || mine !== this.#checks) return;
      if (found.spelling && !this.#written.has("artist") && this.said.artist === artist) {
        this.#inputs.artist.value = found.spelling; // as the library has it
        await this.#check();
        return;
      }
      this.place.className = found.usable ? "place" : "place bad";
      this.place.replaceChildren(...(found.usable ? ["Goes to ", h("b", {}, found.target)] : [found.reason]));
      this.#tookPlace(found.usable);
    } catch (error) {
      if (this.phase !== "ready" || mine !== this.#checks) return;
      this.place.className = "place bad";
      this.place.textContent = explained(error);
    }
  }

  #tellBroken() {
    const [are, them] = this.#broken.length === 1 ? ["it is", "it"] : ["they are", "them"];
    const remedy = this.kind === "folder" ? ` Take ${them} out of the folder, and drop that again.` : "";
    this.place.className = "place bad";
    this.place.textContent = `${named(this.#broken)} cannot be read: ${are} broken, or not what the name says.${remedy}`;
  }

  #tookPlace(isFree) {
    this.#isFree = isFree;
    this.#allow();
  }

  /** What the library has is sent to another place, and nowhere else. */
  get #leadsNowhere() {
    return this.#anyway && (this.#written.size ? this.#isFree === false : !this.#isFree);
  }

  #allow() {
    const button = this.buttons.querySelector(".primary");
    if (this.phase === "ready" && button) button.disabled = this.#leadsNowhere;
  }

  /** Puts it in line; `send` is called when its turn has come. */
  begin() {
    if (!["ready", "failed"].includes(this.phase) || this.#leadsNowhere) return;
    const onServer = this.#isWhole();
    this.#enter(onServer ? "working" : "waiting");
    if (onServer) this.follow(this.view);
  }

  async send() {
    this.#enter("sending");
    await this.store.ready;
    this.view ??= this.#earlier();
    if (!this.view && !(await this.#told(await this.#asked()))) return;
    if (this.phase !== "sending" || this.#isDropped) return;
    if (this.#isWhole()) {
      this.#enter("working");
      this.follow(this.view);
      return;
    }
    const url = this.view ? new URL(`uploads/${this.view.id}`, document.baseURI).pathname : null;
    const metadata = await this.#metadata(url === null);
    if (this.#isDropped) return;
    const upload = (this.upload = new Upload(this.blob, metadata, url));
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

  /** Whether the server has all of it. */
  #isWhole() {
    return this.view !== null && this.view.task.offset === this.view.task.filesize;
  }

  #waitsForBytes(view) {
    return this.store.role(view) === "waiting" && view.state !== "readyforintegration";
  }

  #took() {
    const view = this.store.tasks.get(this.upload.taskId);
    if (view) this.follow(view);
  }

  async #metadata(isNew) {
    const { artist, album, year, title } = this.said;
    const extension = this.kind === "folder" ? ".tar" : "";
    const known = { filename: `${this.name}${extension}`, filetype: this.blob.type, fingerprint: this.fingerprint, source: this.name };
    if (!this.music) return known;
    known.contenttype = this.#contentType;
    const sha1 = isNew ? await this.#asking.sha1() : null;
    if (sha1) known.checksum = `sha1 ${sha1}`;
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
    if (["done", "waiting", "there"].includes(this.phase)) return;
    // While it comes in, only the upload itself knows how it is, also when it has just failed.
    const comes = role === "waiting" && !gone && (this.phase === "sending" || this.#waitsForBytes(view));
    if (comes && ["sending", "failed"].includes(this.phase)) return;
    if (role === "failed") this.#fail(lastMessage(view) ?? words(view.state));
    else if (role === "finished" || this.#isPlaced(view)) this.#done(pathOf(view));
    else if (role === "removing" || gone) this.#fail(lastMessage(view) ?? "Its task was removed.");
    else if (this.music && view.state === "readyforintegration") await this.#bringIn(view);
    else {
      this.#enter("working");
      this.status.textContent = words(view.state);
    }
  }

  /** What is not imported goes as soon as it is at its place. */
  #isPlaced({ state, task }) {
    return [state, ...(task.history ?? []).map((change) => change.to)].some((name) => this.store.roles.get(name) === "passing");
  }

  /** Its task is not there any more, and what became of it was not told. */
  async lost() {
    const isAtWork = () => ["working", "choose"].includes(this.phase);
    if (!isAtWork()) return;
    const found = await this.#asking.ask();
    if (!isAtWork()) return;
    if (found.answer === "there") this.#done(found.path);
    else this.#fail("Its task was removed.");
  }

  async #bringIn(view) {
    if (this.#integrating || this.phase === "choose") return;
    this.#integrating = true;
    try {
      const { artist, album, year, track, title } = this.said;
      const found = await this.#proposed(view);
      if (found.usable) await integrate(view, found.target);
      else this.#choose(view, { artist, album, year, track, name: title });
    } catch (error) {
      this.#choose(view, {}, explained(error));
    }
    this.#integrating = false;
  }

  /** The place that the server finds; what a person wrote counts more than tags and notes. */
  async #proposed(view) {
    const { target, title: name, ...written } = Object.fromEntries(Object.entries(this.said).filter(([field]) => this.#written.has(field)));
    return target ? { target, usable: true } : proposal(view.id, { ...written, name });
  }

  #choose(view, given, reason = null) {
    this.#enter("choose");
    this.body.replaceChildren(...(reason ? [h("p", { class: "place bad" }, reason)] : []), targetForm(view, given));
  }

  #done(path) {
    this.#enter("done");
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

  #sendAnyway() {
    this.#anyway = true;
    this.#enter("ready");
    this.#check();
  }

  async #again() {
    this.body.replaceChildren();
    const view = this.view && this.store.tasks.get(this.view.id);
    if (view?.allowed.includes("retry")) {
      try {
        this.#enter("working");
        const retried = await post(`api/tasks/${view.id}/retry`);
        if (this.#waitsForBytes(retried)) {
          this.view = retried;
          this.#enter("waiting"); // for its turn
        }
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
    this.#asking.stop();
    this.#isDropped = true;
    const id = this.view?.id ?? this.upload?.taskId;
    const view = id && this.store.tasks.get(id);
    if (view && !["done", "there"].includes(this.phase)) {
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
    this.status.textContent = { waiting: "Waits for its turn.", failed: "", done: "", there: "", choose: "", ready: "" }[phase] ?? this.status.textContent;
    if (phase === "failed") {
      this.place.className = "place bad";
      this.place.textContent = this.message;
    }
    const hadFocus = this.buttons.contains(document.activeElement);
    const button = (label, action, kind = "") => h("button", { type: "button", class: kind, onclick: action }, label);
    this.buttons.replaceChildren(
      ...{
        ready: [button("Bring it in", () => this.begin(), "primary"), button("Leave it out", () => this.drop())],
        waiting: [button("Leave it out", () => this.drop())],
        sending: [button("Cancel", () => this.drop())],
        working: [],
        choose: [button("Leave it out", () => this.drop())],
        there: [...(this.missing.length && this.#home ? [button(sendLabel(this.missing), () => this.#sendMissing(), "primary")] : []), button("Close", () => this.drop()), button("Send it to another place", () => this.#sendAnyway())],
        done: [button("Close", () => this.drop())],
        failed: [button("Try again", () => this.#again(), "primary"), button("Leave it out", () => this.drop())],
      }[phase],
    );
    // Not on another button: who pressed twice would press that, too.
    if (hadFocus) this.element.focus({ preventScroll: true });
  }
}

function pathOf(view) {
  const { task } = view;
  return task.albumfilepath ?? task.albumpath ?? task.videopath ?? about(view);
}

function sendLabel(missing) {
  return missing.length === 1 ? "Send this file" : `Send these ${missing.length.toLocaleString("en")} files`;
}
