"""The audio of a song alone: the same whatever a tagger writes, and another for other music."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

import pytest
from audiokit import KINDS, WAYS, make_song, songs, without_md5
from musictasks.library import digests_of, sample_album
from musictasks.library.audio import find_audio

COUNT = pytest.mark.parametrize("count", [20, pytest.param(200, marks=pytest.mark.long)])


def audio(path: Path) -> str | None:
    with path.open("rb") as file:
        return digests_of(file, path.name, sha1=False, sha256=False).audio


@COUNT
@pytest.mark.parametrize("kind", KINDS)
def test_retagged_songs_are_recognised_and_no_others_are(kind: str, count: int, tmp_path: Path):
    """In each of ten ways, one after the other, every one; every other song has other audio."""
    mine = songs(tmp_path / "mine", kind, range(count))
    if kind == "flac":
        for song in mine[::4]:
            without_md5(song)
    before = {song: audio(song) for song in mine}
    others = {audio(song) for song in songs(tmp_path / "others", kind, range(-count, 0))}
    assert None not in before.values()
    assert len({*before.values(), *others}) == 2 * count
    seen = {song: {hashlib.sha256(song.read_bytes()).digest()} for song in mine}
    for number in range(10):
        for place, song in enumerate(mine):
            WAYS[kind][(place + number) % 10](song)
            seen[song].add(hashlib.sha256(song.read_bytes()).digest())
            assert audio(song) == before[song], (song, (place + number) % 10)
    # The ways do change the files.
    assert all(len(contents) > 5 for contents in seen.values())


@pytest.mark.parametrize("md5", [bytes(16), hashlib.md5(b"").digest()])
def test_an_md5_of_nothing_tells_nothing(md5: bytes, tmp_path: Path):
    """Many encoders leave it: two such songs are not one."""
    found = set()
    for seed in ("one", "other"):
        song = make_song(tmp_path / f"{seed}.flac", seed)
        told = audio(song)
        data = bytearray(song.read_bytes())
        data[26:42] = md5
        song.write_bytes(data)
        found |= {told, audio(song)}
    assert len(found) == 4


def test_all_is_found_in_one_reading(tmp_path: Path):
    """SHA-1, SHA-256 and audio, of a file of several blocks, with tags before and behind it."""
    song = make_song(tmp_path / "song.mp3", 1)
    body = song.read_bytes() * 3000
    song.write_bytes(body)
    WAYS["mp3"][9](song)
    reads = []

    class Counting(io.BytesIO):
        def readinto(self, buffer, /):  # pyright: ignore[reportIncompatibleMethodOverride]
            reads.append(self.tell())
            return super().readinto(buffer)

    found = digests_of(Counting(song.read_bytes()), song.name)
    assert found.sha1 == hashlib.sha1(song.read_bytes()).hexdigest()
    assert found.sha256 == hashlib.sha256(song.read_bytes()).hexdigest()
    assert found.size_bytes == song.stat().st_size
    assert reads == sorted(set(reads))
    assert len(reads) > 2


@pytest.mark.parametrize("kind", [*KINDS, "mp4", "txt", ""])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 10,
        b"fLaC",
        b"fLaC\0\0\0\x22",
        b"ID3\4\0\x10\x7f\x7f\x7f\x7f",
        b"APETAGEX" + b"\xff" * 24,
        b"x" * 200 + b"APETAGEX" + b"\xff" * 24,
        b"999999LYRICS200",
        b"TAG" + b"\0" * 125,
        b"\0\0\0\1mdat" + b"\xff" * 8,
        b"\0\0\0\4mdat",
        b"\0\0\0\0mdat",
        b"\xff\xff\xff\xffmdat",
    ],
)
def test_what_is_broken_has_audio_within_it_or_none(kind: str, data: bytes):
    """No read outside the file, no endless one, no error."""
    found = find_audio(io.BytesIO(data), f"song.{kind}")
    for first, last in () if found is None else found.ranges:
        assert 0 <= first < last <= len(data)


@pytest.mark.parametrize(
    "name", ["01 Morgenroete.flac", "02 Ebbe-Flut.mp3", "03 Nacht - Reprise.m4a"]
)
def test_cut_at_any_byte(name: str):
    data = (sample_album() / name).read_bytes()
    for length in range(0, len(data), max(1, len(data) // 200)):
        found = find_audio(io.BytesIO(data[:length]), name)
        for first, last in () if found is None else found.ranges:
            assert 0 <= first < last <= length, os.fspath(name)
