"""Files are read again: what is the same, changed, rotten, lost, moved or unknown."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from musictasks.errors import InvalidPath, LedgerUnusable, MusicDirectoryUnusable
from musictasks.files import Directory
from musictasks.library import Ledger, Verdict, sample_album, verify, verifying
from mutagen.easyid3 import EasyID3
from mutagen.flac import FLAC
from verifykit import Archive, edit, keeping_time, rot

ALBUM = "Artist/2020 - Album"
OTHER = "Other/2021 - Other"
SONGS = [f"{ALBUM}/{number:02} Song.mp3" for number in range(1, 5)]
ONE, TWO, THREE, FOUR = SONGS
FLAC_SONG = f"{OTHER}/01 Song.flac"


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """Known songs of two albums."""
    archive = Archive(tmp_path)
    archive.put(*SONGS)
    archive.path(OTHER).mkdir(parents=True)
    archive.path(FLAC_SONG).write_bytes((sample_album() / "01 Morgenroete.flac").read_bytes())
    assert archive.told() == dict.fromkeys([*SONGS, FLAC_SONG], "unknown")
    assert archive.told() == {}
    return archive


def test_the_four_verdicts(archive: Archive):
    """Same, changed by somebody, rotten, lost: each file gets its own, and keeps it."""
    edit(archive.path(ONE))
    rot(archive.path(TWO))
    archive.path(THREE).unlink()
    archive.put(f"{ALBUM}/05 New.mp3")

    found = archive.verify()

    assert found.counts == {
        Verdict.SAME: 3, Verdict.CHANGED: 1, Verdict.ROT: 1, Verdict.LOST: 1
    }  # fmt: skip
    assert (found.complete, found.is_well, found.total) == (True, False, 6)
    lasting = {ONE: "changed", TWO: "rot", THREE: "lost"}
    assert {f.path: str(f.verdict) for f in found.findings} == {
        **lasting, f"{ALBUM}/05 New.mp3": "unknown"
    }  # fmt: skip
    assert archive.told() == lasting


def test_what_was_put_back_is_the_same_again(archive: Archive):
    """A verdict is of what is there: a file from a backup ends it."""
    before = {path: archive.path(path).read_bytes() for path in (ONE, TWO, THREE)}
    edit(archive.path(ONE))
    rot(archive.path(TWO))
    archive.path(THREE).unlink()
    assert len(archive.told()) == 3
    for path, data in before.items():
        archive.path(path).write_bytes(data)
    assert archive.told() == {}


def test_a_touched_file_is_the_same(archive: Archive):
    """A new time alone is no change; and what rots after it is still found as rot."""
    os.utime(archive.path(ONE), (1, 1))
    assert archive.told() == {}
    rot(archive.path(ONE))
    assert archive.told() == {ONE: "rot"}


def test_a_cut_file_whose_time_is_the_same_is_rot(archive: Archive):
    keeping_time(archive.path(ONE), lambda: os.truncate(archive.path(ONE), 9000))
    (finding,) = archive.verify().findings
    assert finding.verdict is Verdict.ROT
    assert "9000" in str(finding.reason)


def test_a_tagger_that_keeps_the_time_is_no_rot(archive: Archive):
    """The audio is the same: somebody wrote tags. What FLAC says of its audio is no proof."""
    song, flac = archive.path(ONE), archive.path(FLAC_SONG)

    def retag() -> None:
        tags = EasyID3(song)
        tags["title"] = "Another"
        tags.save(song)

    keeping_time(song, retag)
    keeping_time(flac, lambda: FLAC(flac).save(padding=lambda info: 5000))
    found = {finding.path: finding for finding in archive.verify().findings}
    assert found[ONE].verdict is Verdict.CHANGED
    assert found[FLAC_SONG].verdict is Verdict.ROT
    assert "tagger" in str(found[FLAC_SONG].reason)


@pytest.mark.parametrize("scope", [ALBUM, "Artist", ONE])
def test_what_is_accepted_is_right_from_now_on(archive: Archive, scope: str):
    """Only what is in the scope; the rest keeps its verdict."""
    edit(archive.path(ONE))
    rot(archive.path(FLAC_SONG))
    archive.path(TWO).unlink()
    archive.verify()
    accepted = archive.verify(scope, accept=True)
    assert accepted.accepted == ((ONE,) if scope == ONE else (ONE, TWO))
    assert accepted.is_well
    left = {FLAC_SONG: "rot", **({TWO: "lost"} if scope == ONE else {})}
    assert archive.told() == left
    rot(archive.path(ONE))
    assert archive.told() == {ONE: "rot", **left}


def test_a_moved_file_is_known_since_before(archive: Archive):
    """Its entry goes with it, with the time and the task; a copy is unknown."""
    before = archive.ledger.entries()[ONE]
    moved, copy = f"{OTHER}/02 Song.mp3", f"{OTHER}/03 Copy.mp3"
    archive.path(ONE).rename(archive.path(moved))
    archive.path(copy).write_bytes(archive.path(TWO).read_bytes())
    found = {finding.path: finding for finding in archive.verify().findings}
    assert (found[moved].verdict, found[moved].former) == (Verdict.MOVED, ONE)
    assert found[copy].verdict is Verdict.UNKNOWN
    after = archive.ledger.entries()
    assert ONE not in after
    assert after[moved].time == before.time
    assert archive.told() == {}


def test_a_lost_file_whose_bytes_are_elsewhere_says_where(archive: Archive):
    archive.path(ONE).write_bytes(archive.path(TWO).read_bytes())
    archive.verify(ALBUM, accept=True)
    archive.path(ONE).unlink()
    (finding,) = archive.verify().findings
    assert (finding.path, finding.reason) == (ONE, f"the same bytes are at {TWO}")


def test_an_unreadable_file_is_one_finding(archive: Archive):
    """A link in its place, a directory in its place: the others are verified."""
    archive.path(ONE).unlink()
    archive.path(ONE).symlink_to("/etc/passwd")
    archive.path(TWO).unlink()
    archive.path(TWO).mkdir()
    assert archive.told() == {ONE: "unreadable", TWO: "lost"}


def test_a_name_that_is_no_utf8_is_told_and_not_taken_down(archive: Archive):
    name = os.fsdecode(b"caf\xe9.mp3")
    archive.path(f"{ALBUM}/{name}").write_bytes(b"x")
    assert archive.told() == {f"{ALBUM}/caf\\xe9.mp3": "unreadable"}
    assert archive.verify().complete


def test_an_unmounted_music_directory_loses_nothing(archive: Archive):
    """Neither an empty one nor a missing one makes a library lost."""
    away = archive.root / "away"
    archive.music.root.rename(away)
    with pytest.raises(MusicDirectoryUnusable):
        archive.verify()
    archive.music.root.mkdir()
    (archive.music.root / "lost+found").mkdir()
    with pytest.raises(MusicDirectoryUnusable, match="mounted"):
        archive.verify()
    archive.music.root.joinpath("lost+found").rmdir()
    archive.music.root.rmdir()
    away.rename(archive.music.root)
    assert archive.told() == {}


def test_a_music_directory_that_goes_in_the_middle_loses_nothing(archive: Archive):
    away = archive.root / "away"

    def unmount(done: int, total: int, path: str) -> None:
        if done == 2 and not away.exists():
            archive.music.root.rename(away)
            archive.music.root.mkdir()

    with pytest.raises(MusicDirectoryUnusable):
        archive.verify(progress=unmount)
    archive.music.root.rmdir()
    away.rename(archive.music.root)
    assert archive.told() == {}


class Stop(Exception):
    pass


@pytest.mark.parametrize("scope", ["", ALBUM])
def test_it_goes_on_where_it_was_stopped(archive: Archive, scope: str):
    """What was read is not read again, and what was found is told again at the end."""
    rot(archive.path(ONE))
    read: list[str] = []

    def stop_at_third(done: int, total: int, path: str) -> None:
        if done == 2:
            raise Stop
        read.append(path)

    with pytest.raises(Stop):
        archive.verify(scope, progress=stop_at_third)
    first = set(read)
    assert len(first) == 2
    read.clear()
    found = archive.verify(scope, progress=lambda done, total, path: read.append(path))
    assert not first & set(read)
    assert first | set(read) == set(SONGS if scope else [*SONGS, FLAC_SONG])
    assert [finding.path for finding in found.findings] == [ONE]
    assert found.complete
    read.clear()
    archive.verify(scope, progress=lambda done, total, path: read.append(path))
    assert first < set(read)


def test_runs_with_a_budget_get_round(archive: Archive, monkeypatch: pytest.MonkeyPatch):
    """Each reads a part, those first whose last reading is longest ago, till all are done."""
    clock = iter(range(10_000))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    read: list[str] = []
    runs = []
    for _ in range(20):
        found = archive.verify(budget_s=3, progress=lambda done, total, path: read.append(path))
        runs.append(found)
        if found.complete:
            break
    assert len(runs) > 1
    assert [found.complete for found in runs] == [False] * (len(runs) - 1) + [True]
    assert sum(found.read for found in runs) == runs[-1].done == 5
    assert set(read) == {*SONGS, FLAC_SONG}


def test_a_file_that_is_written_to_meanwhile_is_told(archive: Archive):
    """Half of the old and half of the new is neither."""

    def write(done: int, total: int, path: str) -> None:
        calls.append(path)
        if len(calls) == 2:  # the first call comes before it is opened
            with archive.path(path).open("ab") as file:
                file.write(b"x")

    calls: list[str] = []
    found = archive.verify(ONE, progress=write)
    assert [str(finding.verdict) for finding in found.findings] == ["unreadable"]


def test_a_ledger_begun_anew_knows_since_when(archive: Archive):
    """Damage, too, is forgotten then; what is there is known from now on."""
    rot(archive.path(ONE))
    began = archive.ledger.since()
    assert began is not None
    archive.ledger.make_anew()
    found = archive.verify()
    assert found.since > began
    assert {f.verdict for f in found.findings} == {Verdict.UNKNOWN}
    assert archive.told() == {}


_TORN = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("pragma cache_size = 1")
connection.execute("begin immediate")
connection.execute("update files set sha256 = 'torn'")
connection.execute("pragma cache_spill = 1")
connection.execute("update files set reason = hex(randomblob(2000))")
os._exit(0)
"""


