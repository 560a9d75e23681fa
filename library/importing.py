"""What an import reads from the song files, and the rows that it makes of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from attrs import field, frozen
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from .bitrates import is_in_kbit
from .hashing import digests_of
from .known_files import FileIdentity
from .music_directory import MusicDirectory
from .naming import AlbumPath, SongPath, encode_name, parse_song
from .recent import recent_bytes, recent_tags
from .schema import albums, artists, lyrics, songs
from .tags import SongTags, read_song

#: `(done, total, path)`: called before each song is read; may raise to stop the import.
Check = Callable[[int, int, str], None]

#: The origins that say least of an album, as songs have them that tell nothing.
NOTHING_TOLD, CD = "internet", "CD"
#: Values of `songs.lyricsstate`.
_NO_LYRICS, _LYRICS_FROM_FILE = 0, 1


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
    connection: Connection, album: AlbumPath, modified: int, found: Sequence[FoundSong]
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
        of_song = songs.c.songid == known[song.path].songid
        connection.execute(update(songs).where(of_song).values(bitrate=song.tags.bitrate))
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


def _album(connection: Connection, album: AlbumPath, modified: int) -> tuple[int, int]:
    """The keys of the album and its artist, both made where they are missing."""
    query = select(albums.c.albumid, albums.c.artistid).where(albums.c.path == album.path)
    if row := connection.execute(query).first():
        return row.albumid, row.artistid
    artistid = artist_key(connection, album.artist)
    values = {
        "artistid": artistid,
        "name": album.album,
        "path": album.path,
        "origin": NOTHING_TOLD,
        "release": album.year,
        "added": modified,
    }
    return insert_row(connection, albums, values), artistid


def artist_key(connection: Connection, artist: str) -> int:
    """The artist's key; made where there is none."""
    path = encode_name(artist)
    query = select(artists.c.artistid).where(artists.c.path == path)
    if row := connection.execute(query).first():
        return row.artistid
    return insert_row(connection, artists, {"name": artist, "path": path})


def _known(connection: Connection, paths: Iterable[str]) -> dict[str, Row[Any]]:
    query = select(songs).where(songs.c.path.in_(list(paths)))
    return {row.path: row for row in connection.execute(query)}


def _of_file(song: FoundSong) -> dict[str, Any]:
    """The columns that the file's content decides."""
    return {
        "playtime": song.tags.playtime_s,
        "bitrate": song.tags.bitrate,
        "checksum": song.checksum,
    }


def _insert_songs(
    connection: Connection, albumid: int, artistid: int, new: Sequence[FoundSong]
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
    connection.execute(insert(songs), values)
    texts = {song.path: song.tags.lyrics for song in new if song.tags.lyrics}
    if texts:
        query = (
            select(songs.c.songid, songs.c.path)
            .where(songs.c.path.in_(list(texts)))
            .order_by(songs.c.songid)
        )
        found = [
            {"songid": row.songid, "lyrics": texts[row.path]} for row in connection.execute(query)
        ]
        connection.execute(insert(lyrics), found)


def _update_song(connection: Connection, row: Row[Any], song: FoundSong) -> None:
    """Takes over what the new file says; lyrics only where they came from the old file."""
    values = _of_file(song)
    if row.lyricsstate in (_NO_LYRICS, _LYRICS_FROM_FILE):
        connection.execute(delete(lyrics).where(lyrics.c.songid == row.songid))
        values["lyricsstate"] = _NO_LYRICS
        if song.tags.lyrics:
            connection.execute(insert(lyrics).values(songid=row.songid, lyrics=song.tags.lyrics))
            values["lyricsstate"] = _LYRICS_FROM_FILE
    connection.execute(update(songs).where(songs.c.songid == row.songid).values(values))


def _update_album(connection: Connection, albumid: int, new: Sequence[FoundSong]) -> None:
    """Counts the songs and discs in the database; a better known origin takes the place of one.

    A shop that songs name counts most, then CD, which any FLAC is said to come from.
    """
    counted = select(func.count(), func.max(songs.c.cd)).where(songs.c.albumid == albumid)
    numofsongs, numofcds = connection.execute(counted).one()
    values = {"numofsongs": numofsongs, "numofcds": numofcds}
    of_album = albums.c.albumid == albumid
    origin = max((song.tags.origin for song in new), key=_told)
    if _told(connection.scalar(select(albums.c.origin).where(of_album))) < _told(origin):
        values["origin"] = origin
    connection.execute(update(albums).where(of_album).values(values))


def _told(origin: str | None) -> int:
    """How much an origin says."""
    return {None: 0, NOTHING_TOLD: 1, CD: 2}.get(origin, 3)


def insert_row(connection: Connection, table: Any, values: dict[str, Any]) -> int:
    """The new row's key."""
    result = connection.execute(insert(table).values(values))
    assert result.inserted_primary_key is not None
    return result.inserted_primary_key[0]
