"""Task files and flat data of 0.1.0 and of MusicDB are taken over when they are loaded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from enginekit import begin, upload, wait_gone
from musictasks.errors import ChunkRefused
from musictasks.music import MusicEngine, Settings, orphaned_uploads, read_tasks
from musictasks.statemachine import MusicTask, Outcome, Work, succeed

Open = Callable[..., MusicEngine]
DATA = b"0123456789"
SHA1 = hashlib.sha1(DATA).hexdigest()


def flat(settings: Settings, task_id: str, state: str, **keys: Any) -> Path:
    """A task file as 0.1.0 wrote it."""
    settings.tasks.mkdir(parents=True, exist_ok=True)
    settings.uploads.mkdir(parents=True, exist_ok=True)
    record = {
        "id": task_id,
        "state": state,
        "contenttype": "albumfile",
        "filesize": len(DATA),
        "offset": 0,
        "uploadpath": f"albumfile-{SHA1}.pdf",
        "sourcefilename": "booklet.pdf",
        "sourcechecksum": SHA1,
        **keys,
    }
    path = settings.tasks / f"{task_id}.json"
    path.write_text(json.dumps(record))
    return path


def files(settings: Settings) -> set[str]:
    found = settings.uploads.rglob("*")
    return {str(path.relative_to(settings.uploads)) for path in found if path.is_file()}


def test_an_upload_half_done_goes_on_in_its_own_directory(opened: Open, settings: Settings):
    """The bytes that are there move with a rename, and the next chunk follows them."""
    path = flat(settings, "old", "waitforchunk")
    (settings.uploads / f"albumfile-{SHA1}.pdf").write_bytes(DATA[:4])
    with opened() as engine:
        task = engine.get("old")
        assert (task.upload_path, task.offset) == (f"old/albumfile-{SHA1}.pdf", 4)
        assert json.loads(path.read_text())["uploadpath"] == task.upload_path
        assert files(settings) == {task.upload_path}
        engine.receive_chunk("old", DATA[4:], offset=4)
        done = engine.wait("old", "readyforintegration", timeout=30)
        assert (settings.uploads / str(done.upload_path)).read_bytes() == DATA
        engine.discard("old")
    assert list(settings.uploads.iterdir()) == []


@pytest.mark.parametrize("name", [f"albumfile-{SHA1}", "Some Name.pdf", f"albumfile-{SHA1}.pdf"])
def test_whatever_its_name_is(opened: Open, settings: Settings, name: str):
    """MusicDB's names, without an extension too, which looks like the id of a task."""
    flat(settings, "old", "readyforintegration", uploadpath=name)
    (settings.uploads / name).write_bytes(DATA)
    with opened() as engine:
        assert engine.get("old").upload_path == f"old/{name}"
        assert files(settings) == {f"old/{name}"}


def test_an_unpacked_album_and_a_prepared_image_move_too(opened: Open, settings: Settings):
    """With the paths that name them, the artwork's source included."""
    flat(
        settings,
        "album",
        "readyforintegration",
        contenttype="album",
        uploadpath="album-x.zip",
        preprocessedpath="album-x.preprocessed",
    )
    (settings.uploads / "album-x.zip").write_bytes(b"zip")
    (settings.uploads / "album-x.preprocessed").mkdir()
    (settings.uploads / "album-x.preprocessed" / "01 Song.flac").write_bytes(b"song")
    image = {
        "contenttype": "artwork",
        "uploadpath": "artwork-y.png",
        "preprocessedpath": "artwork-y.preprocessed.jpg",
        "awsourcetype": "imagefile",
        "awsourcepath": "artwork-y.preprocessed.jpg",
        "albumpath": "A/2000 - B",
    }
    flat(settings, "image", "importfailed", **image)
    for name in ("artwork-y.png", "artwork-y.preprocessed.jpg"):
        (settings.uploads / name).write_bytes(b"image")
    with opened() as engine:
        album, task = engine.get("album"), engine.get("image")
        assert album.preprocessed_path == "album/album-x.preprocessed"
        assert task.artwork_source_path == "image/artwork-y.preprocessed.jpg"
        assert files(settings) == {
            "album/album-x.zip",
            "album/album-x.preprocessed/01 Song.flac",
            "image/artwork-y.png",
            "image/artwork-y.preprocessed.jpg",
        }


