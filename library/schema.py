"""MusicDB's database, schema version 5, as it is documented: names, order, defaults.

MusicDB reads rows by position, so the ORDER of the columns is part of the contract; the
defaults belong to the database itself, for MusicDB's own inserts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from types import MappingProxyType

from ..errors import DatabaseUnusable

#: The one schema version that is read and written here.
SCHEMA_VERSION = 5

_KEY = "INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT"
_NUMBER, _ZERO, _ONE = "INTEGER", "INTEGER DEFAULT 0", "INTEGER DEFAULT 1"
_TEXT, _EMPTY = "TEXT", "TEXT DEFAULT ''"

_COLORS = {
    "bgcolor": "TEXT DEFAULT '#101010'",
    "fgcolor": "TEXT DEFAULT '#F0F0F0'",
    "hlcolor": "TEXT DEFAULT '#909090'",
}


def _tag_entries(target: str) -> dict[str, str]:
    confidence = {"confidence": "REAL DEFAULT (1.0)", "approval": _ONE}
    return {"entryid": _KEY, target: _NUMBER, "tagid": _NUMBER, **confidence}


#: What each column of each table is declared as, in their order; the first is the key.
TABLES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "meta": {"id": _KEY, "key": _TEXT, "value": _EMPTY},
        "artists": {"artistid": _KEY, "name": _TEXT, "path": _TEXT},
        "albums": {
            "albumid": _KEY,
            "artistid": _NUMBER,
            "name": _TEXT,
            "path": _TEXT,
            "numofsongs": _NUMBER,
            "numofcds": _NUMBER,
            "origin": _TEXT,
            "release": _NUMBER,
            "artworkpath": "TEXT DEFAULT 'default.jpg'",
            **_COLORS,
            "added": _ZERO,
            "hidden": _ZERO,
        },
        "songs": {
            "songid": _KEY,
            "albumid": _NUMBER,
            "artistid": _NUMBER,
            "name": _TEXT,
            "path": _TEXT,
            "number": _NUMBER,
            "cd": _NUMBER,
            "disabled": _NUMBER,
            "playtime": _NUMBER,
            "bitrate": _NUMBER,
            "likes": _ZERO,
            "dislikes": _ZERO,
            "favorite": _ZERO,
            "lyricsstate": _ZERO,
            "checksum": _EMPTY,
            "lastplayed": _ZERO,
            "liverecording": _ZERO,
            "badaudio": _ZERO,
        },
        "videos": {
            "videoid": _KEY,
            "songid": _NUMBER,
            "albumid": _NUMBER,
            "artistid": _NUMBER,
            "name": _TEXT,
            "path": _TEXT,
            "disabled": _ZERO,
            "playtime": _NUMBER,
            "origin": _TEXT,
            "release": _NUMBER,
            "added": _NUMBER,
            "codec": _TEXT,
            "xresolution": _NUMBER,
            "yresolution": _NUMBER,
            "framesdirectory": _TEXT,
            "thumbnailfile": _TEXT,
            "previewfile": _TEXT,
            "likes": _ZERO,
            "dislikes": _ZERO,
            "favorite": _ZERO,
            "liverecording": _ZERO,
            "badaudio": _ZERO,
            "checksum": _EMPTY,
            "lastplayed": _ZERO,
            "lyricsvideo": _ZERO,
            **_COLORS,
            "vbegin": _NUMBER,
            "vend": _NUMBER,
        },
        "lyrics": {"songid": _NUMBER, "lyrics": _TEXT},
        "tags": {
            "tagid": _KEY,
            "name": _TEXT,
            "class": _NUMBER,
            "parentid": _NUMBER,
            "icontype": _NUMBER,
            "icon": _TEXT,
            "color": _TEXT,
            "posx": _NUMBER,
            "posy": _NUMBER,
        },
        "albumtags": _tag_entries("albumid"),
        "songtags": _tag_entries("songid"),
        "videotags": _tag_entries("videoid"),
    }
)


def columns_of(table: str) -> str:
    """The names of a table's columns as a query lists them, in their order."""
    return ", ".join(TABLES[table])


def key_of(table: str) -> str:
    """The name of a table's first column."""
    return next(iter(TABLES[table]))


def check_schema(connection: sqlite3.Connection, path: str) -> None:
    """Raises DatabaseUnusable unless the database at `path` says that it has our version."""
    if not connection.execute("PRAGMA table_info(meta)").fetchone():
        raise DatabaseUnusable(path, "it is not MusicDB's: it has no table 'meta'")
    row = connection.execute("SELECT value FROM meta WHERE key = 'version'").fetchone()
    version = None if row is None else row[0]
    if version != str(SCHEMA_VERSION):
        raise DatabaseUnusable(
            path,
            f"it has schema version {version}, and only version {SCHEMA_VERSION} is known here; "
            "let MusicDB convert it, or name another database",
        )


def is_complete(connection: sqlite3.Connection) -> bool:
    """Whether no table is missing; says nothing of the version."""
    return TABLES.keys() <= _tables(connection)


def create_schema(connection: sqlite3.Connection, path: str) -> None:
    """Makes the tables in an empty database, adds missing ones to one of our version.

    Tables and rows that are there stay as they are. Raises DatabaseUnusable, before anything
    has changed, where the database is another's.
    """
    there = _tables(connection)
    if there:
        check_schema(connection, path)
    for name in TABLES:
        if name not in there:
            connection.execute(_create(name))
    if not there:
        version = str(SCHEMA_VERSION)
        connection.execute("INSERT INTO meta (key, value) VALUES ('version', ?)", (version,))
        connection.execute("INSERT INTO tags (name, class, posx) VALUES ('Other', 1, 0)")


def _tables(connection: sqlite3.Connection) -> set[str]:
    """Those that SQLite has not made for itself."""
    found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    return {name for (name,) in found if not name.startswith("sqlite_")}


def _create(table: str) -> str:
    lines = ", \n\t".join(f"{name} {kind}" for name, kind in TABLES[table].items())
    return f"CREATE TABLE {table} (\n\t{lines}\n)"
