// What the server would do with a file, before a byte of it is sent: it is asked by its SHA-1.

import { post } from "./api.js";

let worker = null, numbers = 0;
const waiting = new Map();

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

/** `{answer, task_id, offset, path, reason}`; who does not answer now gets it, and says then. */
export async function preflight(contenttype, filesize, checksum) {
  if (checksum === null) return { answer: "send" };
  try {
    return await post("api/preflight", { contenttype, filesize, checksum });
  } catch {
    return { answer: "send" };
  }
}
