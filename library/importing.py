"""What an import reads from the song files, and the rows that it makes of it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from .bitrates import is_in_kbit
from .hashing import digests_of
from .known_files import FileIdentity
from .music_directory import MusicDirectory
from .naming import AlbumPath, SongPath, encode_name, parse_song
from .recent import recent_bytes, recent_tags
from .schema import key_of
from .tags import SongTags, read_song

#: `(done, total, path)`: called before each song is read; may raise to stop the import.
Check = Callable[[int, int, str], None]

#: The origins that say least of an album, as songs have them that tell nothing.
NOTHING_TOLD, CD = "internet", "CD"
#: Values of `songs.lyricsstate`.
_NO_LYRICS, _LYRICS_FROM_FILE = 0, 1
#: How many values one query takes.
_AT_ONCE = 500

Row = tuple[Any, ...]


@frozen
class ImportResult:
    """The paths of the songs that an import looked at, in its order."""

    added: tuple[str, ...] = ()
    #: In the database before, but the file is another now; what users noted of them stays.
    updated: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    #: Unchanged, but version 0.1.0 had written the bitrate in kbit/s; nothing else was written.
    mended: tuple[str, ...] = ()
    #: Of songs that were added or updated: the SHA-256, and the hash of their audio.
    audio: tuple[tuple[str, str], ...] = field(default=(), eq=False)


@frozen
class _KnownSong:
    """What the database has of a song."""

    songid: int
    checksum: str | None
    bitrate: int | None
    lyricsstate: int | None


@frozen
class FoundSong:
    """A song on disk: what its path, its tags and its bytes say."""

    #: As it is on disk; `parts.path` may write the number in another way.
    path: str
    parts: SongPath
    tags: SongTags
    #: SHA-256, hex digits.
    checksum: str
    #: The hash of its audio, whatever its tags are.
    audio: str | None = None


def read_songs(
    music: MusicDirectory, paths: Sequence[str], check: Check | None = None
) -> list[FoundSong]:
    """Reads and hashes songs, which takes long, so no transaction should be open.

    What was placed just now is known, and not read again.

    Raises:
        InvalidPath: A path is no song's.
        MediaError: A song cannot be read; it is named.
        OSError: A song is missing, or the disk does not give it.
    """
    found = []
    for number, path in enumerate(paths):
        if check is not None:
            check(number, len(paths), path)
        parts = parse_song(path, music.formats)
        with music.directory.open(path) as file:
            known = recent_bytes(FileIdentity.of(os.fstat(file.fileno())))
            tags = None if known is None else recent_tags(known.sha1, path)
            if known is None or tags is None:
                tags = read_song(file, path, music.formats)
                known = digests_of(file, path, sha1=False)
            found.append(FoundSong(path, parts, tags, str(known.sha256), known.audio))
    return found


def write_songs(
    connection: sqlite3.Connection, album: AlbumPath, modified: int, found: Sequence[FoundSong]
) -> ImportResult:
    """Brings an album with these songs into the database; writes nothing where it is in there.

    Only a bitrate that version 0.1.0 wrote in kbit/s (see `is_in_kbit`) is written in bit/s.
    `modified`: the album directory's modification time, in unix seconds. A song that was there
    and is not in `found` stays. The caller's transaction makes it all or nothing.
    """
    albumid, artistid = _album(connection, album, modified)
    known = _known(connection, [song.path for song in found])
    changes = [
        song for song in found if song.path in known and known[song.path].checksum != song.checksum
    ]
    new = [song for song in found if song.path not in known]
    mends = [
        song
        for song in found
        if song.path in known
        and known[song.path].checksum == song.checksum
        and is_in_kbit(known[song.path].bitrate, song.tags.bitrate)
    ]
    for song in changes:
        _update_song(connection, known[song.path], song)
    for song in mends:
        update_row(connection, "songs", known[song.path].songid, {"bitrate": song.tags.bitrate})
    if new:
        _insert_songs(connection, albumid, artistid, new)
        _update_album(connection, albumid, new)
    touched = {song.path for song in (*changes, *new, *mends)}
    return ImportResult(
        added=tuple(song.path for song in new),
        updated=tuple(song.path for song in changes),
        unchanged=tuple(song.path for song in found if song.path not in touched),
        mended=tuple(song.path for song in mends),
        audio=tuple((song.checksum, song.audio) for song in (*changes, *new) if song.audio),
    )


def _album(connection: sqlite3.Connection, album: AlbumPath, modified: int) -> tuple[int, int]:
    """The keys of the album and its artist, both made where they are missing."""
    query = "SELECT albumid, artistid FROM albums WHERE path = ?"
    if row := connection.execute(query, (album.path,)).fetchone():
        return row
    artistid = artist_key(connection, album.artist)
    values = {
        "artistid": artistid,
        "name": album.album,
        "path": album.path,
        "origin": NOTHING_TOLD,
        "release": album.year,
        "added": modified,
    }
    return insert_row(connection, "albums", values), artistid


def artist_key(connection: sqlite3.Connection, artist: str) -> int:
    """The artist's key; made where there is none."""
    path = encode_name(artist)
    query = "SELECT artistid FROM artists WHERE path = ?"
    if row := connection.execute(query, (path,)).fetchone():
        return row[0]
    return insert_row(connection, "artists", {"name": artist, "path": path})


