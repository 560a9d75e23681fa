"""What the engine refuses, and that nothing is lost or made by it."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import evolve
from enginekit import begin, upload
from musictasks.errors import (
    ChunkRefused,
    DirectoryInUse,
    ExtraMissing,
    IllegalTransition,
    InvalidPath,
    LifecycleError,
    MusicTasksError,
    TaskNotFound,
    TransitionRefused,
    UploadRefused,
)
from musictasks.music import MusicEngine, Settings, open_library
from musictasks.statemachine import MUSIC, MusicTask, Stage, Work, succeed
from musictasks.testing import Recorder

Open = Callable[..., MusicEngine]

HOSTILE_NAMES = [
    "../escaped",
    "..",
    ".",
    "/absolute",
    "a/../../b",
    "nul\0byte",
    "line\nend",
    "back\\slash",
    "x" * 300,
    "\ud800",
    "",
]


def tree(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*")}


@pytest.fixture
def engine(opened: Open) -> Iterator[MusicEngine]:
    with opened() as engine:
        yield engine


@pytest.mark.parametrize("task_id", [*HOSTILE_NAMES, "a" * 65, "a_b", "a.json", "ä", "a\n", " a"])
def test_an_id_that_is_none_is_refused(engine: MusicEngine, tmp_path: Path, task_id: str):
    """Refused before a file is touched; nothing appears anywhere."""
    before = tree(tmp_path)
    with pytest.raises(UploadRefused, match="id"):
        begin(engine, task_id=task_id)
    for call in (engine.get, engine.remove, engine.retry, lambda i: engine.receive_chunk(i, b"x")):
        with pytest.raises(TaskNotFound):
            call(task_id)
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "checksum", [*HOSTILE_NAMES, "a" * 39, "a" * 41, "g" * 40, "a" * 40 + "\n", " " + "a" * 39]
)
def test_a_checksum_that_is_none_is_refused(engine: MusicEngine, tmp_path: Path, checksum: str):
    """40 hex digits, and nothing else."""
    before = tree(tmp_path)
    with pytest.raises(UploadRefused, match="checksum"):
        begin(engine, checksum=checksum)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_source_file_name_that_is_a_path_is_refused(
    engine: MusicEngine, tmp_path: Path, name: str
):
    """It gives the extension only, and is refused where it is no plain name."""
    before = tree(tmp_path)
    with pytest.raises(UploadRefused):
        begin(engine, source_filename=name)
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        ("Song.FLAC", ".flac"),
        ("Song", ""),
        ("a.b.mp3", ".mp3"),
        (".mp3", ""),
        ("x.ä", ""),
        (None, ""),
    ],
)
def test_uploaded_data_is_named_by_type_checksum_and_extension(
    engine: MusicEngine, name: str | None, extension: str
):
    """`{contenttype}-{checksum}.{extension}`, lower case, and no dot without an extension."""
    checksum = hashlib.sha1(b"some bytes").hexdigest()
    task = begin(engine, source_filename=name, checksum=checksum.upper())
    assert task.upload_path == f"{task.id}/albumfile-{checksum}{extension}"


@pytest.mark.parametrize(
    "target",
    [
        *HOSTILE_NAMES,
        "Artist/2020 - Album/../../../x.pdf",
        "Artist/2020 - Album/..",
        "/Artist/2020 - Album/x.pdf",
        "Artist/2020 - Album",
        "x.pdf",
        "Artist/Album/x.pdf",
        "Artist/2020 - Album/sub/x.pdf",
        "Artist/2020 - Album/song without a number.mp3",
        "Artist/2020 - Album/" + "x" * 256,
        "Artist/2020 - Album/.hidden",
        ".git/2020 - Album/x.pdf",
        "lost+found/2020 - Album/x.pdf",
        "Artist/2020 - Album/Thumbs.db",
        "Artist/2020 - Album/x\u202efdp.exe",
        "Artist/2020 - Album /x.pdf",
    ],
)
def test_a_target_that_is_none_is_refused(engine: MusicEngine, tmp_path: Path, target: str):
    """`InvalidPath` at once: the task stays where it is, and nothing appears."""
    task = upload(engine)
    ready = engine.wait(task.id, "readyforintegration", timeout=30)
    before = tree(tmp_path)
    with pytest.raises(InvalidPath):
        engine.integrate(task.id, target)
    assert engine.get(task.id) == ready
    assert tree(tmp_path) == before


def test_a_link_that_leads_out_of_the_music_directory_is_not_followed(
    settings: Settings, tmp_path: Path
):
    """With the real handlers: the integration fails, and nothing appears outside."""
    outside = tmp_path / "outside"
    outside.mkdir()
    with open_library(settings) as engine:
        (settings.music / "Artist").symlink_to(outside)
        task = upload(engine)
        engine.wait(task.id, "readyforintegration", timeout=30)
        engine.integrate(task.id, "Artist/2020 - Album/booklet.pdf")
        failed = engine.wait(task.id, "integrationfailed", timeout=30)
    assert "Artist" in str(failed.message)
    assert list(outside.iterdir()) == []


def test_an_upload_path_that_is_a_link_is_not_followed(
    opened: Open, settings: Settings, tmp_path: Path
):
    """Somebody put a link at the place of the data: the chunk is refused."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    with opened() as engine:
        task = begin(engine)
        engine.directory(task.id)
        (settings.uploads / str(task.upload_path)).symlink_to(victim)
        with pytest.raises(MusicTasksError):
            engine.receive_chunk(task.id, b"some bytes")
        assert engine.get(task.id).state == "waitforchunk"
    assert victim.read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"content_type": "any"}, "not allowed"),
        ({"content_type": "nonsense"}, "not allowed"),
        ({"file_size": 0}, "0 bytes"),
        ({"file_size": -1}, "-1 bytes"),
        ({"file_size": 1001}, "maxuploadsize"),
    ],
)
def test_an_upload_that_is_not_allowed_is_refused(
    opened: Open, settings: Settings, tmp_path: Path, options: dict, reason: str
):
    """The message says why; no task is made."""
    engine = opened(evolve(settings, max_upload_size_bytes=1000))
    before = tree(tmp_path)
    with pytest.raises(UploadRefused, match=reason):
        begin(engine, **options)
    assert engine.tasks() == []
    assert tree(tmp_path) == before


