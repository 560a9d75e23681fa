"""Imports into the database: real songs, a real SQLite file."""

import hashlib
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import mutagen.flac
import pytest
from musictasks.errors import DatabaseUnusable, InvalidPath, MediaError
from musictasks.library import (
    ImportResult,
    KbitRow,
    MusicDatabase,
    MusicDirectory,
    find_kbit_rows,
    sample_album,
)
from musictasks.library.bitrates import is_in_kbit

ARTIST = "Søren Größenwald"
ALBUM = f"{ARTIST}/2020 - Über den Wäldern"
FLAC, MP3, M4A = SONGS = [
    f"{ALBUM}/{name}"
    for name in ("01 Morgenroete.flac", "02 Ebbe-Flut.mp3", "03 Nacht - Reprise.m4a")
]


@pytest.fixture
def music(tmp_path: Path) -> MusicDirectory:
    """A Music Directory with the sample album, changed last at a known time."""
    root = tmp_path / "music"
    shutil.copytree(sample_album(), root / ALBUM)
    os.utime(root / ALBUM, (1_600_000_000.9, 1_600_000_000.9))
    return MusicDirectory(root)


@pytest.fixture
def database(tmp_path: Path) -> MusicDatabase:
    database = MusicDatabase(tmp_path / "music.db")
    database.prepare()
    return database


def run(database: MusicDatabase, script: str) -> None:
    with closing(sqlite3.connect(database.path)) as connection:
        connection.executescript(script)


def state(database: MusicDatabase) -> tuple[bytes, int]:
    return database.path.read_bytes(), database.path.stat().st_mtime_ns


def row(database: MusicDatabase, path: str) -> dict[str, Any]:
    found = database.song(path) or database.album(path)
    assert found is not None
    return found


def add_song(music: MusicDirectory, path: str, **tags: str) -> None:
    target = music.root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(sample_album() / Path(FLAC).name, target)
    file = mutagen.flac.FLAC(target)
    for key, value in tags.items():
        file[key] = value
    file.save()


def test_an_album_makes_its_artist_its_album_and_its_songs(
    music: MusicDirectory, database: MusicDatabase
) -> None:
    """Every row has what the path, the tags and the bytes say, column by column."""
    result = database.import_album(music, ALBUM)

    assert result == ImportResult(added=tuple(SONGS))
    rows = database.rows()
    assert rows["artists"] == [(1, ARTIST, ARTIST)]
    colors = ("#101010", "#F0F0F0", "#909090")
    album = (1, 1, "Über den Wäldern", ALBUM, 3, 1, "CD", 2020, "default.jpg")
    assert rows["albums"] == [(*album, *colors, 1_600_000_000, 0)]

    def song(number: int, name: str, time_s: int, bits: int, lyricsstate: int) -> tuple[Any, ...]:
        path = SONGS[number - 1]
        checksum = hashlib.sha256((music.root / path).read_bytes()).hexdigest()
        named = (number, 1, 1, name, path, number, 1, 0, time_s, bits)
        return (*named, 0, 0, 0, lyricsstate, checksum, 0, 0, 0)

    assert rows["songs"] == [
        song(1, "Morgenroete", 4, 110205, 0),
        song(2, "Ebbe-Flut", 3, 95999, 1),
        song(3, "Nacht - Reprise", 3, 95455, 0),
    ]
    text = "Das Wasser kommt,\ndas Wasser geht,\nder Wald bleibt stehen."
    assert rows["lyrics"] == [(2, text)]
    assert database.lyrics(MP3) == text
    assert not any(rows[table] for table in ("videos", "albumtags", "songtags", "videotags"))


def test_importing_again_writes_nothing(music: MusicDirectory, database: MusicDatabase) -> None:
    """An album that is there, unchanged, leaves the database byte for byte as it was."""
    database.import_album(music, ALBUM)
    run(database, "UPDATE albums SET numofsongs = 9, origin = 'internet'")  # a user's own
    before = state(database)
    (music.root / ALBUM / "more.pdf").write_bytes(b"a booklet")

    assert database.import_album(music, ALBUM) == ImportResult(unchanged=tuple(SONGS))
    assert database.import_song(music, MP3) == ImportResult(unchanged=(MP3,))
    assert state(database) == before


