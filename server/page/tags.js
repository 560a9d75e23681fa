// What the first bytes of a song say of its album, before anything is sent. The server reads the
// tags again, and all of them; what this cannot read is simply not known yet.

const HEAD_BYTES = 512 * 1024;

/** `{artist, album, year, track, title}` of a file, as far as its tags tell; `{isBroken: true}` where
 * it is surely not what its extension says. */
export async function readTags(file) {
  try {
    if (await isForeign(file)) return { isBroken: true };
    const data = new DataView(await file.slice(0, HEAD_BYTES).arrayBuffer());
    const magic = ascii(data, 0, 4);
    if (magic === "fLaC") return named(flac(data, 0));
    if (magic.startsWith("ID3")) {
      const end = 10 + synchsafe(data, 6);
      const inside = end + 4 <= data.byteLength && ascii(data, end, 4) === "fLaC";
      return named(inside ? flac(data, end) : id3(data));
    }
    if (ascii(data, 4, 4) === "ftyp") return named(await mp4(file, data));
  } catch {
    // A file that is damaged or cut off here: the server will say so.
  }
  return {};
}

/** Where each of these has what it begins with, and how that is; none begins otherwise. */
const MAGIC = { flac: [0, /^(fLaC|ID3)/], m4a: [4, /^(ftyp|styp|moov|mdat|free|skip|wide|uuid)/] };

async function isForeign(file) {
  const [at, magic] = MAGIC[/\.([^.]*)$/.exec(file.name)?.[1].toLowerCase()] ?? [0, /^/];
  const begin = new Uint8Array(await file.slice(at, at + 4).arrayBuffer());
  return !magic.test(String.fromCharCode(...begin));
}

/** As the server chooses among several values: artists are joined, of all else the first counts. */
function named(tags) {
  const texts = (name) => (tags[name] ?? []).map((text) => text.trim()).filter(Boolean);
  const joined = (name) => [...new Set(texts(name))].join(", ");
  const matching = (name, pattern) => texts(name).map((text) => pattern.exec(text)?.[1]).find(Boolean);
  const number = /^0*([1-9]\d{0,3})(?!\d)/;
  return {
    artist: joined("albumartist") || (matching("compilation", number) ? "Various Artists" : joined("artist")),
    album: texts("album")[0],
    year: matching("date", /^(?!0000)(\d{4})(?!\d)/),
    track: matching("track", number),
    title: texts("title")[0],
  };
}

function note(tags, name, text) {
  (tags[name] ??= []).push(text);
}

function flac(data, start) {
  const tags = {};
  let at = start + 4, last = false;
  while (!last && at + 4 <= data.byteLength) {
    const kind = data.getUint8(at);
    const length = data.getUint32(at) & 0xffffff;
    last = (kind & 0x80) !== 0;
    if ((kind & 0x7f) === 4) comments(data, at + 4, tags);
    at += 4 + length;
  }
  return {
    ...tags,
    albumartist: tags.albumartist ?? tags["album artist"],
    date: [...(tags.date ?? []), ...(tags.year ?? [])],
    track: [...(tags.tracknumber ?? []), ...(tags.track ?? [])],
  };
}

function comments(data, start, tags) {
  let at = start + 4 + data.getUint32(start, true);
  const number = data.getUint32(at, true);
  at += 4;
  for (let i = 0; i < Math.min(number, 4096); i += 1) {
    const length = data.getUint32(at, true);
    const [key, ...value] = utf8(data, at + 4, length).split("=");
    note(tags, key.toLowerCase(), value.join("="));
    at += 4 + length;
  }
}

const FRAMES = {
  TPE1: "artist", TPE2: "albumartist", TALB: "album", TDRC: "date", TYER: "date", TRCK: "track",
  TIT2: "title", TCMP: "compilation", TP1: "artist", TP2: "albumartist", TAL: "album",
  TYE: "date", TRK: "track", TT2: "title", TCP: "compilation",
};