def test_videos_without_the_extra_are_refused(
    opened: Open, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    """At once, before a byte of them is sent; what to install is said."""
    monkeypatch.setitem(sys.modules, "av", None)
    engine = opened()
    with pytest.raises(UploadRefused, match=r"pip install 'musictasks\[video\]'"):
        begin(engine, content_type="video", source_filename="clip.mp4")
    path = settings.music / "Artist" / "2020 - Clip.mp4"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"any")
    with pytest.raises(ExtraMissing):
        engine.import_music("video", "Artist/2020 - Clip.mp4")
    with pytest.raises(ExtraMissing):
        engine.import_artwork(source="Artist/2020 - Clip.mp4", target="Artist/2020 - Clip.mp4")
    assert engine.tasks() == []


def test_uploads_that_are_off_are_refused(opened: Open, settings: Settings):
    """An empty `allow` means off."""
    engine = opened(evolve(settings, allow=frozenset()))
    with pytest.raises(UploadRefused, match="switched off"):
        begin(engine)


@pytest.mark.parametrize(
    "options",
    [
        {"content_type": 1},
        {"checksum": b"a" * 40},
        {"file_size": "10"},
        {"file_size": True},
        {"file_size": 1.5},
        {"mime_type": 1},
        {"source_filename": b"x"},
        {"task_id": 1},
    ],
)
def test_an_argument_of_the_wrong_type_is_a_type_error(engine: MusicEngine, options: dict):
    """Said at once, with the argument's name."""
    with pytest.raises(TypeError, match=next(iter(options))):
        begin(engine, **options)


@pytest.mark.parametrize("names", [("a.pdf", "b.txt"), ("README", "README"), (None, "a.b-c")])
def test_the_same_bytes_are_uploaded_once_at_a_time(
    engine: MusicEngine, names: tuple[str | None, str]
):
    """Also under another name, or one without an extension: the refusal names the holder."""
    task = begin(engine, source_filename=names[0])
    with pytest.raises(UploadRefused, match="already in upload") as caught:
        begin(engine, source_filename=names[1])
    assert caught.value.task_id == task.id
    engine.remove(task.id)
    engine.wait(task.id, "notexisting", timeout=30)
    begin(engine)


