// A folder as a tar, made while it is sent: a Blob of headers and of the files, which are read only
// when their bytes are asked for. The same files give the same bytes, so an upload can go on anywhere.

const BLOCK = 512;
const encoder = new TextEncoder();

/** A tar of `[{path, file}]`, in the order of their paths. */
export function tar(files) {
  const parts = [];
  for (const { path, file } of [...files].sort((a, b) => compare(a.path, b.path))) {
    const name = encoder.encode(path);
    if (name.length > 100 || name.length !== path.length) {
      const record = paxRecord("path", path);
      parts.push(header("PaxHeader", record.length, "x"), padded(record));
    }
    parts.push(header(name.length > 100 || name.length !== path.length ? "file" : path, file.size, "0"), file);
    parts.push(new Uint8Array((BLOCK - (file.size % BLOCK)) % BLOCK));
  }
  parts.push(new Uint8Array(2 * BLOCK));
  return new Blob(parts, { type: "application/x-tar" });
}

/** By code units, which is the same everywhere, whatever the language of the browser. */
export function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

function header(name, size, type) {
  const block = new Uint8Array(BLOCK);
  const put = (text, at) => block.set(encoder.encode(text), at);
  const octal = (number, length) => number.toString(8).padStart(length - 1, "0") + "\0";
  put(name, 0);
  put(octal(0o644, 8), 100);
  put(octal(0, 8), 108);
  put(octal(0, 8), 116);
  if (size < 8 ** 11) put(octal(size, 12), 124);
  else base256(block, size, 124);
  put(octal(0, 12), 136);
  put("        ", 148);
  put(type, 156);
  put("ustar\0" + "00", 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(sum.toString(8).padStart(6, "0") + "\0 ", 148);
  return block;
}

function base256(block, size, at) {
  block[at] = 0x80;
  for (let i = at + 11, rest = size; i > at; i -= 1, rest = Math.floor(rest / 256)) block[i] = rest % 256;
}

function paxRecord(key, value) {
  const body = encoder.encode(` ${key}=${value}\n`);
  let length = body.length + 1;
  while (String(length).length + body.length !== length) length = String(length).length + body.length;
  const record = new Uint8Array(length);
  record.set(encoder.encode(String(length)));
  record.set(body, length - body.length);
  return record;
}

function padded(data) {
  const whole = new Uint8Array(Math.ceil(data.length / BLOCK) * BLOCK);
  whole.set(data);
  return whole;
}

/** Tells uploads apart by names, sizes and times of their files, as far as a browser knows them. */
export function fingerprint(files) {
  const lines = [...files]
    .sort((a, b) => compare(a.path, b.path))
    .map(({ path, file }) => `${path}\n${file.size}\n${file.lastModified}`);
  return hash(lines.join("\n"));
}

// 2 x 53 bits of a hash that needs no secure context, as WebCrypto's do. It protects from nothing:
// what was uploaded is checked by its own checksums.
function hash(text) {
  return [1, 2].map((seed) => half(text, seed)).join("");
}

function half(text, seed) {
  let a = 0xdeadbeef ^ seed, b = 0x41c6ce57 ^ seed;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    a = Math.imul(a ^ code, 2654435761);
    b = Math.imul(b ^ code, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return ((b >>> 0).toString(16).padStart(8, "0")) + (a >>> 0).toString(16).padStart(8, "0");
}
