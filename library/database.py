"""The music database: an SQLite file that a MusicDB server may use at the same time."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from attrs import frozen
from sqlalchemy import Connection, Engine, Select, Table, create_engine, event, select, update
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

from ..errors import DatabaseUnusable
from .frames import VideoFrames
from .importing import Check, ImportResult, read_songs, write_songs
from .music_directory import MusicDirectory
from .naming import parse_album, parse_song
from .schema import (
    albums,
    artists,
    check_schema,
    create_schema,
    is_complete,
    lyrics,
    metadata,
    songs,
    videos,
)
from .video_import import find_video, write_video

#: The option of a connection whose transactions are begun with the lock for writing.
_WRITES = "musictasks_writes"
#: The option with what is called while a transaction waits for another process.
_CHECK = "musictasks_check"
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
        with self._connection(create=True) as connection, connection.begin():
            if is_complete(connection):
                check_schema(connection, str(self.path))
                return
        with self._writing(create=True) as connection:
            create_schema(connection, str(self.path))

    def artists(self) -> list[dict[str, Any]]:
        """All artists, by path."""
        return self._rows(select(artists).order_by(artists.c.path))

    def albums(self) -> list[dict[str, Any]]:
        """All albums, by path."""
        return self._rows(select(albums).order_by(albums.c.path))

    def songs(self, album_path: str | None = None) -> list[dict[str, Any]]:
        """All songs, or those of one album, by path."""
        query = select(songs).order_by(songs.c.path)
        if album_path is not None:
            of_album = select(albums.c.albumid).where(albums.c.path == album_path)
            query = query.where(songs.c.albumid.in_(of_album))
        return self._rows(query)

    def album(self, path: str) -> dict[str, Any] | None:
        """The album's row, None where it is not in the database."""
        return self._row(select(albums).where(albums.c.path == path))

    def song(self, path: str) -> dict[str, Any] | None:
        """The song's row, None where it is not in the database."""
        return self._row(select(songs).where(songs.c.path == path))

    def videos(self) -> list[dict[str, Any]]:
        """All videos, by path."""
        return self._rows(select(videos).order_by(videos.c.path))

    def video(self, path: str) -> dict[str, Any] | None:
        """The video's row, None where it is not in the database."""
        return self._row(select(videos).where(videos.c.path == path))

    def lyrics(self, song_path: str) -> str | None:
        """The song's lyrics, None where the database has none."""
        query = select(lyrics.c.lyrics).join(songs, songs.c.songid == lyrics.c.songid)
        row = self._row(query.where(songs.c.path == song_path))
        return None if row is None else row["lyrics"]

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """Everything: the rows of each table as MusicDB reads them, in the order of their keys."""

        def of_table(connection: Connection, table: Table) -> list[tuple[Any, ...]]:
            rows = connection.execute(select(table).order_by(table.columns[0]))
            return [tuple(row) for row in rows]

        with self._reading() as connection:
            return {name: of_table(connection, table) for name, table in metadata.tables.items()}

    def content(self, check: Callable[[], object] | None = None) -> dict[str, list[dict[str, Any]]]:
        """All artists, albums, songs and videos at one moment, by the name of their table.

        `check` is called now and then while another process keeps the database, and may raise to
        stop.
        """

        def of_table(connection: Connection, table: Table) -> list[dict[str, Any]]:
            names = [str(column.name) for column in table.columns]
            rows = connection.execute(select(table))
            return [dict(zip(names, row, strict=True)) for row in rows]

        with self._reading(check) as connection:
            tables = (artists, albums, songs, videos)
            return {str(table.name): of_table(connection, table) for table in tables}

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
            # Not by SQLAlchemy, which takes longer for a row than all else that is done with it.
            cursor = connection.connection.cursor()
            try:
                found = {
                    str(table.name): _others(cursor, table, seen[str(table.name)])
                    for table in (artists, albums, songs, videos)
                }
            finally:
                cursor.close()
        return Others(
            {name: paths for name, (paths, _) in found.items()},
            {name: rows for name, (_, rows) in found.items()},
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
        query = update(videos).where(videos.c.path == video_path).values(frames.columns())
        with self._writing() as connection:
            return connection.execute(query).rowcount > 0

    def set_artwork(self, album_path: str, name: str) -> bool:
        """Notes the name of the album's artwork; False where there is no such album."""
        query = update(albums).where(albums.c.path == album_path).values(artworkpath=name)
        with self._writing() as connection:
            # An update to the same name changes no byte, so SQLite writes nothing.
            return connection.execute(query).rowcount > 0

    def _rows(self, query: Select[Any]) -> list[dict[str, Any]]:
        with self._reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def _row(self, query: Select[Any]) -> dict[str, Any] | None:
        rows = self._rows(query.limit(1))
        return rows[0] if rows else None

    @contextmanager
    def _reading(self, check: Callable[[], object] | None = None) -> Iterator[Connection]:
        with self._connection() as connection:
            connection = connection.execution_options(**{_CHECK: check})
            with connection.begin():
                check_schema(connection, str(self.path))
                yield connection

    @contextmanager
    def _writing(
        self, check: Callable[[], object] | None = None, *, create: bool = False
    ) -> Iterator[Connection]:
        """One transaction that holds the lock for writing before its first look-up."""
        with self._connection(create=create) as connection:
            connection = connection.execution_options(**{_WRITES: True, _CHECK: check})
            with connection.begin():
                if not create:
                    check_schema(connection, str(self.path))
                yield connection

    @contextmanager
    def _connection(self, *, create: bool = False) -> Iterator[Connection]:
        """A connection of its own; what SQLite cannot do becomes DatabaseUnusable."""
        try:
            with _engine(self.path, self.busy_timeout_s, create).connect() as connection:
                yield connection
        except DBAPIError as error:
            raise DatabaseUnusable(str(self.path), str(error.orig)) from error
        except sqlite3.Error as error:  # of what does not go through SQLAlchemy
            raise DatabaseUnusable(str(self.path), str(error)) from error


def _others(
    cursor: Any, table: Table, seen: Collection[str]
) -> tuple[set[str], list[dict[str, Any]]]:
    """All paths of a table, and the rows with other paths than those that were seen."""
    key = table.columns[0].name
    cursor.execute(f"SELECT {key}, path FROM {table.name}")
    found = cursor.fetchall()
    names, rows = [str(column.name) for column in table.columns], list[dict[str, Any]]()
    for number in [number for number, path in found if path not in seen]:
        cursor.execute(f"SELECT {', '.join(names)} FROM {table.name} WHERE {key} = ?", (number,))
        rows += [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return {path for _, path in found}, rows


@lru_cache(maxsize=16)
def _engine(path: Path, busy_timeout_s: float, create: bool) -> Engine:
    """Holds no open connection (NullPool), so it may be kept, and shared by threads."""
    mode = "rwc" if create else "rw"
    address = f"file:{quote(str(path.absolute()))}?mode={mode}"

    def connect() -> sqlite3.Connection:
        # No transaction of the driver's own: the "begin" event below says how it begins.
        return sqlite3.connect(address, timeout=busy_timeout_s, isolation_level=None, uri=True)

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        wait_for = partial(_wait_for, connection, busy_timeout_s, options.get(_CHECK))
        # FULL, and the directory too: a commit that was told is there after a power cut.
        wait_for("PRAGMA synchronous = EXTRA")
        if options.get(_WRITES, False):
            wait_for("BEGIN IMMEDIATE")
        else:
            connection.exec_driver_sql("BEGIN")
            wait_for("SELECT 1 FROM sqlite_master")  # which takes the lock for reading

    return engine


def _wait_for(
    connection: Connection,
    busy_timeout_s: float,
    check: Callable[[], object] | None,
    statement: str,
) -> None:
    """Executes what wants a lock; with `check` in short tries, and that between them."""
    if check is None:
        connection.exec_driver_sql(statement)
        return
    end = time.monotonic() + busy_timeout_s
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {round(_TRY_S * 1000)}")
    while True:
        try:
            connection.exec_driver_sql(statement)
            break
        except OperationalError as error:
            if not _is_busy(error) or time.monotonic() >= end:
                raise
        check()
    # A commit cannot be stopped, so it waits in one go.
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {round(busy_timeout_s * 1000)}")


def _is_busy(error: OperationalError) -> bool:
    code = getattr(error.orig, "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_BUSY