def test_a_known_id_goes_on_or_is_refused(opened: Open):
    """The same checksum and size: a `ChunkRequest` answers; anything else is refused."""
    engine = opened()
    recorder = Recorder(engine)
    begin(engine, task_id="mine")
    engine.receive_chunk("mine", b"som")
    assert begin(engine, task_id="mine").offset == 3
    recorder.wait_for(lambda r: len(r.all) == 3)
    assert [(name, s["offset"]) for name, s in recorder.all] == [
        ("ChunkRequest", 0),
        ("ChunkRequest", 3),
        ("ChunkRequest", 3),
    ]
    with pytest.raises(UploadRefused, match="known already"):
        begin(engine, b"other", task_id="mine")
    engine.remove("mine")
    with pytest.raises(UploadRefused, match="known already"):
        begin(engine, task_id="mine")


def test_the_id_of_a_file_that_does_not_load_is_taken(opened: Open, settings: Settings):
    """Its file is not overwritten."""
    opened().close()
    bad = settings.tasks / "mine.json"
    bad.write_text("{")
    engine = opened()
    with pytest.raises(UploadRefused, match="does not load"):
        begin(engine, task_id="mine")
    assert bad.read_text() == "{"


def test_chunks_that_do_not_fit_are_refused_and_lose_nothing(opened: Open, settings: Settings):
    """A wrong offset, a chunk too many, and then the upload goes on where it stood."""
    engine = opened()
    recorder = Recorder(engine)
    task = begin(engine, b"0123456789")
    engine.receive_chunk(task.id, b"0123", offset=0)
    with pytest.raises(ChunkRefused, match="goes on at byte 4") as caught:
        engine.receive_chunk(task.id, b"0123", offset=0)
    assert caught.value.offset == 4
    with pytest.raises(ChunkRefused, match="more than the announced 10"):
        engine.receive_chunk(task.id, b"4567890")
    assert (settings.uploads / str(task.upload_path)).read_bytes() == b"0123"
    engine.receive_chunk(task.id, b"")
    recorder.wait_for(lambda r: len(r.all) == 3)
    assert [(name, s["offset"]) for name, s in recorder.all][1:] == [("ChunkRequest", 4)] * 2
    assert engine.receive_chunk(task.id, b"456789", offset=4).state == "uploadcomplete"
    with pytest.raises(ChunkRefused, match="'uploadcomplete'"):
        engine.receive_chunk(task.id, b"x")
    with pytest.raises(TypeError, match="bytes"):
        engine.receive_chunk(task.id, "text")  # pyright: ignore[reportArgumentType]


def test_data_that_somebody_cut_is_asked_for_again(opened: Open, settings: Settings):
    """The offset is the size of the data file: the client is told where to go on."""
    engine = opened()
    task = begin(engine, b"0123456789")
    engine.receive_chunk(task.id, b"0123456")
    os.truncate(settings.uploads / str(task.upload_path), 3)
    with pytest.raises(ChunkRefused) as caught:
        engine.receive_chunk(task.id, b"789")
    assert caught.value.offset == 3
    assert engine.receive_chunk(task.id, b"3456789").state == "uploadcomplete"


def test_the_removal_of_one_upload_leaves_the_data_of_another(opened: Open, settings: Settings):
    """A failed upload holds its data's name no longer; a later one of the same checksum does."""
    with opened() as engine:
        failed = begin(engine, b"0123456789")
        engine.receive_chunk(failed.id, b"9876543210")
        while True:
            try:
                task = begin(engine, b"0123456789")
                break
            except UploadRefused:  # until the wrong data is gone
                pass
        engine.receive_chunk(task.id, b"01234")
        with pytest.raises(UploadRefused) as caught:
            engine.retry(failed.id)
        assert caught.value.task_id == task.id
        engine.remove(failed.id)
        engine.wait(failed.id, "notexisting", timeout=30)
        assert (settings.uploads / str(task.upload_path)).read_bytes() == b"01234"
        engine.receive_chunk(task.id, b"56789")
        engine.wait(task.id, "readyforintegration", timeout=30)


