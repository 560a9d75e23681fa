"""The scan of real albums beside a real database."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from musictasks.errors import DatabaseUnusable, MusicDirectoryUnusable
from musictasks.files import Directory
from musictasks.library import MusicDirectory, ScanResult, sample_album, scan
from musictasks.library.scanning import Moved, NewFile
from scankit import Shelf

ALBUM = "Artist/2020 - Album"


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path).prepare()


def new_paths(found: ScanResult) -> list[str]:
    return [file.path for file in (*found.new_songs, *found.new_videos)]


def lost_paths(found: ScanResult) -> dict[str, list[str]]:
    return {table: [row["path"] for row in rows] for table, rows in found.lost.items()}


def reasons(found: ScanResult) -> dict[str, str]:
    return {skipped.path: skipped.reason for skipped in found.skipped}


NOTHING_LOST: dict[str, list[Any]] = {"artists": [], "albums": [], "songs": [], "videos": []}


def test_nothing_is_there(shelf: Shelf) -> None:
    """An empty Music Directory beside an empty database is no failure."""
    assert shelf.scan() == ScanResult(lost=dict(NOTHING_LOST))


def test_what_is_new_is_listed_with_its_children(shelf: Shelf) -> None:
    """Artist, album, songs and videos of a new directory, files with their SHA-256, by path."""
    shutil.copytree(sample_album(), shelf.path(ALBUM))
    video = "Artist/2021 - Video.mp4"
    shelf.put(video)
    songs = [f"{ALBUM}/{path.name}" for path in sample_album().glob("0*")]

    found = shelf.scan()

    assert found == ScanResult(
        new_artists=["Artist"],
        new_albums=[ALBUM],
        new_songs=[NewFile(path, shelf.checksum(path)) for path in sorted(songs)],
        new_videos=[NewFile(video, shelf.checksum(video))],
        lost=dict(NOTHING_LOST),
    )


def test_what_the_database_has_is_not_read(shelf: Shelf, monkeypatch) -> None:
    """No file is opened, whatever is in it by now, and there is nothing to keep in a cache."""
    shelf.import_album(ALBUM, "01 Song.mp3", "02 Song.mp3")
    shelf.put(f"{ALBUM}/01 Song.mp3", text="other")
    monkeypatch.setattr(Directory, "open", None)

    assert shelf.scan() == ScanResult(lost=dict(NOTHING_LOST))
    assert not shelf.cache.exists()


def test_what_was_hashed_before_is_not_read_again(shelf: Shelf, monkeypatch) -> None:
    """A second scan of the same new files opens none of them and says the same."""
    shelf.put(f"{ALBUM}/01 Song.mp3", f"{ALBUM}/02 Song.mp3", "Artist/2020 - Video.webm")
    first = shelf.scan()
    monkeypatch.setattr(Directory, "open", None)

    assert shelf.scan() == first
    assert len(new_paths(first)) == 3


@pytest.mark.parametrize("what", ["size", "time", "inode"])
def test_what_has_changed_is_hashed_again(shelf: Shelf, what: str) -> None:
    """Another size, modification time or inode each make the noted checksum void."""
    path = f"{ALBUM}/01 Song.mp3"
    shelf.put(path, text="a")
    shelf.scan()
    before = shelf.path(path).stat()
    if what == "inode":
        shelf.path(path).rename(shelf.path(path).with_suffix(".old"))
    shelf.put(path, text="abc" if what == "size" else "b")
    later_ns = before.st_mtime_ns + (1 if what == "time" else 0)
    os.utime(shelf.path(path), ns=(later_ns, later_ns))

    assert [file.checksum for file in shelf.scan().new_songs] == [shelf.checksum(path)]


def test_what_is_no_longer_new_leaves_the_cache(shelf: Shelf) -> None:
    """It keeps the checksums of the new files only."""
    shelf.put(f"{ALBUM}/01 Song.mp3", "Other/2020 - Album/01 Song.mp3")
    shelf.scan()
    shelf.database.import_album(shelf.music, ALBUM)
    shelf.scan()

    with closing(sqlite3.connect(shelf.cache)) as connection:
        rows = list(connection.execute("select path from checksums"))
    assert rows == [("Other/2020 - Album/01 Song.mp3",)]


def test_new_songs_of_known_albums_are_filtered(shelf: Shelf) -> None:
    """Among all new songs, those whose album the database has stand in a list of their own."""
    shelf.import_album(ALBUM, "01 Song.mp3")
    shelf.put(f"{ALBUM}/02 Song.mp3", "Artist/2021 - Other/01 Song.mp3")

    found = shelf.scan()

    assert (found.new_artists, found.new_albums) == ([], ["Artist/2021 - Other"])
    assert new_paths(found) == [f"{ALBUM}/02 Song.mp3", "Artist/2021 - Other/01 Song.mp3"]
    assert [song.path for song in found.filtered_songs] == [f"{ALBUM}/02 Song.mp3"]


def test_a_lost_song_comes_as_its_row(shelf: Shelf) -> None:
    """The row says all that the database knows of it; the album is still there."""
    _, path = shelf.import_album(ALBUM, "01 Song.mp3", "02 Song.mp3")
    row = shelf.database.song(path)
    shelf.path(path).unlink()

    found = shelf.scan()

    assert found.lost == {**NOTHING_LOST, "songs": [row]}
    assert row is not None
    assert row["checksum"]


def test_a_lost_artist_is_lost_with_everything(shelf: Shelf) -> None:
    """Album and songs of a directory that is gone are listed, too; other artists are not."""
    songs = shelf.import_album(ALBUM, "01 Song.mp3", "02 Song.mp3")
    shelf.import_album("Other/2020 - Album", "01 Song.mp3")
    shutil.rmtree(shelf.path("Artist"))

    assert lost_paths(shelf.scan()) == {
        "artists": ["Artist"],
        "albums": [ALBUM],
        "songs": songs,
        "videos": [],
    }


def test_a_file_in_the_place_of_an_album(shelf: Shelf) -> None:
    """A directory is lost where a file has its name, and a song where a directory has it."""
    shelf.import_album(ALBUM, "01 Song.mp3")
    one, _ = shelf.import_album("Artist/2021 - Other", "01 Song.mp3", "02 Song.mp3")
    shutil.rmtree(shelf.path(ALBUM))
    shelf.path(ALBUM).touch()
    shelf.path(one).unlink()
    shelf.path(one).mkdir()

    lost = lost_paths(shelf.scan())

    assert (lost["albums"], lost["songs"]) == ([ALBUM], [f"{ALBUM}/01 Song.mp3", one])


def test_a_moved_album_is_found_as_moved(shelf: Shelf) -> None:
    """Each song of a renamed directory pairs with itself; they are also lost and new."""
    songs = shelf.import_album(ALBUM, "01 One.mp3", "02 Two.mp3")
    checksums = [shelf.checksum(path) for path in songs]
    there = "Other/1999 - Moved"
    shelf.path("Other").mkdir()
    shelf.path(ALBUM).rename(shelf.path(there))

    found = shelf.scan()

    assert found.moved == [
        Moved(path, path.replace(ALBUM, there), checksum)
        for path, checksum in zip(songs, checksums, strict=True)
    ]
    assert lost_paths(found)["songs"] == songs
    assert new_paths(found) == [pair.new for pair in found.moved]


def test_copies_are_paired_by_their_names(shelf: Shelf) -> None:
    """Of several files with the same bytes each is used once, one with an equal name first."""
    shelf.put(f"{ALBUM}/01 A.mp3", f"{ALBUM}/02 B.mp3", f"{ALBUM}/03 C.mp3", text="same")
    shelf.database.import_album(shelf.music, ALBUM)
    shutil.rmtree(shelf.path(ALBUM))
    shelf.put("Artist/2021 - X/02 B.mp3", "Artist/2021 - X/09 Z.mp3", text="same")

    pairs = [(pair.lost, pair.new) for pair in shelf.scan().moved]

    assert pairs == [
        (f"{ALBUM}/01 A.mp3", "Artist/2021 - X/09 Z.mp3"),
        (f"{ALBUM}/02 B.mp3", "Artist/2021 - X/02 B.mp3"),
    ]


def test_a_copy_of_a_song_that_is_there_is_new(shelf: Shelf) -> None:
    """Nothing has moved as long as nothing is lost."""
    shelf.import_album(ALBUM, "01 Song.mp3")
    shelf.put("Artist/2021 - Copy/01 Song.mp3", text=f"{ALBUM}/01 Song.mp3")

    found = shelf.scan()

    assert found.moved == []
    assert new_paths(found) == ["Artist/2021 - Copy/01 Song.mp3"]


def add_video_row(shelf: Shelf, path: str, checksum: str) -> None:
    with closing(sqlite3.connect(shelf.database.path)) as connection, connection:
        query = "insert into videos (artistid, name, path, checksum) values (1, 'Video', ?, ?)"
        connection.execute(query, (path, checksum))


def test_videos_are_known_lost_and_moved(shelf: Shelf) -> None:
    """A video that the database has is not new; a renamed one is moved."""
    shelf.put("Artist/2020 - Known.mp4", "Artist/2021 - Renamed.MP4")
    add_video_row(shelf, "Artist/2020 - Known.mp4", "")
    checksum = shelf.checksum("Artist/2021 - Renamed.MP4")
    add_video_row(shelf, "Artist/2020 - Renamed.mp4", checksum)

    found = shelf.scan()

    assert lost_paths(found)["videos"] == ["Artist/2020 - Renamed.mp4"]
    assert found.moved == [
        Moved("Artist/2020 - Renamed.mp4", "Artist/2021 - Renamed.MP4", checksum)
    ]
    assert found.new_artists == ["Artist"]


def test_ignored_and_hidden_names_are_not_there(shelf: Shelf) -> None:
    """What the lists name, and what begins with a dot, is neither new nor skipped, nor lost."""
    kept = shelf.import_album("Kept/2020 - Album", "01 Song.mp3", "02 Song.mp3")
    shelf.import_album("Gone/2020 - Album", "01 Song.mp3")
    shelf.put(
        "lost+found/2020 - Album/01 Song.mp3",
        ".hidden/2020 - Album/01 Song.mp3",
        "Kept/.task.tmp/01 Song.mp3",
        "Kept/2020 - Ignored/01 Song.mp3",
        "Kept/2020 - Album/.01 Song.mp3",
        "Kept/2020 - Album/03 Ignored.mp3",
    )
    music = evolve(
        shelf.music,
        ignore_artists={"lost+found", "Gone"},
        ignore_albums={"2020 - Ignored"},
        ignore_songs={"03 Ignored.mp3", kept[0].rpartition("/")[2]},
    )

    assert scan(music, shelf.database, shelf.cache) == ScanResult(lost=dict(NOTHING_LOST))


def test_names_that_cannot_be_used_stop_nothing(shelf: Shelf) -> None:
    """A backslash and bytes that are no UTF-8, anywhere, are skipped; their neighbours are new."""
    good = f"{ALBUM}/01 Song.mp3"
    shelf.put(good, f"{ALBUM}/02 a\\b.mp3", "AC\\DC/2020 - Album/01 Song.mp3")
    shelf.put("Artist/2020 - a\\b/01 Song.mp3", "Artist/2020 - a\\b.mp4")
    no_text = os.fsdecode(b"caf\xe9")
    shelf.put(f"{ALBUM}/03 {no_text}.mp3", f"{no_text}/2020 - Album/01 Song.mp3", text="")

    found = shelf.scan()

    assert (found.new_artists, found.new_albums, new_paths(found)) == (["Artist"], [ALBUM], [good])
    assert set(reasons(found)) == {
        f"{ALBUM}/02 a\\b.mp3",
        f"{ALBUM}/03 caf\\xe9.mp3",
        "AC\\DC",
        "Artist/2020 - a\\b",
        "Artist/2020 - a\\b.mp4",
        "caf\\xe9",
    }
    assert "backslash" in reasons(found)["AC\\DC"]


@pytest.mark.parametrize(
    ("path", "place", "reason"),
    [
        ("01 Song.mp3", "01 Song.mp3", "parts"),
        ("Artist/01 Song.mp3", "Artist/01 Song.mp3", "parts"),
        ("Artist/Live/01 Song.mp3", "Artist/Live", "is not a year"),
        ("Artist/Video.mp4", "Artist/Video.mp4", "is not a year"),
        ("Artist/2020 - X/Song.mp3", "Artist/2020 - X/Song.mp3", "is not a number"),
        ("Artist/2020 - X/CD1/01 Song.mp3", "Artist/2020 - X", "'CD1' in it is a directory"),
        ("Artist/2020 - X/cover.png", "Artist/2020 - X", "no song"),
        ("Known/2020 - X/CD1/01 Song.mp3", "Known/2020 - X/CD1", "it is a directory"),
    ],
)
def test_what_breaks_the_scheme_is_told_of(
    shelf: Shelf, path: str, place: str, reason: str
) -> None:
    """Music that no import would take is not new, but does not get lost in silence either."""
    shelf.import_album("Known/2020 - X", "01 Song.mp3")
    shelf.put(path)

    found = shelf.scan()

    assert new_paths(found) == []
    assert list(reasons(found)) == [place]
    assert reason in reasons(found)[place]


def test_an_artist_without_music_is_not_new(shelf: Shelf) -> None:
    """An artist directory holds an album or a video, else it is none."""
    shelf.put("Notes/readme.txt", "Artist/Live/01 Song.mp3", "Artist/2020 - Empty/cover.png")

    found = shelf.scan()

    assert (found.new_artists, found.new_albums) == ([], [])


def test_links_are_not_followed(shelf: Shelf) -> None:
    """Linked artists, albums and songs are skipped, nothing behind them is looked at."""
    outside = Shelf(shelf.root / "outside").prepare()
    outside.put("2020 - Album/01 Song.mp3")
    shelf.put(f"{ALBUM}/01 Song.mp3", "Artist/2021 - Other/01 Song.mp3")
    shelf.path("Linked").symlink_to(outside.music.root)
    shelf.path("Artist/2022 - Linked").symlink_to(outside.path("2020 - Album"))
    shelf.path(f"{ALBUM}/02 Linked.mp3").symlink_to(outside.path("2020 - Album/01 Song.mp3"))

    found = shelf.scan()

    assert found.new_albums == ["Artist/2021 - Other"]
    assert set(reasons(found)) == {"Linked", "Artist/2022 - Linked", ALBUM}
    assert all("symbolic link" in reason for reason in reasons(found).values())


def test_what_is_behind_a_link_is_not_lost(shelf: Shelf) -> None:
    """An artist that became a link is told of, instead of being lost song by song."""
    shelf.import_album(ALBUM, "01 Song.mp3", "02 Song.mp3")
    shelf.put("Other/2020 - Album/01 Song.mp3")
    shelf.path("Artist").rename(shelf.root / "elsewhere")
    shelf.path("Artist").symlink_to(shelf.root / "elsewhere")

    found = shelf.scan()

    assert found.lost == NOTHING_LOST
    assert "Artist" in reasons(found)


@pytest.mark.parametrize("how", ["empty", "missing", "another", "ignored only"])
def test_an_unmounted_directory_fails(shelf: Shelf, how: str) -> None:
    """Beside a database with music, a directory without any artist is a failure, not a loss."""
    shelf.import_album(ALBUM, "01 Song.mp3")
    shutil.rmtree(shelf.music.root)
    if how != "missing":
        shelf.music.root.mkdir()
    if how == "another":
        shelf.path("README").touch()
    if how == "ignored only":
        shelf.path("lost+found").mkdir()

    with pytest.raises(MusicDirectoryUnusable, match="mounted"):
        shelf.scan()


@pytest.mark.parametrize("stray", ["Stray", "Stray/2020 - Album", "Stray/2020 - Album/README.txt"])
def test_a_stray_directory_does_not_make_a_mounted_disk(shelf: Shelf, stray: str) -> None:
    """Without any song or video it is a failed scan, as an empty one; the error says how to go on.

    With a song, also a new one, what is lost is lost.
    """
    shelf.import_album(ALBUM, "01 Song.mp3")
    shelf.music.root.rename(shelf.root / "unmounted")
    shelf.path(stray).mkdir(parents=True)

    with pytest.raises(MusicDirectoryUnusable, match=r"mounted.*deleted on purpose"):
        shelf.scan()

    shelf.put("New/2020 - Album/01 Song.mp3")
    assert [row["path"] for row in shelf.scan().lost["songs"]] == [f"{ALBUM}/01 Song.mp3"]


def test_an_album_that_cannot_be_read_is_told_of_once(shelf: Shelf) -> None:
    """And not as one without a song, which nobody knows."""
    shelf.put(f"{ALBUM}/01 Song.mp3", "Artist/2021 - Gone/01 Song.mp3")

    def exchange(done: int, total: int, path: str) -> None:
        if path == ALBUM:
            shelf.path(ALBUM).rename(shelf.root / "elsewhere")
            shelf.path(ALBUM).symlink_to(shelf.root / "elsewhere")
        elif path == "Artist/2021 - Gone":
            shelf.path(path).rename(shelf.root / "gone")

    found = scan(shelf.music, shelf.database, shelf.cache, exchange)

    assert [skipped.path for skipped in found.skipped] == [ALBUM]
    assert "symbolic link" in found.skipped[0].reason


def test_a_directory_that_is_unmounted_on_the_way_fails(shelf: Shelf) -> None:
    """What is gone because another directory took the root's place is not called lost."""
    shelf.import_album(ALBUM, "01 Song.mp3")
    shelf.import_album("Other/2020 - Album", "01 Song.mp3")

    def unmount(done: int, total: int, path: str) -> None:
        if shelf.path("Other").exists():
            shelf.music.root.rename(shelf.root / "unmounted")
            shelf.music.root.mkdir()

    with pytest.raises(MusicDirectoryUnusable, match="during the scan"):
        scan(shelf.music, shelf.database, shelf.cache, unmount)