@pytest.mark.parametrize("cut", ["before", "directory made", "moved", "saved"])
def test_a_take_over_that_was_cut_off_is_ended(opened: Open, settings: Settings, cut: str):
    """Wherever it stood: the same record, the same data, nothing beside it."""
    name = f"albumfile-{SHA1}.pdf"
    flat(settings, "old", "waitforchunk")
    (settings.uploads / name).write_bytes(DATA[:4])
    if cut != "before":
        (settings.uploads / "old").mkdir()
    if cut in {"moved", "saved"}:
        (settings.uploads / name).rename(settings.uploads / "old" / name)
    if cut == "saved":
        flat(settings, "old", "waitforchunk", uploadpath=f"old/{name}")
    with opened() as engine:
        assert (engine.get("old").upload_path, engine.get("old").offset) == (f"old/{name}", 4)
        assert files(settings) == {f"old/{name}"}


def test_data_of_no_use_is_not_taken_over(opened: Open, settings: Settings):
    """That of a finished task goes at the start; one that waits for the same name gets it."""
    name = f"albumfile-{SHA1}.pdf"
    flat(settings, "a-finished", "importcomplete")
    flat(settings, "b-waiting", "waitforchunk")
    (settings.uploads / name).write_bytes(DATA[:4])
    with opened() as engine:
        assert engine.get("b-waiting").offset == 4
        assert files(settings) == {f"b-waiting/{name}"}
    flat(settings, "c-finished", "invalidcontent", uploadpath="other.pdf")
    (settings.uploads / "other.pdf").write_bytes(b"x")
    with opened():
        assert files(settings) == {f"b-waiting/{name}"}


def test_two_that_name_the_same_data(opened: Open, settings: Settings):
    """The first has it, the other uploads it again: no byte is read by both."""
    for task_id in ("a", "b"):
        flat(settings, task_id, "waitforchunk")
    (settings.uploads / f"albumfile-{SHA1}.pdf").write_bytes(DATA[:4])
    with opened() as engine:
        assert [engine.get(task_id).offset for task_id in "ab"] == [4, 0]
        engine.receive_chunk("b", DATA)
        engine.receive_chunk("a", DATA[4:])
        for task_id in "ab":
            engine.wait(task_id, "readyforintegration", timeout=30)


def test_a_path_in_anothers_directory_does_not_load(opened: Open, settings: Settings):
    """A copied task file, or a person's edit: it is listed, and the other's data is untouched."""
    with opened() as engine:
        task = engine.wait(upload(engine).id, "readyforintegration", timeout=30)
    record = json.loads((settings.tasks / f"{task.id}.json").read_text())
    (settings.tasks / "copy.json").write_text(json.dumps(record | {"id": "copy"}))
    with opened() as engine:
        (invalid,) = engine.invalid()
        assert "the directory of another task" in invalid.reason
        engine.discard(task.id)
    assert files(settings) == set()


def test_anothers_directory_itself_is_not_moved(opened: Open, settings: Settings):
    """A path that is no more than the id of another task."""
    with opened() as engine:
        task = engine.wait(upload(engine).id, "readyforintegration", timeout=30)
    flat(settings, "thief", "readyforintegration", uploadpath=task.id)
    with opened() as engine:
        (invalid,) = engine.invalid()
        assert "the directory of another task" in invalid.reason
        assert files(settings) == {task.upload_path}


@pytest.mark.parametrize("uploaded", [True, False])
def test_prepared_data_moves_with_or_without_an_upload(
    opened: Open, settings: Settings, uploaded: bool
):
    """The source of artwork is in the Music Directory where nothing was uploaded: it stays."""
    keys = {} if uploaded else {"uploadpath": None}
    paths = {"preprocessedpath": "made.jpg", "awsourcepath": "made.jpg"}
    flat(settings, "old", "importfailed", contenttype="artwork", **paths, **keys)
    (settings.uploads / "made.jpg").write_bytes(b"x")
    with opened() as engine:
        task = engine.get("old")
        assert task.preprocessed_path == "old/made.jpg"
        assert task.artwork_source_path == ("old/made.jpg" if uploaded else "made.jpg")
        assert files(settings) == {"old/made.jpg"}


