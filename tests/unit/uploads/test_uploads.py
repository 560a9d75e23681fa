"""Uploads of any lifecycle with an upload state, announced with a checksum or without one."""

from __future__ import annotations

import errno
import hashlib
import json
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from attrs import evolve
from musictasks.engine import CHUNK_REQUEST, Engine, EngineSettings, open_engine, read_tasks
from musictasks.errors import (
    ChunkRefused,
    LifecycleError,
    TaskNotFound,
    TaskNotSaved,
    UploadRefused,
)
from musictasks.files import Effects, upload_marks, using
from musictasks.statemachine import Edge, Lifecycle, Role, Sender, StateSpec, UploadTask
from musictasks.testing import FaultInjector, Recorder, Struck
from musictasks.uploads import Uploads, extension_of, measured
from papers import HANDLERS, PAPERS, open_papers

DATA = b"some pages"
SHA1 = hashlib.sha1(DATA).hexdigest()


@pytest.fixture
def settings(tmp_path: Path) -> EngineSettings:
    return EngineSettings(
        tasks=tmp_path / "tasks", uploads=tmp_path / "uploads", durability="none", workers=2
    )


def files(settings: EngineSettings) -> set[str]:
    found = settings.uploads.rglob("*")
    return {str(path.relative_to(settings.uploads)) for path in found if path.is_file()}


def stored(settings: EngineSettings, task_id: str) -> dict[str, Any]:
    return json.loads((settings.tasks / f"{task_id}.json").read_text())


# -- without an announced checksum --------------------------------------------------------------


def test_the_measured_checksum_becomes_the_records(settings: EngineSettings):
    """Any bytes are right where none were announced; the guard sees what came."""
    engine, uploads = open_papers(settings)
    with engine:
        task = uploads.begin(file_size=len(DATA), source_filename="Scan.TXT")
        assert task.source_checksum is None
        assert task.upload_path == f"{task.id}/upload-{task.id}.txt"
        done = uploads.receive(task.id, DATA)
        assert done.source_checksum == SHA1
        assert done.upload_path == f"{task.id}/upload-{SHA1}.txt"
        engine.wait(task.id, "review", timeout=30)
        assert stored(settings, task.id)["sourcechecksum"] == SHA1
        assert files(settings) == {done.upload_path, f"{task.id}/text.txt"}


def test_it_goes_on_after_a_restart(settings: EngineSettings):
    """At the byte that is on the disk, under the name it came in with."""
    engine, uploads = open_papers(settings)
    with engine:
        task = uploads.begin(file_size=len(DATA))
        uploads.receive(task.id, DATA[:4])
    engine, uploads = open_papers(settings)
    with engine:
        assert engine.get(task.id).offset == 4
        uploads.receive(task.id, DATA[4:], offset=4)
        assert engine.wait(task.id, "review", timeout=30).source_checksum == SHA1


def test_it_is_looked_after_by_one_that_is_made_after_the_start(settings: EngineSettings):
    """Asked for its next chunk, and ended if all of it is there; each of them once."""
    engine, uploads = open_papers(settings)
    whole, half = (uploads.begin(file_size=len(DATA), task_id=name) for name in ("whole", "half"))
    engine.close()
    for task, data in ((whole, DATA), (half, DATA[:4])):
        (settings.uploads / task.id).mkdir()
        (settings.uploads / task.upload_path).write_bytes(data)
    with open_engine(settings, PAPERS, handlers=HANDLERS) as engine:
        recorder = Recorder(engine)
        uploads = Uploads(engine)
        engine.wait(whole.id, "review", timeout=30)
        recorder.wait_for(lambda seen: seen.of(half.id))
        uploads.receive(half.id, DATA[4:])
        engine.wait(half.id, "review", timeout=30)
    asked = [status["offset"] for name, status in recorder.of(half.id) if name == CHUNK_REQUEST]
    assert asked == [4]


def test_one_that_was_complete_before_the_cut_ends_by_itself(settings: EngineSettings):
    """All bytes were there, the event was not saved; also if the second name was made already."""
    for number, with_name in enumerate((False, True)):
        engine, uploads = open_papers(settings)
        task = uploads.begin(file_size=len(DATA), task_id=f"paper-{number}")
        engine.close()
        directory = settings.uploads / task.id
        directory.mkdir()
        (directory / f"upload-{task.id}").write_bytes(DATA)
        if with_name:
            (directory / f"upload-{SHA1}").hardlink_to(directory / f"upload-{task.id}")
        engine, uploads = open_papers(settings)
        with engine:
            done = engine.wait(task.id, "review", timeout=30)
            assert done.upload_path == f"{task.id}/upload-{SHA1}"
            assert files(settings) >= {done.upload_path}
            assert f"{task.id}/upload-{task.id}" not in files(settings)
            engine.discard(task.id)