def _known(connection: sqlite3.Connection, paths: Sequence[str]) -> dict[str, _KnownSong]:
    columns = "path, songid, checksum, bitrate, lyricsstate"
    return {path: _KnownSong(*row) for path, *row in _songs_at(connection, columns, paths)}


def _songs_at(connection: sqlite3.Connection, columns: str, paths: Sequence[str]) -> Iterator[Row]:
    """Columns of the songs at these paths, in the order of their keys."""
    for first in range(0, len(paths), _AT_ONCE):
        some = paths[first : first + _AT_ONCE]
        marks = ", ".join("?" * len(some))
        query = f"SELECT {columns} FROM songs WHERE path IN ({marks}) ORDER BY songid"
        yield from connection.execute(query, some).fetchall()


def _of_file(song: FoundSong) -> dict[str, Any]:
    """The columns that the file's content decides."""
    return {
        "playtime": song.tags.playtime_s,
        "bitrate": song.tags.bitrate,
        "checksum": song.checksum,
    }


def _insert_songs(
    connection: sqlite3.Connection, albumid: int, artistid: int, new: Sequence[FoundSong]
) -> None:
    """All with one statement, in their order."""
    values = [
        {
            "albumid": albumid,
            "artistid": artistid,
            "name": song.parts.song,
            "path": song.path,
            "number": song.parts.number,
            "cd": song.parts.cd,
            "disabled": 0,
            **_of_file(song),
            "lyricsstate": _LYRICS_FROM_FILE if song.tags.lyrics else _NO_LYRICS,
        }
        for song in new
    ]
    connection.executemany(_insertion("songs", values[0]), values)
    texts = {song.path: song.tags.lyrics for song in new if song.tags.lyrics}
    found = _songs_at(connection, "songid, path", list(texts))
    _insert_lyrics(connection, [(songid, texts[path]) for songid, path in found])


def _insert_lyrics(connection: sqlite3.Connection, rows: Iterable[Row]) -> None:
    connection.executemany("INSERT INTO lyrics (songid, lyrics) VALUES (?, ?)", rows)


def _update_song(connection: sqlite3.Connection, known: _KnownSong, song: FoundSong) -> None:
    """Takes over what the new file says; lyrics only where they came from the old file."""
    values = _of_file(song)
    if known.lyricsstate in (_NO_LYRICS, _LYRICS_FROM_FILE):
        connection.execute("DELETE FROM lyrics WHERE songid = ?", (known.songid,))
        values["lyricsstate"] = _NO_LYRICS
        if song.tags.lyrics:
            _insert_lyrics(connection, [(known.songid, song.tags.lyrics)])
            values["lyricsstate"] = _LYRICS_FROM_FILE
    update_row(connection, "songs", known.songid, values)


def _update_album(connection: sqlite3.Connection, albumid: int, new: Sequence[FoundSong]) -> None:
    """Counts the songs and discs in the database; a better known origin takes the place of one.

    A shop that songs name counts most, then CD, which any FLAC is said to come from.
    """
    counted = "SELECT count(*), max(cd) FROM songs WHERE albumid = ?"
    numofsongs, numofcds = connection.execute(counted, (albumid,)).fetchone()
    values = {"numofsongs": numofsongs, "numofcds": numofcds}
    origin = max((song.tags.origin for song in new), key=_told)
    query = "SELECT origin FROM albums WHERE albumid = ?"
    (known,) = connection.execute(query, (albumid,)).fetchone()
    if _told(known) < _told(origin):
        values["origin"] = origin
    update_row(connection, "albums", albumid, values)


def _told(origin: str | None) -> int:
    """How much an origin says."""
    return {None: 0, NOTHING_TOLD: 1, CD: 2}.get(origin, 3)


def insert_row(connection: sqlite3.Connection, table: str, values: Mapping[str, Any]) -> int:
    """The new row's key."""
    key = connection.execute(_insertion(table, values), dict(values)).lastrowid
    assert key is not None
    return key


def update_row(
    connection: sqlite3.Connection, table: str, key: int, values: Mapping[str, Any]
) -> None:
    """Changes columns of the row with this key."""
    changes = ", ".join(f"{name} = :{name}" for name in values)
    query = f"UPDATE {table} SET {changes} WHERE {key_of(table)} = :_key"
    connection.execute(query, {**values, "_key": key})


def _insertion(table: str, names: Iterable[str]) -> str:
    """The names are those of columns, and of the values."""
    names = tuple(names)
    marks = ", ".join(f":{name}" for name in names)
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"
