"""The music database itself: its schema, its file, its locks, on real SQLite files."""

import multiprocessing
import pickle
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from musictasks.errors import DatabaseUnusable
from musictasks.library import MusicDatabase

#: The schema as it is documented: the columns in their order, with their defaults.
COLORS = {"bgcolor": "#101010", "fgcolor": "#F0F0F0", "hlcolor": "#909090"}
DOCUMENTED: dict[str, dict[str, object]] = {
    "meta": {"id": None, "key": None, "value": ""},
    "artists": {"artistid": None, "name": None, "path": None},
    "albums": {
        **dict.fromkeys(("albumid", "artistid", "name", "path", "numofsongs", "numofcds")),
        **dict.fromkeys(("origin", "release")),
        "artworkpath": "default.jpg",
        **COLORS,
        "added": 0,
        "hidden": 0,
    },
    "songs": {
        **dict.fromkeys(("songid", "albumid", "artistid", "name", "path", "number", "cd")),
        **dict.fromkeys(("disabled", "playtime", "bitrate")),
        **dict.fromkeys(("likes", "dislikes", "favorite", "lyricsstate"), 0),
        "checksum": "",
        **dict.fromkeys(("lastplayed", "liverecording", "badaudio"), 0),
    },
    "videos": {
        **dict.fromkeys(("videoid", "songid", "albumid", "artistid", "name", "path")),
        "disabled": 0,
        **dict.fromkeys(("playtime", "origin", "release", "added", "codec", "xresolution")),
        **dict.fromkeys(("yresolution", "framesdirectory", "thumbnailfile", "previewfile")),
        **dict.fromkeys(("likes", "dislikes", "favorite", "liverecording", "badaudio"), 0),
        "checksum": "",
        **dict.fromkeys(("lastplayed", "lyricsvideo"), 0),
        **COLORS,
        **dict.fromkeys(("vbegin", "vend")),
    },
    "lyrics": {"songid": None, "lyrics": None},
    "tags": {
        **dict.fromkeys(("tagid", "name", "class", "parentid", "icontype", "icon", "color")),
        **dict.fromkeys(("posx", "posy")),
    },
    "albumtags": dict.fromkeys(("entryid", "albumid", "tagid"))
    | {"confidence": 1.0, "approval": 1},
    "songtags": dict.fromkeys(("entryid", "songid", "tagid")) | {"confidence": 1.0, "approval": 1},
    "videotags": dict.fromkeys(("entryid", "videoid", "tagid"))
    | {"confidence": 1.0, "approval": 1},
}

#: A database as another program makes it, with the documented columns in their order.
FOREIGN = "".join(
    f"CREATE TABLE {table} ({', '.join(columns)});" for table, columns in DOCUMENTED.items()
)


@pytest.fixture
def database(tmp_path: Path) -> MusicDatabase:
    database = MusicDatabase(tmp_path / "music.db", busy_timeout_s=0.01)
    database.prepare()
    return database