def test_a_disk_without_hard_links_keeps_the_first_name(settings: EngineSettings):
    """The checksum is known all the same."""

    class NoLinks(Effects):
        def link(self, src: str, dst: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
            raise PermissionError(1, "Operation not permitted")

    engine, uploads = open_papers(settings)
    with engine, using(NoLinks()):
        task = uploads.begin(file_size=len(DATA))
        uploads.receive(task.id, DATA)
        done = engine.wait(task.id, "review", timeout=30)
        assert done.source_checksum == SHA1
        assert done.upload_path == task.upload_path
        assert done.pages == len(DATA)


def test_a_completion_that_failed_twice_ends_all_the_same(tmp_path: Path):
    """After the second name was made the save failed, then an fsync: a new file has the bytes."""
    settings = EngineSettings(tasks=tmp_path / "tasks", uploads=tmp_path / "uploads")
    engine, uploads = open_papers(settings)
    with engine:
        task = uploads.begin(file_size=len(DATA))
        uploads.receive(task.id, DATA[:4])
        faults = FaultInjector()
        with faults.active():
            faults.refuse("exchange")
            with pytest.raises(TaskNotSaved):
                uploads.receive(task.id, DATA[4:], offset=4)
            assert {path.name for path in (settings.uploads / task.id).iterdir()} == {
                f"upload-{task.id}",
                f"upload-{SHA1}",
            }
            faults.refuse("fsync")
            with pytest.raises(ChunkRefused):
                uploads.receive(task.id, DATA[4:], offset=4)
        uploads.receive(task.id, DATA[4:], offset=4)
        done = engine.wait(task.id, "review", timeout=30)
        assert (settings.uploads / done.upload_path).read_bytes() == DATA
        assert files(settings) == {done.upload_path, f"{task.id}/text.txt"}


def test_a_second_begin_without_a_checksum_goes_on(settings: EngineSettings):
    """The same id and size; with a checksum it is another upload."""
    engine, uploads = open_papers(settings)
    task = uploads.begin(file_size=len(DATA), task_id="paper")
    assert uploads.begin(file_size=len(DATA), task_id="paper") == task
    others: list[dict[str, Any]] = [
        {"file_size": 3},
        {"file_size": len(DATA), "checksum": SHA1},
    ]
    for other in others:
        with pytest.raises(UploadRefused, match="another upload") as caught:
            uploads.begin(task_id="paper", **other)
        assert caught.value.task_id == "paper"
    engine.close()


# -- with one -----------------------------------------------------------------------------------


def test_an_announced_checksum_decides(settings: EngineSettings):
    """Right: on; wrong: failed, with both in the message."""
    engine, uploads = open_papers(settings)
    with engine:
        right = uploads.begin(file_size=len(DATA), checksum=SHA1.upper())
        uploads.receive(right.id, DATA)
        assert engine.wait(right.id, "review", timeout=30).upload_name == f"upload-{SHA1}"
        wrong = uploads.begin(file_size=len(DATA), checksum="0" * 40)
        failed = uploads.receive(wrong.id, DATA)
        assert (failed.state, failed.source_checksum) == ("torn", "0" * 40)
        assert SHA1 in str(failed.message)


@pytest.mark.parametrize(
    ("announced", "reason"),
    [
        ({"file_size": 0}, "0 bytes"),
        ({"file_size": 11}, "more than the 10"),
        ({"checksum": "abc"}, "not a valid SHA-1"),
        ({"checksum": "a" * 39 + "\n"}, "not a valid SHA-1"),
        ({"source_filename": "../x"}, "slash|invalid path"),
        ({"task_id": "a/b"}, "not 1 to 64"),
        ({"task_id": ""}, "not 1 to 64"),
        ({"annotations": {"x": float("nan")}}, "NaN"),
        ({"unheard_of": 1}, "no field unheard_of"),
        ({"pages": "many"}, "expected int"),
    ],
)
def test_what_is_no_valid_announcement_is_refused(
    settings: EngineSettings, announced: dict[str, Any], reason: str
):
    """With the reason, and nothing is made."""
    engine, _ = open_papers(settings)
    uploads = Uploads(engine, max_size_bytes=10)
    with pytest.raises((UploadRefused, ValueError), match=reason):
        uploads.begin(**{"file_size": 10, **announced})
    assert engine.tasks() == []
    engine.close()


@pytest.mark.parametrize(
    "announced",
    [
        {"file_size": "10"},
        {"file_size": True},
        {"checksum": 1},
        {"source_filename": b"x"},
        {"task_id": 1},
    ],
)
def test_a_wrong_type_is_a_type_error(settings: EngineSettings, announced: dict[str, Any]):
    engine, uploads = open_papers(settings)
    with pytest.raises(TypeError):
        uploads.begin(**{"file_size": 10, **announced})
    with pytest.raises(TypeError):
        uploads.receive("x", "text")  # pyright: ignore[reportArgumentType]
    engine.close()


def test_a_chunk_that_does_not_fit_changes_nothing(settings: EngineSettings):
    """Wrong offset, too many bytes, not waiting: the error says where the upload goes on."""
    engine, uploads = open_papers(settings)
    with engine:
        task = uploads.begin(file_size=4)
        uploads.receive(task.id, b"ab")
        for data, offset in ((b"c", 1), (b"cde", 2)):
            with pytest.raises(ChunkRefused) as caught:
                uploads.receive(task.id, data, offset=offset)
            assert caught.value.offset == 2
        uploads.receive(task.id, b"cd")
        with pytest.raises(ChunkRefused, match="not waiting"):
            uploads.receive(task.id, b"e")


def test_each_chunk_is_answered_by_the_next_request(settings: EngineSettings):
    """Also an empty one, after a lost connection; `offset` says what is wanted."""
    engine, uploads = open_papers(settings)
    recorder = Recorder(engine)
    with engine:
        task = uploads.begin(file_size=4)
        for data in (b"ab", b"", b"cd"):
            uploads.receive(task.id, data)
        recorder.wait_for_state(task.id, "review")
    requests = [s["offset"] for name, s in recorder.of(task.id) if name == "ChunkRequest"]
    assert requests == [0, 2, 2]


# -- the offset in the task file ----------------------------------------------------------------


def test_the_offset_is_saved_at_a_clean_stop_and_with_every_other_save(settings: EngineSettings):
    """A chunk alone saves nothing; an annotation and the stop save what is known by then."""
    engine, uploads = open_papers(settings)
    with engine:
        task = uploads.begin(file_size=len(DATA))
        uploads.receive(task.id, DATA[:2])
        assert stored(settings, task.id)["offset"] == 0
        engine.annotate(task.id, {"seen": True})
        assert stored(settings, task.id)["offset"] == 2
        uploads.receive(task.id, DATA[2:5])
        assert stored(settings, task.id)["offset"] == 2
    assert stored(settings, task.id)["offset"] == 5


def test_who_only_reads_sees_the_true_offset(settings: EngineSettings):
    """Without an engine the size of the data is the offset, too."""
    engine, uploads = open_papers(settings)
    with engine:
        task = uploads.begin(file_size=len(DATA))
        uploads.receive(task.id, DATA[:2])
        (read,) = read_tasks(settings, PAPERS).tasks
        assert (read.offset, measured(read, settings, PAPERS).offset) == (0, 2)


# -- lifecycles that do not fit -----------------------------------------------------------------


def _without(lifecycle: Lifecycle, *events: str) -> Lifecycle:
    return evolve(
        lifecycle,
        free_edges=tuple(
            e
            for e in lifecycle.free_edges
            if (e.source, e.event) not in {("receiving", x) for x in events}
        ),
        draft=True,
    )


@pytest.mark.parametrize(
    ("lifecycle", "reason"),
    [
        (
            _without(PAPERS, "fail").with_edge(Edge(event="tear", source="review", target="torn")),
            "edge 'fail'",
        ),
        (_without(PAPERS, "page"), "internal, not stored edge"),
        (
            PAPERS.with_state(StateSpec("also", "post", Role.WAITING, takes_chunks=True)).with_edge(
                Edge(event="also", source="review", target="also")
            ),
            "one state that takes chunks",
        ),
        (
            PAPERS.with_edge(
                Edge(event="other_page", source="receiving", target="toread", sender=Sender.UPLOAD)
            ),
            "besides 'fail'",
        ),
    ],
)
def test_a_lifecycle_without_a_whole_way_for_uploads_is_refused(
    settings: EngineSettings, lifecycle: Lifecycle, reason: str
):
    """When `Uploads` is made, with what is missing."""
    engine: Engine[Any] = open_engine(settings, lifecycle, handlers=HANDLERS)
    with pytest.raises(LifecycleError, match=reason):
        Uploads(engine)
    engine.close()


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        ("a.FLAC", ".FLAC"),
        ("a", ""),
        (".hidden", ""),
        ("a.b c", ""),
        (None, ""),
        ("a.tar.gz", ".gz"),
    ],
)
def test_an_extension_is_what_can_stand_in_a_name(name: str | None, extension: str):
    assert extension_of(name) == extension


