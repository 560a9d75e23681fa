// What the server would do with a file, before a byte of it is sent: it is asked by its SHA-1.

import { post } from "./api.js";

let worker = null, numbers = 0;
const waiting = new Map();

/** The question about one thing that was dropped. It is read for that, once. */
export class Asking {
  #blob;
  #contentType;
  #songs;
  #others;
  #home;
  #sha1 = null;
  #hashes = new Map();
  #left = new AbortController();

  /** `songs`, `others`: the files of a folder, as `{path, file}`; `home`: the album where a file is
   * wanted, and no other place counts; `progress(bytes)` is called while it is read. */
  constructor(blob, contentType, { songs, others, home }, progress) {
    this.#blob = blob;
    this.#contentType = contentType;
    this.#songs = songs;
    this.#others = others;
    this.#home = home;
    this.progress = progress;
  }

  /** A promise of its SHA-1, or of null where it cannot be read. */
  sha1() {
    this.#sha1 ??= sha1Of(this.#blob, this.progress, this.#left.signal);
    return this.#sha1;
  }

  /** `{answer, task_id, offset, path, reason}`. */
  async ask() {
    const found = await preflight(this.#contentType, this.#blob.size, await this.sha1(), this.#home);
    return found.answer === "there" && this.#home && above(found.path) !== this.#home ? { answer: "send" } : found;
  }

  /** A folder is there where all its songs are, whoever brought them; the first that is not ends it.
   * `albums`: where they are; `missing`: what else is in the folder, and is not beside them. */
  async askSongs() {
    const albums = new Set();
    for (const { file } of this.#songs) {
      const found = await this.#askFile(file, [...albums][0]);
      if (found.answer !== "there") return { answer: "send" };
      albums.add(above(found.path));
    }
    if (!albums.size) return { answer: "send" };
    const missing = [];
    for (const other of this.#others) if (!(await this.#isIn(albums, other.file))) missing.push(other);
    return { answer: "there", path: [...albums].join(", "), albums: [...albums], missing };
  }

  async #askFile(file, album) {
    if (!this.#hashes.has(file)) this.#hashes.set(file, sha1Of(file, () => {}, this.#left.signal));
    return preflight("albumfile", file.size, await this.#hashes.get(file), album);
  }

  async #isIn(albums, file) {
    for (const album of albums) {
      const found = await this.#askFile(file, album);
      if (found.answer === "there" && above(found.path) === album) return true;
    }
    return false;
  }

  /** Nobody wants to know any more. */
  stop() {
    this.#left.abort();
  }
}

/** Reads a blob, in a worker: its SHA-1 in hex, or null where it cannot be read. `progress(bytes)`
 * is called meanwhile; an AbortSignal ends it. */
export function sha1Of(blob, progress, signal) {
  worker ??= begin();
  const id = (numbers += 1);
  return new Promise((resolve) => {
    waiting.set(id, { resolve, progress });
    signal.addEventListener("abort", () => {
      worker.postMessage({ id });
      end(id, null);
    });
    if (signal.aborted) end(id, null);
    else worker.postMessage({ id, blob });
  });
}

function begin() {
  const made = new Worker(new URL("./hasher.js", import.meta.url), { type: "module" });
  made.onmessage = ({ data: { id, done, hex } }) => {
    if (done !== undefined) waiting.get(id)?.progress(done);
    else end(id, hex);
  };
  // Without it nothing is known of the files, and they are sent.
  made.onerror = () => [...waiting.keys()].forEach((id) => end(id, null));
  return made;
}

function end(id, hex) {
  waiting.get(id)?.resolve(hex);
  waiting.delete(id);
}

/** A server that does not answer now gets the file, and says then. */
async function preflight(contenttype, filesize, checksum, album) {
  if (checksum === null) return { answer: "send" };
  try {
    return await post("api/preflight", { contenttype, filesize, checksum, ...(album ? { album } : {}) });
  } catch {
    return { answer: "send" };
  }
}

function above(path) {
  return path.slice(0, path.lastIndexOf("/"));
}