def test_what_is_imported_meanwhile_is_neither_new_nor_lost(shelf: Shelf) -> None:
    """The database is read after the directory, and what only it has is looked for again."""
    shelf.put(f"{ALBUM}/01 Song.mp3", "Artist/2021 - Other/01 Song.mp3")

    def import_more(done: int, total: int, path: str) -> None:
        if path == "Artist/2021 - Other":
            shelf.import_album("Late/2022 - Album", "01 Song.mp3")
            shelf.database.import_album(shelf.music, ALBUM)

    found = scan(shelf.music, shelf.database, shelf.cache, import_more)

    assert new_paths(found) == ["Artist/2021 - Other/01 Song.mp3"]
    assert found.lost == NOTHING_LOST


def test_what_goes_meanwhile_stops_nothing(shelf: Shelf) -> None:
    """An album that is deleted while the scan hashes is not new any more; the rest is."""
    shelf.put(f"{ALBUM}/01 Song.mp3", "Other/2020 - Album/01 Song.mp3")

    def delete(done: int, total: int, path: str) -> None:
        if path.endswith(".mp3"):
            shutil.rmtree(shelf.path(ALBUM), ignore_errors=True)

    found = scan(shelf.music, shelf.database, shelf.cache, delete)

    assert new_paths(found) == ["Other/2020 - Album/01 Song.mp3"]