def test_the_record_tells_the_name_in_the_directory():
    assert UploadTask(id="a", state="x", upload_path="a/upload-1.txt").upload_name == "upload-1.txt"
    assert UploadTask(id="a", state="x").upload_name is None


def test_a_write_that_cannot_be_taken_back_is_cut_by_the_next(settings: EngineSettings):
    """The upload stands where it stood, although the file is longer."""

    class Broken(Effects):
        def write(self, fd: int, data: bytes | memoryview, offset: int) -> int:
            super().write(fd, data[:2], offset)
            raise OSError(5, "Input/output error")

        def truncate(self, fd: int, length: int) -> None:
            raise OSError(5, "Input/output error")

    engine, uploads = open_papers(settings)
    with engine:
        task = uploads.begin(file_size=len(DATA))
        uploads.receive(task.id, DATA[:4])
        with using(Broken()), pytest.raises(ChunkRefused) as caught:
            uploads.receive(task.id, b"?????")
        assert caught.value.offset == 4
        uploads.receive(task.id, DATA[4:], offset=4)
        assert engine.wait(task.id, "review", timeout=30).source_checksum == SHA1


# -- chunks that count as a whole, or not at all ------------------------------------------------


def test_a_chunk_may_come_in_several_pieces(settings: EngineSettings):
    """All or none of them; what is no bytes is refused before anything is written."""
    engine, uploads = open_papers(settings)
    with engine:
        task = uploads.begin(file_size=9)
        assert uploads.receive(task.id, [b"ab", b"", b"c"], offset=0).offset == 3
        wrong: Any = [b"de", "f"]
        with pytest.raises(TypeError):
            uploads.receive(task.id, wrong)
        with pytest.raises(ChunkRefused):
            uploads.receive(task.id, [b"defg", b"hijk"])
        with uploads.whole_chunk(task.id, offset=3) as chunk:
            with pytest.raises(TypeError):
                chunk.write(wrong)
            chunk.write([b"de", b"f"])
            assert chunk.size == 3
            chunk.write(b"ghi")
            done = chunk.accept()
        assert done.source_checksum == hashlib.sha1(b"abcdefghi").hexdigest()


