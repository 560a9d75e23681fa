"""The music database: an SQLite file that a MusicDB server may use at the same time."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from attrs import frozen

from ..errors import DatabaseUnusable
from .frames import VideoFrames
from .importing import Check, ImportResult, read_songs, write_songs
from .music_directory import MusicDirectory
from .naming import parse_album, parse_song
from .schema import TABLES, check_schema, columns_of, create_schema, is_complete, key_of
from .video_import import find_video, write_video

#: The tables of what is in the Music Directory.
_OF_FILES = ("artists", "albums", "songs", "videos")
#: What the songs of an album are found by.
_OF_ALBUM = "WHERE albumid IN (SELECT albumid FROM albums WHERE path = ?) ORDER BY path"
#: How long SQLite waits at a time, where somebody may ask to stop meanwhile, in seconds.
_TRY_S = 0.25


@frozen
class Others:
    """What the database knows, by table; rows only of what was not seen."""

    paths: dict[str, set[str]]
    rows: dict[str, list[dict[str, Any]]]


@frozen
class MusicDatabase:
    """MusicDB's `music.db`. A value: it can be pickled, and opens the file for each use.

    Every call raises DatabaseUnusable where SQLite cannot do it (locked for too long, disk
    full, damaged, missing) or where the schema version is another; nothing has changed then.
    Paths are those of the Music Directory, relative. Rows are dictionaries by column name.
    """

    path: Path
    #: How long to wait for another process that writes, in seconds.
    busy_timeout_s: float = 10.0

    def prepare(self) -> None:
        """Makes the file and its tables where they are missing; their directory must exist."""
        with self._transaction("rwc") as connection:
            if is_complete(connection):
                check_schema(connection, str(self.path))
                return
        with self._transaction("rwc", writes=True) as connection:
            create_schema(connection, str(self.path))

    def artists(self) -> list[dict[str, Any]]:
        """All artists, by path."""
        return self._all("artists")

    def albums(self) -> list[dict[str, Any]]:
        """All albums, by path."""
        return self._all("albums")

    def songs(self, album_path: str | None = None) -> list[dict[str, Any]]:
        """All songs, or those of one album, by path."""
        if album_path is None:
            return self._all("songs")
        return self._found("songs", _OF_ALBUM, album_path)

    def album(self, path: str) -> dict[str, Any] | None:
        """The album's row, None where it is not in the database."""
        return self._at("albums", path)

    def album_with_songs(self, path: str) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
        """The album's row, None where it is not in the database, and its songs', by path."""
        with self._reading() as connection:
            albums = _rows(connection, "albums", "WHERE path = ? LIMIT 1", path)
            return next(iter(albums), None), _rows(connection, "songs", _OF_ALBUM, path)

    def song(self, path: str) -> dict[str, Any] | None:
        """The song's row, None where it is not in the database."""
        return self._at("songs", path)

    def videos(self) -> list[dict[str, Any]]:
        """All videos, by path."""
        return self._all("videos")

    def video(self, path: str) -> dict[str, Any] | None:
        """The video's row, None where it is not in the database."""
        return self._at("videos", path)

    def lyrics(self, song_path: str) -> str | None:
        """The song's lyrics, None where the database has none."""
        of_song = "songid IN (SELECT songid FROM songs WHERE path = ?)"
        rows = self._found("lyrics", f"WHERE {of_song} LIMIT 1", song_path)
        return rows[0]["lyrics"] if rows else None

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """Everything: the rows of each table as MusicDB reads them, in the order of their keys."""
        with self._reading() as connection:
            return {
                table: connection.execute(f"{_select(table)} ORDER BY {key_of(table)}").fetchall()
                for table in TABLES
            }

    def content(self, check: Callable[[], object] | None = None) -> dict[str, list[dict[str, Any]]]:
        """All artists, albums, songs and videos at one moment, by the name of their table.

        `check` is called now and then while another process keeps the database, and may raise to
        stop.
        """
        with self._reading(check) as connection:
            return {
                table: _dictionaries(table, connection.execute(_select(table)))
                for table in _OF_FILES
            }

    def others(
        self, seen: Mapping[str, Collection[str]], check: Callable[[], object] | None = None
    ) -> Others:
        """What the database knows besides what was seen, at one moment.

        Args:
            seen: By table (`artists`, `albums`, `songs`, `videos`): paths. A row with one of them
                is not read.
            check: As of `content`.
        """
        with self._reading(check) as connection:
            found = {table: _others(connection, table, seen[table]) for table in _OF_FILES}
        return Others(
            {table: paths for table, (paths, _) in found.items()},
            {table: rows for table, (_, rows) in found.items()},
        )

    def import_album(
        self,
        music: MusicDirectory,
        album_path: str,
        check: Check | None = None,
    ) -> ImportResult:
        """Brings the album, its artist and the songs on disk into the database, all or none.

        What is there already and unchanged stays as it is; where all is, nothing is written, but
        for a bitrate that version 0.1.0 wrote in kbit/s (see `is_in_kbit`).
        `check(done, total, path)` is called before each song is read and while the database is
        another process's, and may raise to stop.

        Raises:
            InvalidPath: There is no such album, or something in it should not be there.
            MediaError: A song cannot be read; it is named.
            OSError: The disk does not give a file.
        """
        album = parse_album(album_path)
        found = read_songs(music, music.check_album(album_path), check)
        done = len(found)
        waiting = None if check is None else lambda: check(done, done, album_path)
        with self._writing(waiting) as connection:
            return write_songs(connection, album, music.modified(album_path), found)

    def import_song(
        self,
        music: MusicDirectory,
        song_path: str,
        check: Callable[[], object] | None = None,
    ) -> ImportResult:
        """Brings one song into its album, which is made where it is missing.

        `check` is called while the database is another process's, and may raise to stop.

        Raises what `import_album` raises, of this one song; FileNotFoundError where it is missing.
        """
        album = parse_song(song_path, music.formats).album_path
        found = read_songs(music, [song_path])
        with self._writing(check) as connection:
            return write_songs(connection, album, music.modified(album.path), found)

    def import_video(
        self,
        music: MusicDirectory,
        video_path: str,
        *,
        origin: str | None = None,
        check: Callable[[], object] | None = None,
    ) -> ImportResult:
        """Brings a video and its artist into the database.

        What is there already and unchanged stays as it is. `check` is called now and then while
        the video is read and while the database is another process's, and may raise to stop.

        Raises:
            InvalidPath, MediaError: It is no video, or does not lie where one should.
            ExtraMissing: The extra `video` is not installed.
            OSError: The disk does not give the file.
        """
        found = find_video(music, video_path, check)
        with self._writing(check) as connection:
            return write_video(connection, found, origin)

    def set_frames(self, video_path: str, frames: VideoFrames) -> bool:
        """Notes where a video's frames are; False where there is no such video."""
        return self._change("videos", video_path, frames.columns())

    def set_artwork(self, album_path: str, name: str) -> bool:
        """Notes the name of the album's artwork; False where there is no such album."""
        return self._change("albums", album_path, {"artworkpath": name})

    def _change(self, table: str, path: str, values: Mapping[str, Any]) -> bool:
        """Changes columns of the row with this path; False where there is none."""
        changes = ", ".join(f"{name} = ?" for name in values)
        query = f"UPDATE {table} SET {changes} WHERE path = ?"
        with self._writing() as connection:
            # An update to the same values changes no byte, so SQLite writes nothing.
            return connection.execute(query, (*values.values(), path)).rowcount > 0

    def _all(self, table: str) -> list[dict[str, Any]]:
        return self._found(table, "ORDER BY path")

    def _at(self, table: str, path: str) -> dict[str, Any] | None:
        rows = self._found(table, "WHERE path = ? LIMIT 1", path)
        return rows[0] if rows else None

    def _found(self, table: str, which: str, *values: Any) -> list[dict[str, Any]]:
        with self._reading() as connection:
            return _rows(connection, table, which, *values)

    @contextmanager
    def _reading(self, check: Callable[[], object] | None = None) -> Iterator[sqlite3.Connection]:
        with self._transaction("rw", check) as connection:
            check_schema(connection, str(self.path))
            yield connection

    @contextmanager
    def _writing(self, check: Callable[[], object] | None = None) -> Iterator[sqlite3.Connection]:
        """One transaction that holds the lock for writing before its first look-up."""
        with self._transaction("rw", check, writes=True) as connection:
            check_schema(connection, str(self.path))
            yield connection

    @contextmanager
    def _transaction(
        self, mode: str, check: Callable[[], object] | None = None, *, writes: bool = False
    ) -> Iterator[sqlite3.Connection]:
        """One transaction on a connection of its own; an error in the block takes all of it back.

        What SQLite cannot do becomes DatabaseUnusable. `check` is called now and then while it
        waits for another process.
        """
        try:
            with closing(self._connect(mode)) as connection:
                self._begin(connection, check, writes)
                # The close of a connection takes back what was not committed.
                yield connection
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise DatabaseUnusable(str(self.path), str(error)) from error

    def _connect(self, mode: str) -> sqlite3.Connection:
        address = f"file:{quote(str(self.path.absolute()))}?mode={mode}"
        # No transaction of the driver's own: `_begin` says how it begins.
        timeout_s = self.busy_timeout_s
        return sqlite3.connect(address, timeout=timeout_s, isolation_level=None, uri=True)

    def _begin(
        self, connection: sqlite3.Connection, check: Callable[[], object] | None, writes: bool
    ) -> None:
        def wait_for(statement: str) -> None:
            _wait_for(connection, self.busy_timeout_s, check, statement)

        # FULL, and the directory too: a commit that was told is there after a power cut.
        wait_for("PRAGMA synchronous = EXTRA")
        if writes:
            wait_for("BEGIN IMMEDIATE")
        else:
            connection.execute("BEGIN")
            wait_for("SELECT 1 FROM sqlite_master")  # which takes the lock for reading