def run(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


def test_a_new_database_has_the_documented_columns_and_defaults(database: MusicDatabase) -> None:
    """Rows made by others get the documented defaults, in the documented order of columns."""
    with closing(sqlite3.connect(database.path)) as connection:
        for table, columns in DOCUMENTED.items():
            connection.execute(f"DELETE FROM {table}")
            key = next(iter(columns))
            connection.execute(f"INSERT INTO {table} ({key}) VALUES (77)")
            found = connection.execute(f"SELECT * FROM {table}")
            names = [column[0] for column in found.description]
            row = found.fetchone()
            assert names == list(columns), table
            assert dict(zip(names, row, strict=True)) == {**columns, key: 77}, table


def test_a_new_database_has_the_two_rows_that_musicdb_expects(database: MusicDatabase) -> None:
    """A new file says that it is version 5, and has the tag 'Other'; all else is empty."""
    rows = database.rows()

    assert rows.pop("meta") == [(1, "version", "5")]
    assert rows.pop("tags") == [(1, "Other", 1, None, None, None, None, 0, None)]
    assert rows.keys() == DOCUMENTED.keys() - {"meta", "tags"}
    assert not any(rows.values())


def test_the_number_of_a_deleted_row_is_not_used_again(database: MusicDatabase) -> None:
    """Keys are AUTOINCREMENT, so a deleted album's number never names another album."""
    with closing(sqlite3.connect(database.path)) as connection:
        for table in DOCUMENTED.keys() - {"lyrics"}:
            key = next(iter(DOCUMENTED[table]))
            first = connection.execute(f"INSERT INTO {table} DEFAULT VALUES").lastrowid
            connection.execute(f"DELETE FROM {table} WHERE {key} = ?", (first,))
            again = connection.execute(f"INSERT INTO {table} DEFAULT VALUES").lastrowid
            assert first is not None
            assert again == first + 1, table


def test_preparing_again_writes_nothing(database: MusicDatabase) -> None:
    """A database that is whole is left byte for byte."""
    before = database.path.read_bytes(), database.path.stat()

    database.prepare()

    assert database.path.read_bytes() == before[0]
    assert database.path.stat().st_mtime_ns == before[1].st_mtime_ns


def test_a_database_that_another_program_made_opens_as_it_is(tmp_path: Path) -> None:
    """A version 5 database made elsewhere is used, and not one byte of it changes for that."""
    path = tmp_path / "music.db"
    run(path, FOREIGN + "INSERT INTO meta VALUES (1, 'version', '5')")
    run(path, "INSERT INTO artists VALUES (3, 'Artist', 'Artist')")
    before = path.read_bytes()
    database = MusicDatabase(path)

    database.prepare()

    assert database.artists() == [{"artistid": 3, "name": "Artist", "path": "Artist"}]
    assert path.read_bytes() == before


def test_a_table_that_is_missing_is_added(tmp_path: Path) -> None:
    """A version 5 database that lacks a table gets it; its rows stay."""
    path = tmp_path / "music.db"
    run(path, FOREIGN + "INSERT INTO meta VALUES (1, 'version', '5'); DROP TABLE videotags")
    database = MusicDatabase(path)

    database.prepare()

    assert database.rows()["videotags"] == []
    assert database.rows()["meta"] == [(1, "version", "5")]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (FOREIGN + "INSERT INTO meta VALUES (1, 'version', '6')", "version 6"),
        (FOREIGN + "INSERT INTO meta VALUES (1, 'version', '5'); DELETE FROM meta", "None"),
        ("CREATE TABLE notes (text)", "no table 'meta'"),
    ],
)
def test_a_database_of_another_schema_is_refused_untouched(
    tmp_path: Path, script: str, reason: str
) -> None:
    """Another version, or another program's file, is named in the error and left alone."""
    path = tmp_path / "music.db"
    run(path, script)
    before = path.read_bytes()
    database = MusicDatabase(path)

    for use in (database.prepare, database.albums, lambda: database.set_artwork("a", "b")):
        with pytest.raises(DatabaseUnusable, match=reason) as error:
            use()
        assert error.value.path == str(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused_untouched(tmp_path: Path) -> None:
    """A text file in the database's place is an error that says so, and stays."""
    path = tmp_path / "music.db"
    path.write_text("my notes, " * 200)

    with pytest.raises(DatabaseUnusable, match="not a database"):
        MusicDatabase(path).prepare()
    assert path.read_text() == "my notes, " * 200


def test_a_database_is_made_only_where_its_directory_is(tmp_path: Path) -> None:
    """An unmounted data directory is an error, not a new empty library."""
    with pytest.raises(DatabaseUnusable, match="unable to open"):
        MusicDatabase(tmp_path / "missing" / "music.db").prepare()
    assert not list(tmp_path.iterdir())


def test_a_database_that_was_deleted_is_not_made_anew_by_a_use(database: MusicDatabase) -> None:
    """Only prepare() makes the file: a use of a missing one fails and leaves nothing."""
    database.path.unlink()

    with pytest.raises(DatabaseUnusable, match="unable to open"):
        database.albums()
    assert not database.path.exists()


def test_a_path_may_hold_every_character(tmp_path: Path) -> None:
    """A question mark, a percent sign or a hash in the path belongs to the path."""
    directory = tmp_path / "what? 100% #1 ü"
    directory.mkdir()
    database = MusicDatabase(directory / "music.db")

    database.prepare()

    assert database.artists() == []
    assert [path.name for path in directory.iterdir()] == ["music.db"]


def test_a_database_that_another_process_writes_is_waited_for(database: MusicDatabase) -> None:
    """Writing waits for another's transaction, and goes on when that one is done."""
    patient = MusicDatabase(database.path, busy_timeout_s=60)
    results = []
    with closing(sqlite3.connect(database.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO albums (path) VALUES ('Artist/2020 - Album')")
        call = ("Artist/2020 - Album", "x.jpg")
        thread = threading.Thread(target=lambda: results.append(patient.set_artwork(*call)))
        thread.start()
        other.execute("COMMIT")
        thread.join()

    assert results == [True]


def test_a_database_that_stays_locked_is_an_error_that_changes_nothing(
    database: MusicDatabase,
) -> None:
    """When another process does not end its transaction in time, the error says 'locked'."""
    with closing(sqlite3.connect(database.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseUnusable, match="locked"):
            database.set_artwork("Artist/2020 - Album", "x.jpg")
        other.execute("ROLLBACK")

    assert not database.set_artwork("Artist/2020 - Album", "x.jpg")


def test_artwork_is_noted_at_its_album_alone(database: MusicDatabase) -> None:
    """The name is set for the album of that path; for an unknown one nothing happens."""
    run(
        database.path,
        "INSERT INTO albums (path) VALUES ('A/2020 - One'); "
        "INSERT INTO albums (path) VALUES ('A/2021 - Two')",
    )

    assert database.set_artwork("A/2020 - One", "A - One.jpg")
    assert not database.set_artwork("A/2022 - Three", "A - Three.jpg")

    artwork = {row["path"]: row["artworkpath"] for row in database.albums()}
    assert artwork == {"A/2020 - One": "A - One.jpg", "A/2021 - Two": "default.jpg"}


def test_noting_the_same_artwork_again_writes_nothing(database: MusicDatabase) -> None:
    """The second time the file of the database stays as it is."""
    run(database.path, "INSERT INTO albums (path) VALUES ('A/2020 - One')")
    database.set_artwork("A/2020 - One", "A - One.jpg")
    before = database.path.stat().st_mtime_ns, database.path.read_bytes()

    assert database.set_artwork("A/2020 - One", "A - One.jpg")

    assert (database.path.stat().st_mtime_ns, database.path.read_bytes()) == before


def test_what_is_not_there_is_none(database: MusicDatabase) -> None:
    """Looking for an unknown album, song or text gives None, and no songs."""
    assert database.album("A/2020 - One") is None
    assert database.song("A/2020 - One/01 Song.mp3") is None
    assert database.lyrics("A/2020 - One/01 Song.mp3") is None
    assert database.songs("A/2020 - One") == []


def test_a_database_goes_to_another_process(database: MusicDatabase) -> None:
    """It holds nothing open, so it pickles, also after it was used, and works over there."""
    assert pickle.loads(pickle.dumps(database)) == database
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(database.artists) == []


def test_an_album_comes_with_its_songs(database: MusicDatabase) -> None:
    """At one moment, and by path; of an album that is not there, nothing."""
    run(
        database.path,
        "INSERT INTO albums (albumid, path) VALUES (4, 'A/2020 - B'), (5, 'A/2021 - C');"
        "INSERT INTO songs (albumid, path) VALUES (4, 'A/2020 - B/02 S.mp3');"
        "INSERT INTO songs (albumid, path) VALUES (5, 'A/2021 - C/01 S.mp3');"
        "INSERT INTO songs (albumid, path) VALUES (4, 'A/2020 - B/01 S.mp3');",
    )

    album, songs = database.album_with_songs("A/2020 - B")

    assert album == database.album("A/2020 - B")
    assert songs == database.songs("A/2020 - B")
    assert [song["path"] for song in songs] == ["A/2020 - B/01 S.mp3", "A/2020 - B/02 S.mp3"]
    assert database.album_with_songs("A/2022 - D") == (None, [])