def test_a_whole_chunk_counts_when_it_is_accepted(settings: EngineSettings):
    """Piece by piece; at the end of its block it is dropped otherwise."""
    engine, uploads = open_papers(settings)
    with engine:
        task = uploads.begin(file_size=len(DATA))
        uploads.receive(task.id, DATA[:2])
        with uploads.whole_chunk(task.id, offset=2) as chunk:
            chunk.write(DATA[2:5])
            assert engine.get(task.id).offset == 2
            assert measured(engine.get(task.id), settings, PAPERS).offset == 2
        assert (settings.uploads / task.upload_path).read_bytes() == DATA[:2]
        with uploads.whole_chunk(task.id) as chunk:
            chunk.write(DATA[2:5])
            chunk.write(DATA[5:])
            done = chunk.accept()
        assert done.source_checksum == SHA1
        engine.wait(task.id, "review", timeout=30)


def test_whatever_comes_meanwhile_takes_its_place(settings: EngineSettings):
    """A plain chunk, another whole one; the first one is told."""
    engine, uploads = open_papers(settings)
    with engine:
        task = uploads.begin(file_size=len(DATA))
        first = uploads.whole_chunk(task.id)
        first.write(b"xx")
        second = uploads.whole_chunk(task.id)
        for call in (lambda: first.write(b"x"), first.accept):
            with pytest.raises(ChunkRefused, match="another chunk"):
                call()
        first.take_back()
        second.write(b"yyy")
        uploads.receive(task.id, DATA[:4], offset=0)
        with pytest.raises(ChunkRefused, match="another chunk"):
            second.accept()
        uploads.receive(task.id, DATA[4:], offset=4)
        assert engine.wait(task.id, "review", timeout=30).source_checksum == SHA1


