// What the first bytes of a song say of its album, before anything is sent. The server reads the
// tags again, and all of them; what this cannot read is simply not known yet.

const HEAD_BYTES = 512 * 1024;

/** `{artist, album, year, track, title}` of a file, as far as its tags tell. */
export async function readTags(file) {
  try {
    const data = new DataView(await file.slice(0, HEAD_BYTES).arrayBuffer());
    const magic = ascii(data, 0, 4);
    if (magic === "fLaC") return named(flac(data));
    if (magic.startsWith("ID3")) return named(id3(data));
    if (ascii(data, 4, 4) === "ftyp") return named(await mp4(file, data));
  } catch {
    // A file that is damaged or cut off here: the server will say so.
  }
  return {};
}

function named(tags) {
  const year = /^\s*(\d{4})(?!\d)/.exec(tags.date ?? "");
  const track = /^\s*0*([1-9]\d{0,3})(?!\d)/.exec(tags.track ?? "");
  const compilation = /^\s*0*[1-9]/.test(tags.compilation ?? "");
  return {
    artist: tags.albumartist || (compilation ? "Various Artists" : tags.artist),
    album: tags.album,
    year: year?.[1],
    track: track?.[1],
    title: tags.title,
  };
}

function flac(data) {
  const tags = {};
  let at = 4, last = false;
  while (!last && at + 4 <= data.byteLength) {
    const kind = data.getUint8(at);
    const length = data.getUint32(at) & 0xffffff;
    last = (kind & 0x80) !== 0;
    if ((kind & 0x7f) === 4) comments(data, at + 4, tags);
    at += 4 + length;
  }
  tags.date ??= tags.year;
  tags.track ??= tags.tracknumber;
  return tags;
}

function comments(data, start, tags) {
  let at = start + 4 + data.getUint32(start, true);
  const number = data.getUint32(at, true);
  at += 4;
  for (let i = 0; i < Math.min(number, 4096); i += 1) {
    const length = data.getUint32(at, true);
    const [key, ...value] = utf8(data, at + 4, length).split("=");
    tags[key.toLowerCase().replace(/ /g, "")] ??= value.join("=").trim();
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
  const end = Math.min(10 + synchsafe(data, 6), data.byteLength);
  const wide = version > 2 ? 10 : 6;
  const tags = {};
  let at = 10;
  while (at + wide < end) {
    const name = ascii(data, at, version > 2 ? 4 : 3);
    if (!/^[A-Z0-9]+$/.test(name)) break;
    const length = version > 3 ? synchsafe(data, at + 4) : version > 2 ? data.getUint32(at + 4) : data.getUint32(at + 2) & 0xffffff;
    if (FRAMES[name] && length > 1) tags[FRAMES[name]] ??= frameText(data, at + wide, length);
    at += wide + length;
  }
  return tags;
}

function frameText(data, at, length) {
  const label = ["iso-8859-1", "utf-16", "utf-16be", "utf-8"][data.getUint8(at)] ?? "utf-8";
  const bytes = new Uint8Array(data.buffer, at + 1, length - 1);
  return new TextDecoder(label).decode(bytes).split("\0")[0].trim();
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
        tags[ATOMS[name]] ??= atomText(moov, at + 8, name);
      }
      at += length;
    }
  };
  inside(8, moov.byteLength, ["udta", "meta", "ilst"]);
  return tags;
}

function atomText(moov, at, name) {
  const length = moov.getUint32(at) - 16;
  if (name === "trkn") return String(moov.getUint16(at + 18));
  if (name === "cpil") return String(moov.getUint8(at + 16));
  return utf8(moov, at + 16, length).trim();
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