def test_begun_anew_and_stopped_in_the_middle(archive: Archive, monkeypatch: pytest.MonkeyPatch):
    """What a killed writer left half done is never taken for what was known."""
    archive.verify()
    before = archive.ledger.entries()
    subprocess.run([sys.executable, "-c", _TORN, archive.ledger.path], check=True)
    assert Path(f"{archive.ledger.path}-journal").stat().st_size
    remove = Directory.remove

    def once(self: Directory, path: str) -> None:
        if archive.ledger.path.parent.joinpath(path).exists():
            remove(self, path)
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Directory, "remove", once)
        with pytest.raises(KeyboardInterrupt):
            archive.ledger.make_anew()
    assert archive.ledger.entries() in ({}, before)
    archive.ledger.make_anew()
    assert archive.ledger.entries() == {}
    assert archive.verify().complete


def test_a_damaged_ledger_is_not_believed_and_not_deleted(archive: Archive):
    """It says what to do; nothing happens to it until that is done."""
    archive.ledger.path.write_bytes(b"\xa5" * 8192)
    with pytest.raises(LedgerUnusable, match="--anew"):
        archive.verify()
    assert archive.ledger.path.read_bytes() == b"\xa5" * 8192
    archive.ledger.make_anew()
    assert set(archive.told().values()) == {"unknown"}


