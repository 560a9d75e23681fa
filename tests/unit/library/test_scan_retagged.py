"""A person tidies up: files are moved and retagged, and the scan recognises them."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest
from audiokit import KINDS, WAYS, make_song
from musictasks.files import Directory
from musictasks.handlers import MusicImport
from musictasks.handlers.scanning import as_annotations
from musictasks.library import ALL_FORMATS, Ledger, Moved, ScanResult, scan, verify
from musictasks.statemachine import MusicTask, Work
from scankit import Shelf

OLD, NEW = "Artist/2000 - Old", "The Artist/2001 - New"


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """An imported album with a song of each kind, as `musictasks import` brings it in."""
    shelf = Shelf(tmp_path, ALL_FORMATS).prepare()
    for number, kind in enumerate(KINDS, 1):
        make_song(shelf.path(f"{OLD}/{number:02} Song.{kind}"), kind)
    task = MusicTask(id="import", content_type="album", album_path=OLD)
    done = MusicImport(shelf.music, shelf.database, ledger_of(shelf))(task, Work())
    assert done.event == "succeed"
    return shelf


def ledger_of(shelf: Shelf) -> Ledger:
    return Ledger(shelf.root / "data" / "ledger.db", durable=False, busy_timeout_s=0.1)


def scanned(shelf: Shelf) -> ScanResult:
    return scan(shelf.music, shelf.database, shelf.cache, ledger=ledger_of(shelf))


def tidy_up(shelf: Shelf, way: int = 0) -> None:
    """The album is renamed, its songs get other names and other tags."""
    shelf.path(NEW).parent.mkdir()
    shelf.path(OLD).rename(shelf.path(NEW))
    for number, kind in enumerate(KINDS, 1):
        song = shelf.path(f"{NEW}/{number:02} Song.{kind}")
        WAYS[kind][way](song)
        song.rename(song.with_name(f"1-{number:02} Another name.{kind}"))


@pytest.mark.parametrize("way", range(10))
def test_moved_and_retagged(shelf: Shelf, way: int):
    """Every kind, in ten ways; and the annotations say which have other tags."""
    before = {row["path"]: row["checksum"] for row in shelf.database.songs()}
    tidy_up(shelf, way)
    found = scanned(shelf)
    assert [(pair.lost, pair.new) for pair in found.moved] == [
        (f"{OLD}/{number:02} Song.{kind}", f"{NEW}/1-{number:02} Another name.{kind}")
        for number, kind in enumerate(KINDS, 1)
    ]
    # Tags that were written and deleted again may leave the very file.
    changed = [pair.changed for pair in found.moved]
    assert changed == [before[pair.lost] != pair.checksum for pair in found.moved]
    assert sum(changed) >= 3
    assert [pair.checksum for pair in found.moved] == [shelf.checksum(p.new) for p in found.moved]
    (first, *_) = as_annotations(found)["movedpaths"]
    assert first == {
        "lost": found.moved[0].lost,
        "new": found.moved[0].new,
        "checksum": found.moved[0].checksum,
        "changed": True,
    }


def test_other_music_is_not_taken_for_it(shelf: Shelf):
    """Also if it has the names and the tags of what is lost."""
    shutil.rmtree(shelf.path(OLD))
    for number, kind in enumerate(KINDS, 1):
        make_song(shelf.path(f"{NEW}/{number:02} Song.{kind}"), f"another {kind}")
    found = scanned(shelf)
    assert len(found.new_songs) == len(found.lost["songs"]) == len(KINDS)
    assert found.moved == []


def test_equal_bytes_count_more(shelf: Shelf):
    """Of two with the same audio, the one that is the very file is it; the other is new."""
    flac = f"{OLD}/01 Song.flac"
    shelf.path(NEW).mkdir(parents=True)
    shutil.copy(shelf.path(flac), shelf.path(f"{NEW}/01 Song.flac"))
    WAYS["flac"][0](shelf.path(f"{NEW}/01 Song.flac"))
    shelf.path(flac).rename(shelf.path(f"{NEW}/02 Other.flac"))
    checksum = shelf.checksum(f"{NEW}/02 Other.flac")
    assert scanned(shelf).moved == [Moved(flac, f"{NEW}/02 Other.flac", checksum)]
    assert "changed" not in as_annotations(scanned(shelf))["movedpaths"][0]


def test_a_second_scan_reads_nothing(shelf: Shelf, monkeypatch: pytest.MonkeyPatch):
    """The ledger knows the audio of the new files by then."""
    tidy_up(shelf)
    first = scanned(shelf)
    monkeypatch.setattr(Directory, "open", None)
    assert scanned(shelf) == first


def test_songs_of_before_the_ledger_are_known_when_verified(tmp_path: Path):
    """Imported without it, verified once, then moved and retagged."""
    shelf = Shelf(tmp_path).prepare()
    make_song(shelf.path(f"{OLD}/01 Song.mp3"), 1)
    shelf.database.import_album(shelf.music, OLD)
    verify(shelf.music, ledger_of(shelf))
    shelf.path(NEW).mkdir(parents=True)
    song = shelf.path(f"{NEW}/01 Song.mp3")
    shelf.path(f"{OLD}/01 Song.mp3").rename(song)
    WAYS["mp3"][0](song)
    assert [pair.changed for pair in scanned(shelf).moved] == [True]
    # Nor does it matter that the verification has seen the new file.
    verify(shelf.music, ledger_of(shelf))
    assert [pair.changed for pair in scanned(shelf).moved] == [True]


def test_without_a_ledger_bytes_alone_tell(shelf: Shelf, caplog: pytest.LogCaptureFixture):
    """A damaged one is no reason for a scan to fail."""
    tidy_up(shelf)
    assert scan(shelf.music, shelf.database, shelf.cache).moved == []
    ledger_of(shelf).path.write_bytes(b"\xa5" * 8192)
    with caplog.at_level(logging.WARNING):
        assert scanned(shelf).moved == []
    assert "ledger" in caplog.text
