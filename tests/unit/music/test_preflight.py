"""The question before an upload: send, go on, is there, refused."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from archivekit import make_tar
from attrs import evolve
from musictasks.errors import EngineClosed, UploadRefused
from musictasks.files import Directory
from musictasks.library import sample_album, verify
from musictasks.music import (
    Answer,
    MusicEngine,
    Preflight,
    Settings,
    ledger,
    music_directory,
    open_library,
)
from verifykit import edit, rot

ALBUM = "Artist/2020 - Album"
SONG = (sample_album() / "02 Ebbe-Flut.mp3").read_bytes()
BOOKLET = (sample_album() / "booklet.pdf").read_bytes()
PLACE = f"{ALBUM}/01 Song.mp3"
SEND = Preflight(answer=Answer.SEND)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[MusicEngine]:
    settings = Settings.in_directory(tmp_path, artwork_scales=(16,), durability="none")
    with open_library(settings) as engine:
        yield engine


def ask(engine: MusicEngine, data: bytes, content_type: str = "albumfile") -> Preflight:
    checksum = hashlib.sha1(data).hexdigest()
    return engine.preflight(content_type=content_type, checksum=checksum, file_size=len(data))


def begin(engine: MusicEngine, data: bytes, name: str, content_type: str = "albumfile") -> str:
    return engine.begin_upload(
        content_type=content_type,
        file_size=len(data),
        checksum=hashlib.sha1(data).hexdigest(),
        source_filename=name,
    ).id


def place(engine: MusicEngine, data: bytes, name: str, target: str, kind: str = "albumfile"):
    task_id = begin(engine, data, name, kind)
    engine.receive_chunk(task_id, data)
    engine.wait(task_id, "readyforintegration", 10)
    engine.integrate(task_id, target)
    # Nothing was to be imported: the task goes by itself.
    engine.wait(task_id, "notexisting", 10)


def test_what_nobody_has_is_sent(engine: MusicEngine):
    assert ask(engine, SONG) == SEND
    assert engine.preflight(content_type="album", checksum=None, file_size=1) == SEND


def test_what_a_task_has_in_part_goes_on(engine: MusicEngine):
    """At the byte that is missing; and with none missing, when it has all."""
    task_id = begin(engine, SONG, "song.mp3")
    engine.receive_chunk(task_id, SONG[:1000])
    go_on = Preflight(answer=Answer.GO_ON, task_id=task_id, offset=1000)
    assert ask(engine, SONG) == go_on
    engine.receive_chunk(task_id, SONG[1000:], offset=1000)
    engine.wait(task_id, "readyforintegration", 10)
    assert ask(engine, SONG) == evolve(go_on, offset=len(SONG))


def test_what_is_in_the_library_is_there(engine: MusicEngine):
    """By its bytes, whatever it is called, also when its task is gone and the engine a new one."""
    place(engine, SONG, "song.mp3", PLACE)
    there = Preflight(answer=Answer.THERE, path=PLACE)
    assert ask(engine, SONG) == there
    engine.close()
    with open_library(engine.settings) as again:
        assert ask(again, SONG) == there


def test_an_archive_and_each_song_of_it_are_there(engine: MusicEngine):
    """As long as all of its files are; each song by itself."""
    archive = make_tar({"Album/01 Song.mp3": SONG, "Album/booklet.pdf": BOOKLET})
    place(engine, archive, "album.tar", ALBUM, "album")
    assert ask(engine, archive, "album") == Preflight(answer=Answer.THERE, path=ALBUM)
    (song,) = (path.name for path in (engine.settings.music / ALBUM).glob("*.mp3"))
    there = Preflight(answer=Answer.THERE, path=f"{ALBUM}/{song}")
    assert ask(engine, SONG) == there
    (engine.settings.music / ALBUM / "booklet.pdf").unlink()
    assert ask(engine, archive, "album") == SEND
    assert ask(engine, SONG) == there


@pytest.mark.parametrize("change", [Path.unlink, edit, lambda path: os.truncate(path, 9)])
def test_a_ledger_that_is_behind_is_not_believed(engine: MusicEngine, change):
    """A file that is gone, or looks other than it did, is sent."""
    place(engine, SONG, "song.mp3", PLACE)
    change(engine.settings.music / PLACE)
    assert ask(engine, SONG) == SEND


def test_a_file_that_was_found_rotten_is_sent(engine: MusicEngine):
    place(engine, SONG, "song.mp3", PLACE)
    rot(engine.settings.music / PLACE)
    verify(music_directory(engine.settings), ledger(engine.settings))
    assert ask(engine, SONG) == SEND


@pytest.mark.parametrize(
    ("content_type", "checksum", "size", "reason"),
    [
        ("albumfile", "x", 1, "not a valid SHA-1"),
        ("albumfile", "0" * 40, 0, "no content"),
        ("albumfile", "0" * 40, 5 * 1024**3, "maxuploadsize"),
        ("film", "0" * 40, 1, "not allowed"),
    ],
)
def test_what_is_refused(
    engine: MusicEngine, content_type: str, checksum: str, size: int, reason: str
):
    """For the reason for which the upload would be."""
    asked = {"content_type": content_type, "checksum": checksum, "file_size": size}
    found = engine.preflight(**asked)
    assert found.answer is Answer.REFUSED
    assert reason in str(found.reason)
    with pytest.raises(UploadRefused, match=reason):
        engine.begin_upload(**asked)


def test_what_is_refused_by_its_name(engine: MusicEngine):
    """As the upload would be; where the bytes are in the library already, the name is no matter."""
    refused = engine.preflight(
        content_type="albumfile", checksum=None, file_size=1, source_filename="song.opus"
    )
    assert refused.answer is Answer.REFUSED
    assert "[tasks] audioformats" in str(refused.reason)
    with pytest.raises(UploadRefused, match="audioformats"):
        begin(engine, SONG, "song.opus")
    assert engine.tasks() == []
    place(engine, SONG, "song.mp3", PLACE)
    checksum = hashlib.sha1(SONG).hexdigest()
    there = engine.preflight(
        content_type="albumfile",
        checksum=checksum,
        file_size=len(SONG),
        source_filename="song.opus",
    )
    assert there.answer is Answer.THERE


def test_another_size_under_the_same_checksum_is_refused(engine: MusicEngine):
    task_id = begin(engine, SONG, "song.mp3")
    checksum = hashlib.sha1(SONG).hexdigest().upper()
    found = engine.preflight(content_type="albumfile", checksum=checksum, file_size=7)
    assert (found.answer, found.task_id) == (Answer.REFUSED, task_id)


def test_a_failed_task_with_the_bytes_is_named(engine: MusicEngine):
    """As it is by the upload: somebody has to retry it or to remove it."""
    (engine.settings.music / ALBUM).mkdir(parents=True)
    (engine.settings.music / PLACE).write_bytes(b"other")
    task_id = begin(engine, SONG, "song.mp3")
    engine.receive_chunk(task_id, SONG)
    engine.wait(task_id, "readyforintegration", 10)
    engine.integrate(task_id, PLACE)
    engine.wait(task_id, "integrationfailed", 10)
    found = ask(engine, SONG)
    assert (found.answer, found.task_id) == (Answer.REFUSED, task_id)
    with pytest.raises(UploadRefused) as refused:
        begin(engine, SONG, "song.mp3")
    assert refused.value.task_id == task_id


def test_no_file_is_read_and_it_takes_no_time(engine: MusicEngine, monkeypatch):
    place(engine, SONG, "song.mp3", PLACE)
    monkeypatch.setattr(Directory, "open", None)
    times = []
    for _ in range(50):
        begun = time.perf_counter()
        assert ask(engine, SONG).answer is Answer.THERE
        times.append(time.perf_counter() - begun)
    assert sorted(times)[len(times) // 4] < 0.001


def test_a_damaged_ledger_is_no_help_and_no_harm(engine: MusicEngine):
    engine.settings.ledger.write_bytes(b"\xa5" * 8192)
    assert ask(engine, SONG) == SEND


def test_a_closed_engine_has_nothing_open(engine: MusicEngine):
    """The connections that its questions kept are closed with it."""
    assert ask(engine, SONG) == SEND

    def is_open() -> bool:
        links = (link for link in Path("/proc/self/fd").iterdir() if link.is_symlink())
        return str(engine.settings.ledger) in {str(link.readlink()) for link in links}

    assert is_open()
    engine.close()
    assert not is_open()


def test_wrong_types_and_a_closed_engine(engine: MusicEngine):
    with pytest.raises(TypeError):
        engine.preflight(content_type="albumfile", checksum=None, file_size="1")  # pyright: ignore[reportArgumentType]
    engine.close()
    with pytest.raises(EngineClosed):
        ask(engine, SONG)
