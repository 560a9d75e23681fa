// What people drop, sorted into what is sent: each album's folder as one tar, all else by itself.

// Whether the last four are songs is a setting: the server says so where they are not.
const SONG = /\.(flac|mp3|m4a|aac|og[ga]|opus|wav|aiff?)$/i;
const ARCHIVE = /\.(zip|tar|tgz|tbz2?|txz|tar\.(gz|bz2|xz))$/i;
const VIDEO = /\.(mp4|m4v|webm)$/i;
const IMAGE = /\.(jpe?g|png)$/i;
const DISC = /^(cd|dis[ck])[ ._-]*\d/i;
const SYSTEM = new Set(["Thumbs.db", "desktop.ini", "Desktop.ini", "Icon\r"]);

/** The files of a drop, `{path, file}`; folders are read to their end. */
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ path: file.name, file }));
  return (await Promise.all(entries.map((entry) => walk(entry, "")))).flat();
}

/** The files of an `<input type=file>`. */
export function chosen(input) {
  return [...input.files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
}

async function walk(entry, above) {
  const path = above + entry.name;
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [{ path, file }];
  }
  const reader = entry.createReader(), found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    for (const one of some) found.push(...(await walk(one, `${path}/`)));
  }
  return found;
}

/** `{items: [{kind, name, files}], leftOut: [path]}`; kind is a content type, `folder`: a tar. */
export function sorted(files) {
  const items = [], leftOut = [], albums = new Map();
  const visible = files.filter(({ path }) => {
    const name = path.split("/").at(-1);
    return !name.startsWith(".") && !SYSTEM.has(name) && !path.startsWith("__MACOSX/");
  });
  for (const one of visible) {
    const folder = albumFolder(one.path);
    if (folder !== null && SONG.test(one.path)) {
      if (!albums.has(folder)) albums.set(folder, []);
      albums.get(folder).push(one);
    }
  }
  for (const one of visible) {
    const { path } = one;
    const folder = albumFolder(path);
    if (ARCHIVE.test(path)) items.push(single("album", one));
    else if (folder === null) items.push(single(SONG.test(path) ? "albumfile" : VIDEO.test(path) ? "video" : IMAGE.test(path) ? "artwork" : "albumfile", one));
    else if (!SONG.test(path)) {
      const near = nearest(folder, albums);
      if (near !== null) albums.get(near).push(one);
      else if (VIDEO.test(path)) items.push(single("video", one));
      else leftOut.push(path);
    }
  }
  for (const [folder, members] of albums) {
    items.push({ kind: "folder", name: folder.split("/").at(-1), files: within(folder, members) });
  }
  return { items, leftOut };
}

export function isSong(path) {
  return SONG.test(path);
}

function single(kind, one) {
  return { kind, name: one.path.split("/").at(-1), files: [one] };
}

/** The folder of a file, or the one above it if that is a disc's; null: it lies in none. */
function albumFolder(path) {
  const parts = path.split("/").slice(0, -1);
  if (!parts.length) return null;
  if (parts.length > 1 && DISC.test(parts.at(-1))) parts.pop();
  return parts.join("/");
}

/** The files by their paths in the album; one that lies above it keeps its name, or all of its path
 * where that name is taken. */
function within(folder, members) {
  const isBelow = ({ path }) => path.startsWith(`${folder}/`);
  const inside = members.filter(isBelow).map(({ path, file }) => ({ path: path.slice(folder.length + 1), file }));
  const taken = new Set(inside.map(({ path }) => path));
  for (const { path, file } of members.filter((one) => !isBelow(one))) {
    const name = path.slice(albumFolder(path).length + 1);
    inside.push({ path: taken.has(name) ? path.replaceAll("/", " - ") : name, file });
    taken.add(name);
  }
  return inside;
}

function nearest(folder, albums) {
  const parts = folder.split("/");
  for (let n = parts.length; n > 0; n -= 1) {
    const above = parts.slice(0, n).join("/");
    if (albums.has(above)) return above;
  }
  const below = [...albums.keys()].filter((album) => album.startsWith(`${folder}/`));
  return below.length === 1 ? below[0] : null;
}