def test_new_songs_of_a_known_album_are_added(
    music: MusicDirectory, database: MusicDatabase
) -> None:
    """Songs that came to the album get rows and are counted; all others stay as they are."""
    database.import_album(music, ALBUM)
    run(database, "UPDATE songs SET likes = 7; UPDATE albums SET artworkpath = 'x.jpg'")
    before = database.rows()
    added = f"{ALBUM}/2-1 Zugabe.flac"
    add_song(music, added)

    result = database.import_album(music, ALBUM)

    assert result == ImportResult(added=(added,), unchanged=tuple(SONGS))
    assert database.rows()["songs"][:3] == before["songs"]
    song = row(database, added)
    assert (song["number"], song["cd"], song["name"]) == (1, 2, "Zugabe")
    album = row(database, ALBUM)
    assert (album["numofsongs"], album["numofcds"]) == (4, 2)
    assert (album["artworkpath"], album["added"]) == ("x.jpg", 1_600_000_000)


def test_songs_one_by_one_give_the_rows_of_the_whole_album(
    music: MusicDirectory, database: MusicDatabase, tmp_path: Path
) -> None:
    """Whether files are imported alone or as an album, the database is the same."""
    whole = MusicDatabase(tmp_path / "whole.db")
    whole.prepare()
    whole.import_album(music, ALBUM)

    for path in SONGS:
        assert database.import_song(music, path) == ImportResult(added=(path,))

    assert database.rows() == whole.rows()


def test_a_second_album_belongs_to_the_same_artist(
    music: MusicDirectory, database: MusicDatabase
) -> None:
    """An artist has one row, however many albums there are."""
    add_song(music, f"{ARTIST}/2021 - Neues/01 Eins.flac")
    database.import_album(music, ALBUM)
    database.import_album(music, f"{ARTIST}/2021 - Neues")

    assert [artist["name"] for artist in database.artists()] == [ARTIST]
    assert {album["artistid"] for album in database.albums()} == {1}
    assert [song["path"] for song in database.songs(ALBUM)] == SONGS
    assert [album["numofsongs"] for album in database.albums()] == [3, 1]


def test_the_path_decides_and_not_the_tags(music: MusicDirectory, database: MusicDatabase) -> None:
    """Names, year and number come from the path, whatever the tags say; slashes are real ones."""
    path = "AC∕DC/1980 - Back - in∕Black/4 Hells.Bells.flac"
    add_song(music, path, artist="Other", album="Other", title="Other", tracknumber="9")

    database.import_album(music, "AC∕DC/1980 - Back - in∕Black")

    assert database.artists() == [{"artistid": 1, "name": "AC/DC", "path": "AC∕DC"}]
    album = row(database, "AC∕DC/1980 - Back - in∕Black")
    assert (album["name"], album["release"]) == ("Back - in/Black", 1980)
    song = row(database, path)
    assert (song["number"], song["name"]) == (4, "Hells.Bells")


@pytest.mark.parametrize("one_by_one", [False, True])
def test_the_origin_is_what_the_first_song_tells(
    music: MusicDirectory, database: MusicDatabase, one_by_one: bool
) -> None:
    """Songs that don't tell where they come from don't hide the one that does."""
    album = "A/2020 - B"
    add_song(music, f"{album}/01 One.flac")
    add_song(music, f"{album}/02 Two.flac", comment="Visit https://x.bandcamp.com")
    add_song(music, f"{album}/03 Three.flac", media="CD")

    if one_by_one:
        for path in music.songs(album):
            database.import_song(music, path)
    else:
        database.import_album(music, album)

    assert row(database, album)["origin"] == "bandcamp"