class Stop(Exception):
    pass


def test_a_stopped_scan_keeps_what_it_hashed(shelf: Shelf, monkeypatch) -> None:
    """Whoever raises in `check` ends the scan; the next one does not hash those files again."""
    shelf.put(*(f"{ALBUM}/{number:02d} Song.mp3" for number in range(1, 6)))

    def stop(done: int, total: int, path: str) -> None:
        if path.endswith("04 Song.mp3"):
            raise Stop

    with pytest.raises(Stop):
        scan(shelf.music, shelf.database, shelf.cache, stop)
    opened = []
    really_open = Directory.open
    monkeypatch.setattr(
        Directory, "open", lambda self, path: opened.append(path) or really_open(self, path)
    )
    assert len(shelf.scan().new_songs) == 5
    assert opened == [f"{ALBUM}/04 Song.mp3", f"{ALBUM}/05 Song.mp3"]


def test_a_large_file_is_checked_on_the_way(shelf: Shelf) -> None:
    """While one file is hashed, `check` is called for each MiB of it, and nothing after a stop."""
    path = f"{ALBUM}/01 Song.mp3"
    shelf.put(path)
    os.truncate(shelf.path(path), 50 * 1024 * 1024)
    seen = []

    def stop(done: int, total: int, path: str) -> None:
        seen.append(path)
        if seen.count(path) == 4 and path.endswith(".mp3"):
            raise Stop

    with pytest.raises(Stop):
        scan(shelf.music, shelf.database, shelf.cache, stop)
    assert seen == ["Artist", ALBUM, *[path] * 4]