function id3(data) {
  const version = data.getUint8(3);
  if (data.getUint8(5) & 0xc0) return {}; // unsynchronised, or with a further header: rare
  const end = Math.min(10 + synchsafe(data, 6), data.byteLength);
  const wide = version > 2 ? 10 : 6;
  const tags = {};
  let at = 10;
  while (at + wide < end) {
    const name = ascii(data, at, version > 2 ? 4 : 3);
    if (!/^[A-Z0-9]+$/.test(name)) break;
    const length = version > 3 ? synchsafe(data, at + 4) : version > 2 ? data.getUint32(at + 4) : data.getUint32(at + 2) & 0xffffff;
    const plain = version < 3 || data.getUint8(at + 9) === 0; // neither compressed nor encrypted
    if (FRAMES[name] && length > 1 && plain) for (const text of frameTexts(data, at + wide, length)) note(tags, FRAMES[name], text);
    at += wide + length;
  }
  return tags;
}

function frameTexts(data, at, length) {
  const encoding = data.getUint8(at);
  const bytes = new Uint8Array(data.buffer, at + 1, length - 1);
  // To a TextDecoder “utf-16” is little-endian, whatever the mark at its beginning says.
  const big = encoding === 2 || (encoding === 1 && bytes[0] === 0xfe && bytes[1] === 0xff);
  const label = big ? "utf-16be" : (["iso-8859-1", "utf-16le"][encoding] ?? "utf-8");
  return new TextDecoder(label).decode(bytes).split("\0").map((text) => text.replace(/^\ufeff/, ""));
}

const ATOMS = {
  "\u00a9ART": "artist", aART: "albumartist", "\u00a9alb": "album", "\u00a9day": "date", trkn: "track",
  "\u00a9nam": "title", cpil: "compilation",
};

async function mp4(file, head) {
  let at = 0;
  while (at + 8 <= file.size) {
    const data = at + 16 <= head.byteLength ? head : new DataView(await file.slice(at, at + 16).arrayBuffer());
    const offset = data === head ? at : 0;
    let length = data.getUint32(offset);
    if (length === 1) length = Number(data.getBigUint64(offset + 8));
    if (length < 8) break;
    if (ascii(data, offset + 4, 4) === "moov" && length < 32 * 1024 * 1024) {
      const moov = new DataView(await file.slice(at, at + length).arrayBuffer());
      return ilst(moov);
    }
    at += length;
  }
  return {};
}

function ilst(moov) {
  const tags = {};
  const inside = (start, end, path) => {
    for (let at = start; at + 8 <= end;) {
      const length = moov.getUint32(at);
      if (length < 8 || at + length > end) return;
      const name = ascii(moov, at + 4, 4);
      if (path.length && name === path[0]) {
        const skipped = name === "meta" ? 12 : 8;
        inside(at + skipped, at + length, path.slice(1));
      } else if (!path.length && ATOMS[name]) {
        for (const text of atomTexts(moov, at + 8, at + length, name)) note(tags, ATOMS[name], text);
      }
      at += length;
    }
  };
  inside(8, moov.byteLength, ["udta", "meta", "ilst"]);
  return tags;
}

function* atomTexts(moov, start, end, name) {
  for (let at = start; at + 16 <= end;) {
    const length = moov.getUint32(at);
    if (length < 16 || at + length > end) return;
    if (name === "trkn") yield String(moov.getUint16(at + 18));
    else if (name === "cpil") yield String(moov.getUint8(at + 16));
    else yield utf8(moov, at + 16, length - 16);
    at += length;
  }
}

function synchsafe(data, at) {
  return [0, 1, 2, 3].reduce((size, i) => (size << 7) | (data.getUint8(at + i) & 0x7f), 0);
}

function ascii(data, at, length) {
  return Array.from({ length }, (_, i) => String.fromCharCode(data.getUint8(at + i))).join("");
}

function utf8(data, at, length) {
  return new TextDecoder().decode(new Uint8Array(data.buffer, data.byteOffset + at, length));
}