@pytest.mark.parametrize("one_by_one", [False, True])
@pytest.mark.parametrize(
    ("names", "known", "origin"),
    [
        (["02 Two.mp3"], None, "internet"),
        (["02 Two.mp3", "03 Three.flac"], None, "CD"),
        (["02 Two.mp3"], "Google", "Google"),
        (["03 Three.flac"], "Google", "Google"),
        (["03 Three.flac"], "internet", "CD"),
        (["02 Two.mp3"], "CD", "CD"),
    ],
)
def test_an_origin_that_says_more_counts_more(
    music: MusicDirectory,
    database: MusicDatabase,
    names: list[str],
    known: str | None,
    origin: str,
    one_by_one: bool,
) -> None:
    """A shop says more than CD, CD more than the internet, also of an album that is known."""
    album = "A/2020 - B"
    if known:
        add_song(music, f"{album}/01 One.flac")
        database.import_album(music, album)
        run(database, f"UPDATE albums SET origin = '{known}'")
    for name in names:
        (music.root / album).mkdir(parents=True, exist_ok=True)
        source = FLAC if name.endswith(".flac") else MP3
        shutil.copy(music.root / source, music.root / album / name)

    if one_by_one:
        for path in music.songs(album):
            database.import_song(music, path)
    else:
        database.import_album(music, album)

    assert row(database, album)["origin"] == origin


#: What version 0.1.0 wrote for the sample songs, and what is right.
KBIT, BITS = (110, 96, 95), (110205, 95999, 95455)


def set_bitrates(database: MusicDatabase, values: Iterable[object]) -> None:
    for path, value in zip(SONGS, values, strict=True):
        run(database, f"UPDATE songs SET bitrate = {value} WHERE path = '{path}'")


@pytest.mark.parametrize("one_by_one", [False, True])
def test_bitrates_in_kbit_are_mended(
    music: MusicDirectory, database: MusicDatabase, one_by_one: bool
) -> None:
    """An import writes them in bit/s, and nothing else, whatever users noted; then it is quiet."""
    database.import_album(music, ALBUM)
    run(database, "UPDATE songs SET likes = 7, name = 'Mine', lyricsstate = 3")
    run(database, "UPDATE albums SET origin = 'internet', added = 5; UPDATE lyrics SET lyrics = ''")
    right = database.rows()
    set_bitrates(database, KBIT)
    assert [(row.path, row.stored, row.bitrate) for row in kbit_rows(music, database)] == list(
        zip(SONGS, KBIT, BITS, strict=True)
    )

    if one_by_one:
        results = [database.import_song(music, path) for path in SONGS]
    else:
        results = [database.import_album(music, ALBUM)]

    assert [path for result in results for path in result.mended] == SONGS
    assert not any(result.added or result.updated or result.unchanged for result in results)
    assert database.rows() == right
    assert kbit_rows(music, database) == []
    before = state(database)
    assert database.import_album(music, ALBUM) == ImportResult(unchanged=tuple(SONGS))
    assert state(database) == before


@pytest.mark.parametrize(
    "values",
    [
        BITS,
        (111, 97, 94),
        (109, 95, 96),
        (320, 128, 0),
        ("NULL", "''", "'96 kbit/s'"),
        (-110, 1, 10**12),
    ],
)
def test_other_bitrates_stay(
    music: MusicDirectory, database: MusicDatabase, values: tuple[object, ...]
) -> None:
    """MusicDB's own rows, and what a person wrote into them, are nobody's to mend."""
    database.import_album(music, ALBUM)
    set_bitrates(database, values)
    before = state(database)

    assert kbit_rows(music, database) == []
    assert database.import_album(music, ALBUM) == ImportResult(unchanged=tuple(SONGS))
    assert state(database) == before


@pytest.mark.parametrize("checksum", ["''", "NULL", "'0'"])
def test_bitrates_of_other_files_are_not_mended(
    music: MusicDirectory, database: MusicDatabase, checksum: str
) -> None:
    """A row whose checksum is not the file's is of another file: it is an update, as ever."""
    database.import_album(music, ALBUM)
    set_bitrates(database, KBIT)
    run(database, f"UPDATE songs SET checksum = {checksum} WHERE path = '{MP3}'")

    assert [row.path for row in kbit_rows(music, database)] == [FLAC, M4A]
    result = database.import_album(music, ALBUM)
    assert (result.mended, result.updated) == ((FLAC, M4A), (MP3,))