def test_a_persons_edit_of_the_upload_path_does_not_count(opened: Open, settings: Settings):
    """While the engine runs, the path of the uploaded data is the engine's."""
    with opened() as engine:
        victim = engine.wait(upload(engine).id, "readyforintegration", timeout=30)
        thief = begin(engine, b"the thief's")
        path = settings.tasks / f"{thief.id}.json"
        path.write_text(
            json.dumps(json.loads(path.read_text()) | {"uploadpath": victim.upload_path})
        )
        assert engine.annotate(thief.id, {"seen": True}).upload_path == thief.upload_path
        engine.discard(thief.id)
        assert files(settings) == {victim.upload_path}


def test_an_upload_whose_path_is_not_its_own_takes_no_chunks(opened: Open, settings: Settings):
    """Names of files only, and a link in the place of flat data, which is never followed."""
    outside = settings.data.parent / "precious"
    flat(settings, "old", "waitforchunk", uploadpath="link.pdf")
    outside.write_bytes(b"precious")
    (settings.uploads / "link.pdf").symlink_to(outside)
    with opened() as engine, pytest.raises(ChunkRefused):
        engine.receive_chunk("old", DATA)
    assert outside.read_bytes() == b"precious"


def test_flat_data_of_no_task_is_an_orphan(opened: Open, settings: Settings):
    """Listed by who only reads, before anything was taken over; removed at the start."""
    flat(settings, "old", "waitforchunk")
    for name in (f"albumfile-{SHA1}.pdf", "stray.bin"):
        (settings.uploads / name).write_bytes(b"x")
    unpacked = f"album-{'0' * 40}.preprocessed"
    (settings.uploads / unpacked).mkdir()
    (settings.uploads / "a folder of others").mkdir()
    assert orphaned_uploads(settings) == [unpacked, "stray.bin"]
    with opened():
        names = {path.name for path in settings.uploads.iterdir()}
        assert names == {"old", "a folder of others"}
    assert orphaned_uploads(settings) == []


def test_no_flat_data_goes_while_a_task_file_does_not_load(opened: Open, settings: Settings):
    flat(settings, "broken", "waitforchunk").write_text("{")
    (settings.uploads / f"albumfile-{SHA1}.pdf").write_bytes(b"x")
    with opened():
        assert files(settings) == {f"albumfile-{SHA1}.pdf"}


def test_absolute_paths_below_the_upload_directory_become_relative(
    opened: Open, settings: Settings
):
    """As MusicDB writes them for artwork; others are refused with the key."""
    root = settings.uploads
    paths = {"preprocessedpath": f"{root}/a.jpg", "awsourcepath": f"{root}/a.jpg"}
    flat(settings, "image", "readyforintegration", contenttype="artwork", **paths)
    flat(settings, "other", "readyforintegration", preprocessedpath="/etc/passwd")
    (root / "a.jpg").write_bytes(b"image")
    (read,) = read_tasks(settings).tasks
    assert read.preprocessed_path == "a.jpg"
    with opened() as engine:
        task = engine.get("image")
        assert task.preprocessed_path == task.artwork_source_path == "image/a.jpg"
        assert files(settings) == {"image/a.jpg"}
        (invalid,) = engine.invalid()
        assert "$.preprocessedpath" in invalid.reason


def test_what_a_handler_left_in_the_upload_directory_itself_moves_at_the_next_load(
    opened: Open, settings: Settings
):
    """A handler written for 0.1.0 goes on working: its data belongs to the task after a start."""

    def preprocess(task: MusicTask, work: Work) -> Outcome:
        (settings.uploads / "transcoded.opus").write_bytes(b"made")
        return succeed(changes={"preprocessed_path": "transcoded.opus"})

    with opened(handlers={"preprocessing": preprocess}) as engine:
        task = engine.wait(upload(engine).id, "readyforintegration", timeout=30)
        assert task.preprocessed_path == "transcoded.opus"
    with opened() as engine:
        moved = engine.get(task.id)
        assert moved.preprocessed_path == f"{task.id}/transcoded.opus"
        assert files(settings) == {moved.preprocessed_path, moved.upload_path}
        engine.remove(task.id)
        wait_gone(engine, task.id)
    assert files(settings) == set()