def test_a_whole_chunk_is_refused_as_any(settings: EngineSettings):
    """Another offset, more than announced, a task that is gone or does not wait."""
    engine, uploads = open_papers(settings)
    with engine:
        task = uploads.begin(file_size=4)
        with pytest.raises(ChunkRefused, match="begins at byte 1"):
            uploads.whole_chunk(task.id, offset=1)
        with uploads.whole_chunk(task.id) as chunk:
            chunk.write(b"abc")
            with pytest.raises(ChunkRefused, match="more than the announced"):
                chunk.write(b"de")
            engine.discard(task.id)
            for call in (lambda: chunk.write(b"d"), chunk.accept):
                with pytest.raises(TaskNotFound):
                    call()
        done = uploads.begin(file_size=4)
        uploads.receive(done.id, b"abcd")
        with pytest.raises(ChunkRefused, match="not waiting"):
            uploads.whole_chunk(done.id)


def test_half_of_a_whole_chunk_is_dropped_by_the_next_start(settings: EngineSettings):
    """The engine was closed, or killed, in the middle of it."""
    engine, uploads = open_papers(settings)
    with engine:
        task = uploads.begin(file_size=len(DATA))
        uploads.receive(task.id, DATA[:2])
        chunk = uploads.whole_chunk(task.id)
        chunk.write(DATA[2:])
    chunk.take_back()
    directory = settings.uploads / task.id
    assert sorted(path.name for path in directory.iterdir()) == [
        ".held-back-2",
        f"upload-{task.id}",
    ]
    engine, uploads = open_papers(settings)
    told: SimpleQueue[str] = SimpleQueue()
    engine.subscribe(lambda name, status: told.put(name))
    with engine:
        assert engine.get(task.id).offset == 2
        assert told.get(timeout=30) == "ChunkRequest"
        assert [path.read_bytes() for path in directory.iterdir()] == [DATA[:2]]
        uploads.receive(task.id, DATA[2:], offset=2)
        assert engine.wait(task.id, "review", timeout=30).source_checksum == SHA1


@pytest.mark.parametrize(("checksum", "counts"), [(None, 0), (SHA1, 4)])
def test_after_a_power_cut_bytes_of_an_unknown_checksum_come_again(
    settings: EngineSettings, monkeypatch: pytest.MonkeyPatch, checksum: str | None, counts: int
):
    """What was not durable may be torn, and only an announced checksum would tell."""
    settings = evolve(settings, durability="fsync")
    engine, uploads = open_papers(settings)
    with engine:
        task = uploads.begin(file_size=len(DATA), checksum=checksum)
        uploads.receive(task.id, DATA[:4])
    monkeypatch.setattr(upload_marks, "this_boot", lambda: "the-next")
    engine, uploads = open_papers(settings)
    with engine:
        assert engine.get(task.id).offset == counts
        uploads.receive(task.id, DATA[counts:], offset=counts)
        assert engine.wait(task.id, "review", timeout=30).source_checksum == SHA1


def test_a_disk_that_refuses_drops_a_whole_chunk(settings: EngineSettings):
    """At each effect; the next one comes in where the upload stands."""
    for at in range(1, 9):
        engine, uploads = open_papers(settings)
        with engine:
            task = uploads.begin(file_size=len(DATA))
            uploads.receive(task.id, DATA[:2])

            def send(task_id: str = task.id, uploads: Uploads = uploads) -> None:
                with uploads.whole_chunk(task_id, offset=2) as chunk:
                    chunk.write(DATA[2:5])
                    chunk.accept()

            with using(Struck(partial(fail_at, at))), suppress(ChunkRefused):
                send()
            if engine.get(task.id).offset == 2:
                send()
            assert engine.get(task.id).offset == 5
            uploads.receive(task.id, DATA[5:], offset=5)
            assert engine.wait(task.id, "review", timeout=30).source_checksum == SHA1


def fail_at(at: int, number: int, _name: str) -> None:
    if number == at:
        raise OSError(errno.ENOSPC, "No space left on device")
