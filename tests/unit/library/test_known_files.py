"""What was found in files at an earlier run: believed only where they look just as they did."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from attrs import evolve
from musictasks.library import FileIdentity, KnownFile, KnownFiles, SongTags

SHA1 = "0123456789abcdef0123456789abcdef01234567"
TAGS = SongTags(
    title="Ö", number=3, playtime_s=7, bitrate=96_000, mime_type="audio/mpeg", has_picture=True
)
LONG_AGO_NS = 1_600_000_000_000_000_000
LOOK = FileIdentity(2**64 - 1, 2**63, 1000, LONG_AGO_NS, LONG_AGO_NS)
SONG = Path(os.fsdecode(b"/music/caf\xe9.mp3"))


def keep(path: Path, identity: FileIdentity = LOOK, tags: SongTags | None = TAGS) -> None:
    known = KnownFiles(path)
    known.note(SONG, KnownFile(identity, SHA1, tags), time.time_ns())
    known.save()


def found(path: Path, identity: FileIdentity = LOOK) -> KnownFile | None:
    known = KnownFiles(path)
    known.load({SONG: identity})
    return known.find(SONG, identity)


@pytest.mark.parametrize("tags", [TAGS, None])
def test_what_was_kept_is_found(tmp_path: Path, tags: SongTags | None):
    """By path, whatever bytes are in it; a song's tags also by its SHA-1."""
    cache = tmp_path / "known.db"
    keep(cache, tags=tags)
    assert found(cache) == KnownFile(LOOK, SHA1, tags)
    by_sha1 = KnownFiles(cache).tags([SHA1, "f" * 40])
    assert by_sha1 == ({} if tags is None else {SHA1: TAGS})
    assert all(one.has_picture for one in by_sha1.values())


@pytest.mark.parametrize("part", FileIdentity._fields)
def test_a_file_that_looks_other_is_not_known(tmp_path: Path, part: str):
    cache = tmp_path / "known.db"
    keep(cache)
    assert found(cache, LOOK._replace(**{part: getattr(LOOK, part) - 1})) is None


@pytest.mark.parametrize("part", ["mtime_ns", "ctime_ns"])
def test_a_file_that_was_changed_just_now_is_not_kept(tmp_path: Path, part: str):
    """It could be changed once more, and look the same."""
    cache = tmp_path / "known.db"
    now_ns = time.time_ns()
    keep(cache, LOOK._replace(**{part: now_ns - 1_900_000_000}))
    assert not cache.exists()
    keep(cache, LOOK._replace(**{part: now_ns - 2_500_000_000}))
    assert cache.exists()


def test_nothing_is_made_by_a_look(tmp_path: Path):
    cache = tmp_path / "none" / "known.db"
    assert found(cache) is None
    assert KnownFiles(cache).tags([SHA1]) == {}
    assert not cache.parent.exists()


def test_a_damaged_file_is_made_again(tmp_path: Path):
    cache = tmp_path / "known.db"
    cache.write_bytes(b"no database" * 1000)
    assert found(cache) is None
    keep(cache)
    assert found(cache) == KnownFile(LOOK, SHA1, TAGS)


@pytest.mark.parametrize(
    "damage",
    [
        "update files set sha1 = 'none'",
        "update files set tags = '{'",
        """update files set tags = '{"unknown": 1}'""",
        "update rules set rules = 'those of another version'",
    ],
)
def test_what_another_program_kept_is_not_believed(tmp_path: Path, damage: str):
    """Another version may read tags otherwise."""
    cache = tmp_path / "known.db"
    keep(cache)
    with closing(sqlite3.connect(cache)) as connection, connection:
        connection.execute(damage)
    assert found(cache) is None


def test_a_song_with_very_long_lyrics_is_not_kept(tmp_path: Path):
    """The file shall stay small; it is read again."""
    cache = tmp_path / "known.db"
    keep(cache, tags=evolve(TAGS, lyrics="la " * 3000))
    assert found(cache) is None