def _select(table: str) -> str:
    return f"SELECT {columns_of(table)} FROM {table}"


def _rows(
    connection: sqlite3.Connection, table: str, which: str, *values: Any
) -> list[dict[str, Any]]:
    return _dictionaries(table, connection.execute(f"{_select(table)} {which}", values))


def _dictionaries(table: str, rows: Iterable[Sequence[Any]]) -> list[dict[str, Any]]:
    """Rows of a table, by column name."""
    return [dict(zip(TABLES[table], row, strict=True)) for row in rows]


def _others(
    connection: sqlite3.Connection, table: str, seen: Collection[str]
) -> tuple[set[str], list[dict[str, Any]]]:
    """All paths of a table, and the rows with other paths than those that were seen."""
    key = key_of(table)
    found = connection.execute(f"SELECT {key}, path FROM {table}").fetchall()
    query = f"{_select(table)} WHERE {key} = ?"
    rows: list[dict[str, Any]] = []
    for number in [number for number, path in found if path not in seen]:
        rows += _dictionaries(table, connection.execute(query, (number,)))
    return {path for _, path in found}, rows


def _wait_for(
    connection: sqlite3.Connection,
    busy_timeout_s: float,
    check: Callable[[], object] | None,
    statement: str,
) -> None:
    """Executes what wants a lock; with `check` in short tries, and that between them."""
    if check is None:
        connection.execute(statement)
        return
    end = time.monotonic() + busy_timeout_s
    connection.execute(f"PRAGMA busy_timeout = {round(_TRY_S * 1000)}")
    while True:
        try:
            connection.execute(statement)
            break
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() >= end:
                raise
        check()
    # A commit cannot be stopped, so it waits in one go.
    connection.execute(f"PRAGMA busy_timeout = {round(busy_timeout_s * 1000)}")


def _is_busy(error: sqlite3.OperationalError) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