def test_progress_never_reaches_its_end_before_the_end(shelf: Shelf) -> None:
    """`done` counts what is behind, so it is less than `total` at each call."""
    shelf.import_album("Lost/2020 - Album", "01 Song.mp3")
    shutil.rmtree(shelf.path("Lost"))
    shelf.put(f"{ALBUM}/01 Song.mp3", f"{ALBUM}/02 Song.mp3")
    seen = []

    scan(shelf.music, shelf.database, shelf.cache, lambda *step: seen.append(step))

    assert all(0 <= done < total for done, total, _ in seen)
    files = {(done, total, path) for done, total, path in seen if path.startswith(f"{ALBUM}/")}
    assert files == {(0, 2, f"{ALBUM}/01 Song.mp3"), (1, 2, f"{ALBUM}/02 Song.mp3")}


def test_a_database_that_cannot_be_read_fails(shelf: Shelf) -> None:
    """Without the database nothing can be said of what is new."""
    shelf.put(f"{ALBUM}/01 Song.mp3")
    shelf.database.path.write_bytes(b"no database" * 1000)

    with pytest.raises(DatabaseUnusable):
        shelf.scan()


def test_a_root_that_is_a_link_is_fine(shelf: Shelf) -> None:
    """Where the Music Directory lies is the admin's choice."""
    shelf.put(f"{ALBUM}/01 Song.mp3")
    (shelf.root / "link").symlink_to(shelf.music.root)

    found = scan(MusicDirectory(shelf.root / "link"), shelf.database, shelf.cache)

    assert found.new_albums == [ALBUM]