def test_annotations_that_json_cannot_hold_are_refused(engine: MusicEngine):
    """With the place; more than 1 MiB too."""
    task = upload(engine)
    with pytest.raises(ValueError, match=r"\$\.x"):
        engine.annotate(task.id, {"x": object()})
    with pytest.raises(ValueError, match="1 MiB"):
        engine.annotate(task.id, {"x": "y" * 1024 * 1024})
    with pytest.raises(TypeError, match="mapping"):
        engine.annotate(task.id, [1])  # pyright: ignore[reportArgumentType]
    assert engine.get(task.id).annotations == {}


def test_events_out_of_order_are_illegal(opened: Open):
    """Each call checks the state through the machine, and changes nothing."""
    engine = opened()
    task = begin(engine)
    for call in (
        lambda: engine.integrate(task.id, "A/2020 - B/c.pdf"),
        lambda: engine.retry(task.id),
        lambda: engine.send(task.id, "begin"),
        lambda: engine.send(task.id, "complete_upload"),
        lambda: engine.send(task.id, "recover"),
        lambda: engine.send(task.id, "no_such_event"),
    ):
        with pytest.raises(IllegalTransition):
            call()
    assert engine.get(task.id) == task


def test_artwork_cannot_be_integrated_as_a_file(opened: Open, settings: Settings):
    """An artwork task's target is an album that is there."""
    with opened() as engine:
        task = upload(engine, content_type="artwork", source_filename="cover.png")
        engine.wait(task.id, "readyforintegration", timeout=30)
        with pytest.raises(InvalidPath, match="no such album"):
            engine.integrate(task.id, "Artist/2020 - Album")
        with pytest.raises(TransitionRefused, match="is_not_artwork"):
            engine.send(task.id, "request_integration")
        (settings.music / "Artist/2020 - Album").mkdir(parents=True)
        engine.integrate(task.id, "Artist/2020 - Album")
        engine.wait(task.id, "importcomplete", timeout=30)


def test_a_directory_has_one_owner(opened: Open, settings: Settings):
    """A second engine is refused, and the message names the process."""
    engine = opened()
    with pytest.raises(DirectoryInUse) as caught:
        open_library(settings)
    assert caught.value.pid == os.getpid()
    engine.close()
    open_library(settings).close()


def test_a_stage_without_a_handler_is_refused(settings: Settings):
    """Said when the engine is opened, and the directory is free again."""

    def work(task: MusicTask, work: Work):
        return succeed()

    stage = Stage(
        "transcoding",
        group="upload",
        queued="starttranscoding",
        working="transcoding",
        succeeded="readyforintegration",
        failed="transcodingfailed",
        rejected="invalidcontent",
    )
    mine = MUSIC.with_stage(stage).with_target("preprocessing", "succeed", "starttranscoding")
    with pytest.raises(LifecycleError, match="no handler"):
        open_library(settings, lifecycle=mine)
    with pytest.raises(LifecycleError, match="no such stage"):
        open_library(settings, handlers={"transcodin": work})
    with open_library(
        settings, lifecycle=mine, handlers={"transcoding": work, "preprocessing": work}
    ) as engine:
        task = upload(engine)
        walk = engine.wait(task.id, "readyforintegration", timeout=30).history
    assert [entry.target for entry in walk][3:5] == ["starttranscoding", "transcoding"]


def test_an_empty_mime_type_is_none(opened: Open, settings: Settings):
    """A browser has no other word for a type that it does not know."""
    assert begin(opened(), mime_type="").mime_type is None


@pytest.mark.parametrize(
    "call",
    [
        lambda engine: engine.import_music("album", "A/2000 - B"),
        lambda engine: engine.import_artwork(source="A/2000 - B/a.jpg", target="A/2000 - B"),
    ],
)
def test_what_the_disk_does_not_give_is_an_invalid_path(
    opened: Open, settings: Settings, call: Callable[[MusicEngine], MusicTask]
):
    """An import that cannot be looked at says why, and nothing is made."""
    engine = opened()
    settings.music.rmdir()
    settings.music.symlink_to(settings.music)  # to itself
    with pytest.raises(InvalidPath, match=r"A/2000 - B.* Too many levels") as caught:
        call(engine)
    assert isinstance(caught.value.__cause__, OSError)
    assert "Errno" not in str(caught.value)
    assert engine.tasks() == []