def test_rows_without_a_readable_file_are_not_found(
    music: MusicDirectory, database: MusicDatabase
) -> None:
    """A file that is gone, broken or outside, and a row without a path, are not ours to tell of."""
    database.import_album(music, ALBUM)
    set_bitrates(database, KBIT)
    (music.root / FLAC).unlink()
    (music.root / MP3).write_bytes(b"broken")
    shutil.move(music.root / M4A, music.root.parent / "01 A.m4a")
    run(database, f"UPDATE songs SET path = '../01 A.m4a' WHERE path = '{M4A}'")
    run(database, "INSERT INTO songs (path, bitrate) VALUES (NULL, 95), ('', 95), ('a/b.pdf', 95)")

    assert kbit_rows(music, database) == []


@pytest.mark.parametrize("bits", [1.0, 499.0, 500.0, 1500.0, 96500.0, 96500.7, 97499.9, 97500.3])
def test_what_version_0_1_0_wrote_is_known(bits: float) -> None:
    """It rounded what it read, which need not have been whole; a bitrate of 1 was right."""
    assert is_in_kbit(max(1, round(bits / 1000)), int(bits)) is (bits > 1)


def kbit_rows(music: MusicDirectory, database: MusicDatabase) -> list[KbitRow]:
    return list(find_kbit_rows(music, database.songs()))


def test_a_changed_file_updates_what_it_says_and_keeps_what_users_said(
    music: MusicDirectory, database: MusicDatabase
) -> None:
    """New bytes bring a new checksum, playtime and lyrics; likes and other songs stay."""
    database.import_album(music, ALBUM)
    run(database, "UPDATE songs SET likes = 7")
    before = database.rows()["songs"]
    add_song(music, FLAC, lyrics="New words")

    result = database.import_album(music, ALBUM)

    assert result == ImportResult(updated=(FLAC,), unchanged=(MP3, M4A))
    song = row(database, FLAC)
    assert song["checksum"] == hashlib.sha256((music.root / FLAC).read_bytes()).hexdigest()
    assert (song["likes"], song["lyricsstate"]) == (7, 1)
    assert database.lyrics(FLAC) == "New words"
    assert database.rows()["songs"][1:] == before[1:]


def test_lyrics_that_a_user_wrote_outlive_a_changed_file(
    music: MusicDirectory, database: MusicDatabase
) -> None:
    """Only lyrics that came from the old file are replaced by those of the new one."""
    database.import_album(music, ALBUM)
    run(database, "UPDATE songs SET lyricsstate = 3; UPDATE lyrics SET lyrics = 'Mine'")
    with (music.root / MP3).open("ab") as file:
        file.write(bytes(128))

    assert database.import_song(music, MP3).updated == (MP3,)

    assert row(database, MP3)["lyricsstate"] == 3
    assert database.lyrics(MP3) == "Mine"


def test_a_song_that_lost_its_lyrics_loses_them_in_the_database(
    music: MusicDirectory, database: MusicDatabase
) -> None:
    """Lyrics that came from the file go with it."""
    path = f"{ALBUM}/04 Words.flac"
    add_song(music, path, lyrics="Old words")
    database.import_album(music, ALBUM)
    add_song(music, path)

    database.import_album(music, ALBUM)

    assert database.lyrics(path) is None
    assert row(database, path)["lyricsstate"] == 0


def test_a_song_that_is_gone_keeps_its_row(music: MusicDirectory, database: MusicDatabase) -> None:
    """An import never removes; what is lost is the scan's to tell."""
    database.import_album(music, ALBUM)
    before = state(database)
    (music.root / MP3).unlink()

    assert database.import_album(music, ALBUM) == ImportResult(unchanged=(FLAC, M4A))
    assert state(database) == before


@pytest.mark.parametrize("data", [b"", b"not a song", bytes(5000)])
def test_a_song_that_cannot_be_read_rejects_the_whole_import(
    music: MusicDirectory, database: MusicDatabase, data: bytes
) -> None:
    """The broken song is named, and nothing at all is inserted."""
    before = state(database)
    (music.root / M4A).write_bytes(data)

    with pytest.raises(MediaError) as error:
        database.import_album(music, ALBUM)
    assert error.value.path == M4A
    with pytest.raises(MediaError):
        database.import_song(music, M4A)
    assert state(database) == before


