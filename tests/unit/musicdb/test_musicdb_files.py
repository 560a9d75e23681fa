"""Task files and data of MusicDB, as it leaves them behind, taken over."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from musicdbkit import ALBUM, DATA, SHA1, World, write_ini
from musictasks.library import MusicDatabase, sample_album
from musictasks.musicdb import (
    StartTaskManagementThread,
    StopTaskManagementThread,
    TaskManager,
    UploadManager,
)
from PIL import Image

COVER_DATA = (sample_album() / "cover.png").read_bytes()
COVER_SHA1 = hashlib.sha1(COVER_DATA).hexdigest()
UPLOADED = f"artwork-{COVER_SHA1}.png"
PREPROCESSED = f"artwork-{COVER_SHA1}.jpg"


def artwork_upload(root: Path, state: str, **keys: Any) -> None:
    """An artwork upload as MusicDB leaves it: its data flat, two of its paths absolute."""
    uploads = root / "data" / "uploads"
    (uploads / UPLOADED).write_bytes(COVER_DATA)
    (uploads / PREPROCESSED).write_bytes(COVER_DATA)
    task = {
        "id": "art",
        "state": state,
        "contenttype": "artwork",
        "mimetype": "image/png",
        "annotations": None,
        "initializationtime": 1700000000,
        "updatetime": 1700000001,
        "filesize": len(COVER_DATA),
        "offset": len(COVER_DATA),
        "uploadpath": UPLOADED,
        "preprocessedpath": str(uploads / PREPROCESSED),
        "sourcefilename": "cover.png",
        "sourcechecksum": COVER_SHA1,
        "videopath": None,
        "albumpath": ALBUM,
        "albumfilepath": None,
        "awsourcetype": "imagefile",
        "awsourcepath": str(uploads / PREPROCESSED),
    } | keys
    (root / "data" / "tasks" / "art.json").write_text(json.dumps(task))


def laid_out(root: Path) -> Path:
    """A library as MusicDB has it, which nobody has opened yet."""
    ini = write_ini(root)
    for name in ("tasks", "uploads"):
        (root / "data" / name).mkdir(parents=True)
    return ini


def data_of(root: Path) -> set[str]:
    uploads = root / "data" / "uploads"
    return {str(path.relative_to(uploads)) for path in uploads.rglob("*") if path.is_file()}


def check_taken_over(task: dict[str, Any], root: Path) -> None:
    """Its paths are relative, its data is in its directory, and the file on the disk says so."""
    named = {key: task[key] for key in ("uploadpath", "preprocessedpath", "awsourcepath")}
    assert named == {
        "uploadpath": f"art/{UPLOADED}",
        "preprocessedpath": f"art/{PREPROCESSED}",
        "awsourcepath": f"art/{PREPROCESSED}",
    }
    assert data_of(root) == {f"art/{UPLOADED}", f"art/{PREPROCESSED}"}
    stored = json.loads((root / "data" / "tasks" / "art.json").read_text())
    assert {key: stored[key] for key in named} == named


@pytest.mark.parametrize("state", ["readyforintegration", "startartworkimport", "importfailed"])
def test_an_artwork_upload_is_taken_over(tmp_path: Path, state: str):
    """Absolute paths below the Upload Directory become relative, whatever it waits for."""
    ini = laid_out(tmp_path)
    artwork_upload(tmp_path, state)
    task = TaskManager(ini).GetTaskByID("art")
    assert task["state"] == state
    check_taken_over(task, tmp_path)


def test_an_artwork_upload_that_appears_is_taken_over(world: World):
    """Also one that is put there while we work."""
    artwork_upload(world.root, "readyforintegration")
    world.uploads.LoadTasks()
    check_taken_over(world.uploads.GetTaskByID("art"), world.root)


@pytest.mark.parametrize("written_through_the_link", [False, True])
def test_an_artwork_upload_through_a_symbolic_link(tmp_path: Path, written_through_the_link: bool):
    """Whether MusicDB or we name the data directory by the link."""
    real, link = tmp_path / "real", tmp_path / "link"
    laid_out(real)
    link.symlink_to(real)
    ours = real if written_through_the_link else link
    theirs = link if written_through_the_link else real
    artwork_upload(theirs, "readyforintegration")
    check_taken_over(TaskManager(ours / "musicdb.ini").GetTaskByID("art"), real)


@pytest.mark.parametrize("jpeg", [True, False])
def test_an_artwork_upload_goes_on_to_its_end(world: World, jpeg: bool):
    """The picture is the album's in the end, and nothing is left of the upload."""
    StartTaskManagementThread(world.config)
    world.recorder.wait_for_state(world.import_album(), "importcomplete")
    artwork_upload(world.root, "startartworkimport")
    if jpeg:
        image = Image.open(io.BytesIO(COVER_DATA)).convert("RGB")
        image.save(world.root / "data" / "uploads" / PREPROCESSED)
    world.uploads.LoadTasks()
    world.recorder.wait_for_state("art", "importcomplete")
    album = MusicDatabase(world.config.settings.database).album(ALBUM)
    assert album is not None
    assert album["artworkpath"] == "Artist - Album.jpg"
    world.uploads.RemoveTask("art")
    assert data_of(world.root) == set()


