"""MusicDB's database, schema version 5, as it is documented: names, order, defaults.

MusicDB reads rows by position, so the ORDER of the columns is part of the contract; the
defaults belong to the database itself, for MusicDB's own inserts.
"""

from __future__ import annotations

from sqlalchemy import (
    REAL,
    Column,
    Connection,
    Integer,
    MetaData,
    Table,
    Text,
    insert,
    inspect,
    select,
    text,
)

from ..errors import DatabaseUnusable

#: The one schema version that is read and written here.
SCHEMA_VERSION = 5

metadata = MetaData()


def _key(name: str) -> Column[int]:
    return Column(name, Integer, primary_key=True, autoincrement=True)


def _number(name: str, default: int | None = None) -> Column[int]:
    return Column(name, Integer, server_default=None if default is None else text(str(default)))


def _text(name: str, default: str | None = None) -> Column[str]:
    return Column(name, Text, server_default=default)


def _table(name: str, *columns: Column) -> Table:
    return Table(name, metadata, *columns, sqlite_autoincrement=bool(columns[0].primary_key))


def _colors() -> tuple[Column[str], ...]:
    return (
        _text("bgcolor", "#101010"),
        _text("fgcolor", "#F0F0F0"),
        _text("hlcolor", "#909090"),
    )


def _tag_entries(name: str, target: str) -> Table:
    return _table(
        name,
        _key("entryid"),
        _number(target),
        _number("tagid"),
        Column("confidence", REAL, server_default=text("1.0")),
        _number("approval", 1),
    )


meta = _table("meta", _key("id"), _text("key"), _text("value", ""))

artists = _table("artists", _key("artistid"), _text("name"), _text("path"))

albums = _table(
    "albums",
    _key("albumid"),
    _number("artistid"),
    _text("name"),
    _text("path"),
    _number("numofsongs"),
    _number("numofcds"),
    _text("origin"),
    _number("release"),
    _text("artworkpath", "default.jpg"),
    *_colors(),
    _number("added", 0),
    _number("hidden", 0),
)

songs = _table(
    "songs",
    _key("songid"),
    _number("albumid"),
    _number("artistid"),
    _text("name"),
    _text("path"),
    _number("number"),
    _number("cd"),
    _number("disabled"),
    _number("playtime"),
    _number("bitrate"),
    _number("likes", 0),
    _number("dislikes", 0),
    _number("favorite", 0),
    _number("lyricsstate", 0),
    _text("checksum", ""),
    _number("lastplayed", 0),
    _number("liverecording", 0),
    _number("badaudio", 0),
)

videos = _table(
    "videos",
    _key("videoid"),
    _number("songid"),
    _number("albumid"),
    _number("artistid"),
    _text("name"),
    _text("path"),
    _number("disabled", 0),
    _number("playtime"),
    _text("origin"),
    _number("release"),
    _number("added"),
    _text("codec"),
    _number("xresolution"),
    _number("yresolution"),
    _text("framesdirectory"),
    _text("thumbnailfile"),
    _text("previewfile"),
    _number("likes", 0),
    _number("dislikes", 0),
    _number("favorite", 0),
    _number("liverecording", 0),
    _number("badaudio", 0),
    _text("checksum", ""),
    _number("lastplayed", 0),
    _number("lyricsvideo", 0),
    *_colors(),
    _number("vbegin"),
    _number("vend"),
)

lyrics = _table("lyrics", _number("songid"), _text("lyrics"))

tags = _table(
    "tags",
    _key("tagid"),
    _text("name"),
    _number("class"),
    _number("parentid"),
    _number("icontype"),
    _text("icon"),
    _text("color"),
    _number("posx"),
    _number("posy"),
)

albumtags = _tag_entries("albumtags", "albumid")
songtags = _tag_entries("songtags", "songid")
videotags = _tag_entries("videotags", "videoid")


def check_schema(connection: Connection, path: str) -> None:
    """Raises DatabaseUnusable unless the database at `path` says that it has our version."""
    if not inspect(connection).has_table("meta"):
        raise DatabaseUnusable(path, "it is not MusicDB's: it has no table 'meta'")
    version = connection.scalar(select(meta.c.value).where(meta.c.key == "version"))
    if version != str(SCHEMA_VERSION):
        raise DatabaseUnusable(
            path,
            f"it has schema version {version}, and only version {SCHEMA_VERSION} is known here; "
            "let MusicDB convert it, or name another database",
        )


def is_complete(connection: Connection) -> bool:
    """Whether no table is missing; says nothing of the version."""
    return metadata.tables.keys() <= set(inspect(connection).get_table_names())


def create_schema(connection: Connection, path: str) -> None:
    """Makes the tables in an empty database, adds missing ones to one of our version.

    Tables and rows that are there stay as they are. Raises DatabaseUnusable, before anything
    has changed, where the database is another's.
    """
    if inspect(connection).get_table_names():
        check_schema(connection, path)
        metadata.create_all(connection)
        return
    metadata.create_all(connection)
    connection.execute(insert(meta).values(key="version", value=str(SCHEMA_VERSION)))
    connection.execute(insert(tags).values({"name": "Other", "class": 1, "posx": 0}))
