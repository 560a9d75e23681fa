"""Files outside of the library that were read before: what was found, by how they looked then.

So the same files given again are not read again. It is never believed where a file looks other
than it did: in device, inode, size, and the times of its content and its inode to the nanosecond.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from attrs import asdict, define, field, frozen

from .cache_file import CacheFile
from .tags import SongTags

#: `looks`: the identity. `tags`: JSON, where it is a song. `used`: the day when it was read.
_SCHEMA = (
    """create table if not exists files (
        path blob primary key, looks text not null, sha1 text not null, tags text,
        used integer not null
    ) without rowid""",
    "create index if not exists files_by_sha1 on files (sha1)",
    # What tags were read by: another program may read them otherwise.
    "create table if not exists rules (rules text)",
)
#: A file that was changed just now could be changed again within the granularity of its times, and
#: look the same. FAT has the coarsest: 2 s.
_SETTLED_NS = 2_100_000_000
#: More files are not kept: the ones that were read longest ago go.
_MOST_FILES = 200_000
#: How many values one query takes.
_AT_ONCE = 500
#: Longer lyrics are not kept: then the song is read again.
_LYRICS_MOST = 4000
_SHA1 = re.compile("[0-9a-f]{40}")


class FileIdentity(NamedTuple):
    """How a file looks; when nothing of it has changed, its bytes have not."""

    device: int
    inode: int
    size_bytes: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> FileIdentity:
        return cls(
            status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        )

    def is_settled(self, now_ns: int) -> bool:
        """Whether whatever changes the file from that time on changes how it looks, too."""
        return max(self.mtime_ns, self.ctime_ns) + _SETTLED_NS < now_ns


@frozen
class KnownFile:
    """What was found in a file that looked like this."""

    identity: FileIdentity
    #: Hex digits.
    sha1: str
    #: None where it is no song.
    tags: SongTags | None = None


@define(eq=False)
class KnownFiles:
    """What is known of files, kept in a cache file; it may be deleted at any time.

    A path is absolute. What is noted is kept when `save` is called.
    """

    path: Path
    _known: dict[Path, KnownFile] = field(factory=dict, init=False)
    _fresh: dict[Path, KnownFile] = field(factory=dict, init=False)
    _file: CacheFile = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._file = CacheFile(self.path, _SCHEMA, "what is known of files")

    def load(self, looks: Mapping[Path, FileIdentity]) -> None:
        """Reads what is known of these files, as far as they look the same."""
        if not self.path.exists():
            return
        by_path = {os.fsencode(path): path for path in looks}
        query = "select path, looks, sha1, tags from files where path in ({})"
        for found, *values in self._select(query, by_path):
            path = by_path[found]
            known = _known(looks[path], *values)
            if known is not None:
                self._known[path] = known

    def find(self, path: Path, identity: FileIdentity) -> KnownFile | None:
        """What is known of a file that looks like this."""
        known = self._known.get(path)
        return known if known is not None and known.identity == identity else None

    def note(self, path: Path, known: KnownFile, begun_ns: int) -> None:
        """Takes down what was read of a file that looked the same before and afterwards.

        `begun_ns`: when the reading began, in unix ns. What was not settled then is not kept.
        """
        lyrics = known.tags and known.tags.lyrics
        if known.identity.is_settled(begun_ns) and len(lyrics or "") <= _LYRICS_MOST:
            self._fresh[path] = known

    def tags(self, checksums: Iterable[str]) -> dict[str, SongTags]:
        """The tags of songs with these SHA-1, as far as they are known."""
        if not self.path.exists():
            return {}
        query = "select sha1, tags from files where sha1 in ({}) and tags is not null"
        found = ((sha1, _tags(text)) for sha1, text in self._select(query, checksums))
        return {sha1: tags for sha1, tags in found if tags is not None}

    def save(self) -> None:
        """Keeps what was noted since; the directory has to be there."""
        fresh, self._fresh = self._fresh, {}
        if not fresh:
            return
        day = int(time.time() // 86_400)
        rows = [
            (os.fsencode(path), _text(known.identity), known.sha1, _json(known.tags), day)
            for path, known in fresh.items()
        ]

        def write(connection: Any) -> None:
            if connection.execute("select rules from rules").fetchall() != [(_rules(),)]:
                connection.execute("delete from files")
                connection.execute("delete from rules")
                connection.execute("insert into rules values (?)", (_rules(),))
            connection.executemany("insert or replace into files values (?, ?, ?, ?, ?)", rows)
            (number,) = connection.execute("select count(*) from files").fetchone()
            if number > _MOST_FILES:
                connection.execute(_FORGET, (number - _MOST_FILES,))

        self._file.do(write)

    def _select(self, query: str, wanted: Iterable[Any]) -> list[Any]:
        values = list(wanted)

        def read(connection: Any) -> list[Any]:
            if connection.execute("select rules from rules").fetchall() != [(_rules(),)]:
                return []
            found = []
            for first in range(0, len(values), _AT_ONCE):
                some = values[first : first + _AT_ONCE]
                found += connection.execute(query.format(", ".join("?" * len(some))), some)
            return found

        return self._file.do(read) or []


_FORGET = "delete from files where path in (select path from files order by used limit ?)"


#: What reads the tags of songs, and writes them here.
_READERS = ("tags", "formats", "guards", "flac_frames", "ogg", "chunks", "known_files")


@cache
def _rules() -> str:
    """What tags are read by: our modules that do it, and mutagen, by how they look on the disk."""
    here = Path(__file__).parent
    spec = find_spec("mutagen")
    files = [here / f"{name}.py" for name in _READERS]
    files += [Path(spec.origin)] if spec is not None and spec.origin is not None else []
    return " ".join(map(_looks_of, files))


def _looks_of(file: Path) -> str:
    try:
        status = file.stat()
    except OSError:  # in an archive
        return str(file)
    return f"{status.st_size}:{status.st_mtime_ns}"


def _text(identity: FileIdentity) -> str:
    # As text: SQLite's integers have a sign, and inodes may have 64 bits.
    return ":".join(map(str, identity))


def _known(identity: FileIdentity, looks: str, sha1: object, tags: object) -> KnownFile | None:
    if looks != _text(identity) or not (isinstance(sha1, str) and _SHA1.fullmatch(sha1)):
        return None
    if tags is None:
        return KnownFile(identity, sha1)
    found = _tags(tags)
    return None if found is None else KnownFile(identity, sha1, found)


def _json(tags: SongTags | None) -> str | None:
    return None if tags is None else orjson.dumps(asdict(tags)).decode()


def _tags(text: Any) -> SongTags | None:
    try:
        return SongTags(**orjson.loads(text))
    except (TypeError, ValueError):
        return None