@pytest.mark.parametrize(
    "path",
    [
        "/else/cover.jpg",
        "{root}/data/uploads/../tasks/art.json",
        "{root}/data/uploads",
        "../x",
    ],
)
@pytest.mark.parametrize("key", ["preprocessedpath", "awsourcepath"])
def test_a_path_that_leads_elsewhere_is_refused(tmp_path: Path, path: str, key: str):
    """With the reason; the file and the data are as they were."""
    ini = laid_out(tmp_path)
    artwork_upload(tmp_path, "readyforintegration", **{key: path.format(root=tmp_path)})
    before = (tmp_path / "data" / "tasks" / "art.json").read_bytes()
    with pytest.raises(ValueError, match=rf"art\.json is not a task: .*\$\.{key}"):
        TaskManager(ini).GetTaskByID("art")
    assert (tmp_path / "data" / "tasks" / "art.json").read_bytes() == before
    assert data_of(tmp_path) == {UPLOADED, PREPROCESSED}


def test_a_source_without_an_upload_is_of_the_music_directory(tmp_path: Path):
    """An absolute one is refused: without an upload, no data there is the task's."""
    ini = laid_out(tmp_path)
    artwork_upload(tmp_path, "importfailed", uploadpath=None, preprocessedpath=None)
    with pytest.raises(ValueError, match=r"\$\.awsourcepath"):
        TaskManager(ini).GetTaskByID("art")
    assert data_of(tmp_path) == {UPLOADED, PREPROCESSED}


def test_a_flat_upload_goes_on_where_its_data_ends(tmp_path: Path):
    """An upload of MusicDB's that was under way: its data moves, and the rest follows."""
    ini = laid_out(tmp_path)
    (tmp_path / "data" / "uploads" / f"albumfile-{SHA1}.pdf").write_bytes(DATA[:5])
    keys = {"contenttype": "albumfile", "mimetype": "application/pdf", "filesize": len(DATA)}
    named = {"uploadpath": f"albumfile-{SHA1}.pdf", "sourcechecksum": SHA1, "offset": 0}
    none = dict.fromkeys(("preprocessedpath", "awsourcepath", "awsourcetype", "albumpath"))
    artwork_upload(tmp_path, "waitforchunk", **keys, **named, **none, sourcefilename="b.pdf")
    uploads = UploadManager(ini)
    assert uploads.GetTaskByID("art")["offset"] == 5
    assert uploads.NewChunk("art", DATA[5:])
    assert uploads.GetTaskByID("art")["state"] == "uploadcomplete"
    moved = tmp_path / "data" / "uploads" / "art" / f"albumfile-{SHA1}.pdf"
    assert moved.read_bytes() == DATA


def test_the_offset_is_in_the_file_with_every_other_save(world: World):
    """A reader of the file believes it; a chunk alone writes no file."""
    world.begin()
    before = world.file("task").read_bytes()
    world.uploads.NewChunk("task", DATA[:5])
    assert world.file("task").read_bytes() == before
    world.uploads.AnnotateUpload("task", {"song": "S"})
    assert world.stored("task")["offset"] == 5
    world.uploads.NewChunk("task", DATA[5:9])
    world.uploads.SaveTask(world.uploads.GetTaskByID("task"))
    assert world.stored("task")["offset"] == 9


@pytest.mark.parametrize("started", [False, True])
def test_the_offset_is_in_the_file_at_a_clean_stop(world: World, started: bool):
    """Whether the work had been started or not; the next start goes on there."""
    if started:
        StartTaskManagementThread(world.config)
    world.begin()
    world.uploads.NewChunk("task", DATA[:5])
    StopTaskManagementThread()
    assert world.stored("task")["offset"] == 5
    StartTaskManagementThread(world.config)
    assert world.uploads.GetTaskByID("task")["offset"] == 5


def test_a_clean_stop_leaves_the_other_files_alone(world: World):
    """What is saved already is not written again."""
    world.begin()
    world.import_album()
    before = {path: path.stat() for path in (world.root / "data" / "tasks").iterdir()}
    StopTaskManagementThread()
    for path, was in before.items():
        assert (path.stat().st_ino, path.stat().st_mtime_ns) == (was.st_ino, was.st_mtime_ns)
