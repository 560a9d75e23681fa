"""The scan's cache: whatever happens to the file, the scan says the same."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from musictasks.files import Directory
from musictasks.library import ScanResult, scan
from scankit import Shelf

SONGS = [f"Artist/2020 - Album/{number:02d} Song.mp3" for number in range(1, 4)]


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    shelf = Shelf(tmp_path).prepare()
    shelf.put(*SONGS)
    return shelf


@pytest.fixture
def first(shelf: Shelf) -> ScanResult:
    return shelf.scan()


def reads_nothing(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> ScanResult:
    with monkeypatch.context() as patch:
        patch.setattr(Directory, "open", None)
        return shelf.scan()


def overwrite(path: Path) -> None:
    path.write_bytes(b"\xa5" * 8192)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def garble(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(data)


def exchange(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table checksums (something integer)")


@pytest.mark.parametrize("damage", [overwrite, cut, garble, exchange, Path.unlink])
def test_a_damaged_cache_is_made_again(shelf: Shelf, first, monkeypatch, damage) -> None:
    """The scan after the damage hashes again, the one after that does not have to."""
    damage(shelf.cache)

    assert shelf.scan() == first
    assert reads_nothing(shelf, monkeypatch) == first


def test_values_that_are_none_are_hashed_again(shelf: Shelf, first) -> None:
    """A row that does not hold a SHA-256 is never believed."""
    for value in (None, "", "abc", b"\x00" * 64, "G" * 64, 7):
        with closing(sqlite3.connect(shelf.cache)) as connection, connection:
            connection.execute("update checksums set sha256 = ?", (value,))
        assert shelf.scan() == first


def test_a_cache_that_cannot_be_is_done_without(shelf: Shelf, first, caplog) -> None:
    """A directory in its place costs time, not the scan; the log says so."""
    shelf.cache.unlink()
    shelf.cache.mkdir()

    with caplog.at_level(logging.WARNING):
        assert shelf.scan() == first
    assert "the scan goes on without" in caplog.text


def test_a_locked_cache_is_done_without(shelf: Shelf, first) -> None:
    """Another program that holds the file is not waited for."""
    shelf.put("Artist/2021 - New/01 Song.mp3")
    with closing(sqlite3.connect(shelf.cache, isolation_level=None)) as other:
        other.execute("begin exclusive")
        found = shelf.scan()

    assert len(found.new_songs) == 4
    assert shelf.scan() == found


def test_a_journal_of_a_killed_scan_is_no_harm(shelf: Shelf, first) -> None:
    """A hot journal beside a damaged file goes with it."""
    shutil.copyfile(shelf.cache, f"{shelf.cache}-journal")
    overwrite(shelf.cache)

    assert shelf.scan() == first


def test_times_that_no_integer_of_sqlite_holds(shelf: Shelf) -> None:
    """A file from the far future is hashed each time, and does no harm."""
    try:
        os.utime(shelf.path(SONGS[0]), (2**34, 2**34))
    except OSError:
        pytest.skip("the file system has no such times")

    assert shelf.scan() == shelf.scan()


def test_a_file_that_is_being_written_is_hashed_again(shelf: Shelf) -> None:
    """What changes while it is read is not noted."""
    song = shelf.path(SONGS[0])
    os.truncate(song, 3 * 1024 * 1024)
    written = []

    def write(done: int, total: int, path: str) -> None:
        if path == SONGS[0] and len(written) < 2:
            written.append(path)
            with song.open("ab") as file:
                file.write(b"more")

    scan(shelf.music, shelf.database, shelf.cache, write)

    with closing(sqlite3.connect(shelf.cache)) as connection:
        rows = {path for (path,) in connection.execute("select path from checksums")}
    assert rows == set(SONGS[1:])
    assert shelf.scan().new_songs[0].checksum == shelf.checksum(SONGS[0])
