// One upload by tus 1.0.0, which goes on by itself after whatever breaks.

const PIECE_BYTES = 16 * 1024 * 1024;
const LONGEST_PAUSE_MS = 15000;
/** What may be another time: no room, too many uploads, somebody else sends, the server starts. */
const LATER = new Set([0, 408, 423, 429, 500, 502, 503, 504, 507]);

export class Upload extends EventTarget {
  /** So long nothing may move; then the line is given up, and another is tried. */
  static stallMs = 45000;
  offset = 0;
  /** Bytes per second of late. */
  speed = 0;
  /** Why it pauses, or null. */
  trouble = null;
  #stopped = false;
  #request = null;
  #wake = null;
  /** Of the task: an announcement whose answer got lost finds it when it is made again. */
  #id = newId();

  /** `url`: of an upload that was begun earlier, or null. */
  constructor(blob, metadata, url = null) {
    super();
    this.blob = blob;
    this.metadata = metadata;
    this.url = url;
  }

  /** Also before the server has answered that there is one. */
  get taskId() {
    return this.url === null ? this.#id : this.url.replace(/\/$/, "").split("/").at(-1);
  }

  /** Resolves when all is there; rejects with the server's words if it never will be. */
  async run() {
    let pauseMs = 500, known = false;
    while (!this.#stopped) {
      try {
        if (this.url === null) await this.#create();
        else if (!known) await this.#ask();
        known = true;
        while (this.offset < this.blob.size && !this.#stopped) {
          await this.#send();
          pauseMs = 500;
          this.#say(null);
        }
        return;
      } catch (error) {
        known = false;
        if (this.#stopped) return;
        if (!(error instanceof Answer)) throw error;
        if (error.status === 410 && this.url !== null) {
          this.url = null; // too long ago: from its beginning, then
          this.offset = 0;
          this.#id = newId();
          continue;
        }
        if (error.status === 404 && this.url !== null) throw new Error("The upload was removed on the server.");
        if (error.status === 0) await this.#readable();
        if (error.status !== 409 && !LATER.has(error.status)) throw new Error(error.detail);
        this.#say(error.status === 0 ? "The connection is gone; it goes on by itself." : `${error.detail}. Trying again.`);
        await this.#pause(pauseMs);
        pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
      }
    }
  }

  stop() {
    this.#stopped = true;
    this.#request?.abort();
    this.#wake?.();
  }

  /** A file that has changed ends a request as a line that breaks does, but always will. */
  async #readable() {
    try {
      await this.blob.slice(this.offset, this.offset + PIECE_BYTES).arrayBuffer();
    } catch {
      throw new Error("A file has changed since it was chosen, or cannot be read any more. Leave this out, and drop it again.");
    }
  }

  async #create() {
    const metadata = Object.entries({ ...this.metadata, taskid: this.#id })
      .filter(([, value]) => value)
      .map(([key, value]) => `${key} ${base64(String(value))}`);
    const answer = await this.#ask1("POST", "uploads/", {
      "Upload-Length": String(this.blob.size),
      "Upload-Metadata": metadata.join(","),
    });
    this.url = new URL(answer.getResponseHeader("Location"), document.baseURI).pathname;
    this.offset = 0;
    this.dispatchEvent(new Event("created"));
  }

  async #ask() {
    const answer = await this.#ask1("HEAD", this.url, {});
    this.offset = Number(answer.getResponseHeader("Upload-Offset"));
    this.#progress(this.offset);
  }

  async #send() {
    const start = this.offset;
    const began = performance.now();
    const piece = this.blob.slice(start, start + PIECE_BYTES);
    const progress = (event) => {
      this.trouble = null;
      const seconds = (performance.now() - began) / 1000;
      if (seconds > 0.2) this.speed = event.loaded / seconds;
      this.#progress(start + event.loaded);
    };
    const headers = { "Upload-Offset": String(start), "Content-Type": "application/offset+octet-stream" };
    const answer = await this.#ask1("PATCH", this.url, headers, piece, progress);
    this.offset = Number(answer.getResponseHeader("Upload-Offset"));
    this.#progress(this.offset);
  }

  #ask1(method, url, headers, body = null, progress = null) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      this.#request = request;
      request.open(method, url);
      for (const [name, value] of Object.entries({ "Tus-Resumable": "1.0.0", ...headers })) {
        request.setRequestHeader(name, value);
      }
      let timer = 0;
      const stalls = (afterMs) => {
        clearTimeout(timer);
        timer = setTimeout(() => request.abort(), afterMs);
      };
      request.upload.onprogress = (event) => {
        stalls(Upload.stallMs);
        progress?.(event);
      };
      // The server answers the last piece when it has read all of it once more.
      request.upload.onload = () => stalls(10 * Upload.stallMs);
      request.onloadend = () => clearTimeout(timer);
      stalls(Upload.stallMs);
      request.onload = () => {
        if (request.status >= 200 && request.status < 300) resolve(request);
        else if (request.status === 401) location.assign("login");
        else reject(new Answer(request.status, request.responseText));
      };
      request.onerror = request.ontimeout = request.onabort = () => reject(new Answer(0, ""));
      request.send(body);
    });
  }

  #progress(sent) {
    this.sent = sent;
    this.dispatchEvent(new Event("progress"));
  }

  #say(trouble) {
    if (trouble === this.trouble) return;
    this.trouble = trouble;
    this.dispatchEvent(new Event("progress"));
  }

  #pause(pauseMs) {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        removeEventListener("online", done);
        this.#wake = null;
        resolve();
      };
      const timer = setTimeout(done, pauseMs);
      addEventListener("online", done);
      this.#wake = done;
    });
  }
}

/** What the server answered and is no success; status 0: nothing. */
class Answer extends Error {
  constructor(status, text) {
    super(`status ${status}`);
    this.status = status;
    this.detail = `The server answered with status ${status}`;
    try {
      this.detail = JSON.parse(text).detail ?? this.detail;
    } catch {
      // No problem document: a proxy's own page, say.
    }
  }
}

/** A random id; `crypto.randomUUID` is for https alone. */
function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function base64(text) {
  return btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(""));
}