def test_an_import_that_fails_at_its_last_row_leaves_none(
    music: MusicDirectory, database: MusicDatabase
) -> None:
    """An import is one transaction: artist, album and songs come together or not at all."""
    run(
        database,
        "CREATE TRIGGER full BEFORE INSERT ON songs WHEN NEW.number = 3 "
        "BEGIN SELECT RAISE(ABORT, 'no room'); END",
    )
    before = database.rows()

    with pytest.raises(DatabaseUnusable, match="no room"):
        database.import_album(music, ALBUM)
    assert database.rows() == before

    run(database, "DROP TRIGGER full")
    database.import_album(music, ALBUM)
    assert [song["songid"] for song in database.songs()] == [1, 2, 3]


def test_a_disk_that_takes_no_journal_fails_the_import(
    music: MusicDirectory, database: MusicDatabase
) -> None:
    """Where SQLite cannot write its journal, the import says so and changes nothing."""
    before = state(database)
    Path(f"{database.path}-journal").mkdir()

    with pytest.raises(DatabaseUnusable):
        database.import_album(music, ALBUM)

    Path(f"{database.path}-journal").rmdir()
    assert state(database) == before


def test_the_same_album_imported_by_many_at_once_is_there_once(
    music: MusicDirectory, database: MusicDatabase
) -> None:
    """Look-ups happen under the lock, so eight imports at one instant make one set of rows."""
    barrier = threading.Barrier(8)

    def check(done: int, total: int, path: str) -> None:
        if done == total - 1:
            barrier.wait(60)

    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(database.import_album, music, ALBUM, check) for _ in range(8)]
    results = [future.result() for future in futures]

    assert sorted(len(result.added) for result in results) == [0] * 7 + [3]
    assert [len(database.rows()[name]) for name in ("artists", "albums", "songs")] == [1, 1, 3]


def test_a_database_in_wal_mode_is_used_as_it_is(
    music: MusicDirectory, database: MusicDatabase
) -> None:
    """A server that chose another journal mode keeps it."""
    run(database, "PRAGMA journal_mode = WAL")

    database.import_album(music, ALBUM)

    assert len(database.songs()) == 3
    with closing(sqlite3.connect(database.path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_an_import_can_be_stopped_between_songs(
    music: MusicDirectory, database: MusicDatabase
) -> None:
    """The callback hears of each song before it is read; what it raises ends the import."""
    before = state(database)
    calls = []

    def check(done: int, total: int, path: str) -> None:
        calls.append((done, total, path))
        if done == 1:
            raise KeyError("stop")

    with pytest.raises(KeyError):
        database.import_album(music, ALBUM, check)
    assert calls == [(0, 3, FLAC), (1, 3, MP3)]
    assert state(database) == before


@pytest.mark.parametrize(
    "path",
    ["", "Artist", "../2020 - Album", "/etc/2020 - x", "A/2020 - B/../C", "Missing/2020 - X"],
)
def test_a_path_that_is_no_albums_is_refused(
    music: MusicDirectory, database: MusicDatabase, path: str
) -> None:
    """Paths that lead elsewhere, or nowhere, are errors and make no rows."""
    before = state(database)

    with pytest.raises(InvalidPath):
        database.import_album(music, path)
    assert state(database) == before


def test_an_album_without_songs_is_refused(music: MusicDirectory, database: MusicDatabase) -> None:
    """A directory with a booklet alone is no album, and gets no row."""
    path = "Artist/2020 - Booklet"
    (music.root / path).mkdir(parents=True)
    (music.root / path / "booklet.pdf").touch()

    with pytest.raises(InvalidPath, match="no song"):
        database.import_album(music, path)
    assert database.artists() == []


def test_a_song_that_is_missing_or_none_is_an_error(
    music: MusicDirectory, database: MusicDatabase
) -> None:
    """A song has to be there, and to be named as one."""
    with pytest.raises(FileNotFoundError):
        database.import_song(music, f"{ALBUM}/09 Missing.mp3")
    with pytest.raises(InvalidPath):
        database.import_song(music, f"{ALBUM}/booklet.pdf")
    assert database.albums() == []