def test_a_ledger_of_a_later_version_is_left_alone(archive: Archive):
    with closing(sqlite3.connect(archive.ledger.path)) as connection:
        connection.execute("pragma user_version = 99")
    with pytest.raises(LedgerUnusable, match="version 99"):
        archive.verify()


def test_a_locked_ledger_is_an_error_and_not_a_wait(archive: Archive):
    with closing(sqlite3.connect(archive.ledger.path)) as connection:
        connection.execute("begin exclusive")
        with pytest.raises(LedgerUnusable, match="locked"):
            archive.verify()


def test_a_missing_ledger_is_empty(tmp_path: Path):
    ledger = Ledger(tmp_path / "ledger.db")
    assert ledger.since() is None
    assert ledger.entries() == {}
    assert ledger.with_bytes("0" * 40, 1) == []
    assert not ledger.path.exists()


def test_nothing_at_a_path_is_an_error(archive: Archive):
    with pytest.raises(InvalidPath, match="Nobody"):
        archive.verify("Nobody")


def test_a_scope_is_a_path_and_not_a_prefix(archive: Archive):
    """`Artist` is not `Artist 2`, and `100%` means a percent sign."""
    archive.put(
        "Artist 2/2020 - Album/01 Song.mp3", "100%/2020 - A/01 S.mp3", "1000/2020 - A/01 S.mp3"
    )
    archive.verify()
    assert set(archive.ledger.entries("Artist")) == set(SONGS)
    assert set(archive.ledger.entries("100%")) == {"100%/2020 - A/01 S.mp3"}
    assert archive.verify("Artist").total == 4


def test_what_was_read_is_taken_down_now_and_then(archive: Archive, monkeypatch):
    """So that a kill loses little: in the middle, the ledger has the first verdicts."""
    monkeypatch.setattr(verifying, "_FLUSH_FILES", 1)
    rot(archive.path(ONE))
    seen = []

    def look(done: int, total: int, path: str) -> None:
        seen.append(sum(e.verdict is Verdict.ROT for e in archive.ledger.entries().values()))

    verify(archive.music, archive.ledger, progress=look)
    assert seen[0] == 0
    assert seen[-1] == 1
