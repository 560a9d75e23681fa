"""Files that are given again are not read again, unless anything of them may be another."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from clikit import MP3, TARGETS, Library, copy_album
from musictasks.intake import Plan, Result, bring, plan
from musictasks.library import MusicDatabase, sample_album, sha256_of
from musictasks.music import open_library

FALSE = "f" * 40


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "library")


@pytest.fixture
def album(tmp_path: Path) -> Path:
    return copy_album(tmp_path / "album")


def add(library: Library, plan: Plan):
    with open_library(library.settings) as engine:
        return bring(plan, engine)


def forge(library: Library) -> None:
    """Whoever believes the cache is told a false SHA-1."""
    with closing(sqlite3.connect(library.settings.known_files)) as connection, connection:
        connection.execute("update files set sha1 = ?", (FALSE,))


def change(file: Path) -> None:
    """Other bytes, as many, under the same modification time."""
    status, data = file.stat(), bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def sha1s(plan: Plan) -> dict[str, str]:
    return {file.source.name: file.checksum for file in plan.files}


def test_what_is_known_is_not_read_and_what_has_changed_is(library: Library, album: Path):
    time.sleep(2.2)  # they were made just now
    first = plan([album], library.settings)
    assert add(library, first).succeeded
    forge(library)
    shutil.rmtree(library.settings.music)  # so that all is planned
    change(album / MP3)
    again = sha1s(plan([album], library.settings))
    assert again.pop(MP3) not in {FALSE, sha1s(first)[MP3]}
    assert set(again.values()) == {FALSE}


def test_files_that_were_changed_just_now_are_read_again(library: Library, album: Path):
    """However fast somebody was: a change within the granularity of times is not missed."""
    for file in album.iterdir():
        os.utime(file, ns=(0, 0))  # the time of the change of its inode is now
    assert add(library, plan([album], library.settings)).succeeded
    assert not library.settings.known_files.exists()


def test_a_plan_alone_keeps_nothing(library: Library):
    """It changes nothing."""
    assert add(library, plan([sample_album() / MP3], library.settings)).succeeded
    before = library.settings.known_files.read_bytes()
    plan([sample_album()], library.settings)
    assert library.settings.known_files.read_bytes() == before


def test_a_song_in_the_music_directory_that_was_changed_is_imported_again(
    library: Library, album: Path
):
    """Under the same size and modification time: the ledger is not believed."""
    assert add(library, plan([album], library.settings)).succeeded
    assert add(library, plan([album], library.settings)).imports[0].result is Result.THERE
    song = library.settings.music / TARGETS[MP3]
    change(song)
    shutil.copyfile(song, album / MP3)
    report = add(library, plan([album], library.settings))
    assert report.imports[0].result is Result.ADDED
    row = MusicDatabase(library.settings.database).song(TARGETS[MP3])
    with song.open("rb") as file:
        assert row is not None
        assert row["checksum"] == sha256_of(file)
