// SHA-1, piece by piece. WebCrypto has it too, but only over https, and only of all bytes at once.

export class Sha1 {
  #state = new Int32Array([0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0]);
  #words = new Int32Array(80);
  #block = new Uint8Array(64);
  #filled = 0;
  #size = 0;

  /** Takes the next bytes, an Uint8Array. */
  update(data) {
    let at = 0;
    this.#size += data.length;
    if (this.#filled > 0) {
      at = Math.min(64 - this.#filled, data.length);
      this.#block.set(data.subarray(0, at), this.#filled);
      this.#filled += at;
      if (this.#filled < 64) return this;
      this.#compress(new DataView(this.#block.buffer), 0);
    }
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    for (; at + 64 <= data.length; at += 64) this.#compress(view, at);
    this.#block.set(data.subarray(at));
    this.#filled = data.length - at;
    return this;
  }

  /** The 40 hex digits of all that came; nothing may come after it. */
  hex() {
    const bits = this.#size * 8;
    const end = new Uint8Array(((this.#filled < 56 ? 64 : 128) - this.#filled));
    end[0] = 0x80;
    const view = new DataView(end.buffer);
    view.setUint32(end.length - 8, Math.floor(bits / 2 ** 32));
    view.setUint32(end.length - 4, bits % 2 ** 32);
    this.update(end);
    return Array.from(this.#state, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  }

  #compress(view, at) {
    const w = this.#words, state = this.#state;
    for (let i = 0; i < 16; i += 1) w[i] = view.getInt32(at + 4 * i);
    for (let i = 16; i < 80; i += 1) {
      const word = w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16];
      w[i] = (word << 1) | (word >>> 31);
    }
    let a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], t = 0;
    // Four loops without a call in them: twice as fast as one with a function for each round.
    for (let i = 0; i < 20; i += 1) {
      t = (((a << 5) | (a >>> 27)) + ((b & c) | (~b & d)) + e + w[i] + 0x5a827999) | 0;
      e = d, d = c, c = (b << 30) | (b >>> 2), b = a, a = t;
    }
    for (let i = 20; i < 40; i += 1) {
      t = (((a << 5) | (a >>> 27)) + (b ^ c ^ d) + e + w[i] + 0x6ed9eba1) | 0;
      e = d, d = c, c = (b << 30) | (b >>> 2), b = a, a = t;
    }
    for (let i = 40; i < 60; i += 1) {
      t = (((a << 5) | (a >>> 27)) + ((b & c) | (b & d) | (c & d)) + e + w[i] + 0x8f1bbcdc) | 0;
      e = d, d = c, c = (b << 30) | (b >>> 2), b = a, a = t;
    }
    for (let i = 60; i < 80; i += 1) {
      t = (((a << 5) | (a >>> 27)) + (b ^ c ^ d) + e + w[i] + 0xca62c1d6) | 0;
      e = d, d = c, c = (b << 30) | (b >>> 2), b = a, a = t;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
  }
}
