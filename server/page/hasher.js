// A worker: reads files and makes their SHA-1s, one after the other, while the page goes on.

import { Sha1 } from "./sha1.js";

const PIECE_BYTES = 4 * 1024 * 1024;
const ended = new Set();
let line = Promise.resolve();

addEventListener("message", ({ data }) => {
  if (data.blob === undefined) ended.add(data.id);
  else line = line.then(() => hashed(data.id, data.blob));
});

async function hashed(id, blob) {
  const sha1 = new Sha1();
  try {
    for (let at = 0; at < blob.size; at += PIECE_BYTES) {
      if (ended.has(id)) break;
      sha1.update(new Uint8Array(await blob.slice(at, at + PIECE_BYTES).arrayBuffer()));
      postMessage({ id, done: Math.min(at + PIECE_BYTES, blob.size) });
    }
    postMessage({ id, hex: ended.delete(id) ? null : sha1.hex() });
  } catch {
    postMessage({ id, hex: null }); // it has changed, or cannot be read: who sends it will hear so
  }
}
