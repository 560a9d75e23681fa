"""`ArtworkManager.InitiateImport` with an image that lies in the Upload Directory."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from musicdbkit import ALBUM, COVER, World
from musictasks.errors import TaskNotSaved
from musictasks.files import Effects, using
from musictasks.library import MusicDatabase, sample_album
from musictasks.musicdb import ArtworkManager, StartTaskManagementThread

IMAGE = (sample_album() / "cover.png").read_bytes()
SHA1 = hashlib.sha1(IMAGE).hexdigest()


@pytest.fixture
def image(world: World) -> str:
    """An uploaded image, ready for what a client wants of it: its path in the Upload Directory."""
    changes = {"contenttype": "artwork", "mimetype": "image/png", "sourcefilename": "c.png"}
    world.begin("source", filesize=len(IMAGE), checksum=SHA1, **changes)
    assert world.uploads.NewChunk("source", IMAGE)
    StartTaskManagementThread(world.config)
    world.recorder.wait_for_state("source", "readyforintegration")
    world.recorder.wait_for_state(world.import_album(), "importcomplete")
    return world.uploads.GetTaskByID("source")["uploadpath"]


def files(world: World) -> set[str]:
    uploads = world.config.settings.uploads
    return {str(path.relative_to(uploads)) for path in uploads.rglob("*") if path.is_file()}


def artwork(world: World) -> str:
    album = MusicDatabase(world.config.settings.database).album(ALBUM)
    assert album is not None
    return album["artworkpath"]


@pytest.mark.parametrize("absolute", [False, True])
def test_an_image_of_the_upload_directory(world: World, image: str, absolute: bool):
    """The path is relative to it or absolute; the upload and its task stay as they are."""
    before = (files(world), world.uploads.GetTaskByID("source"))
    path = str(world.config.settings.uploads / image) if absolute else image
    taskid = world.artwork.InitiateImport(path, ALBUM)
    world.recorder.wait_for_state(taskid, "importcomplete")
    assert artwork(world) == "Artist - Album.jpg"
    world.uploads.RemoveTask(taskid)
    assert (files(world), world.uploads.GetTaskByID("source")) == before


def test_a_relative_path_is_of_the_music_directory_first(world: World, image: str):
    """What is in both is taken from there, as the documentation says."""
    place = world.config.settings.uploads / COVER
    place.parent.mkdir(parents=True)
    place.write_bytes(b"not this one")
    taskid = world.artwork.InitiateImport(COVER, ALBUM)
    world.recorder.wait_for_state(taskid, "importcomplete")
    task = world.uploads.GetTaskByID(taskid)
    assert (task["awsourcepath"], task["uploadpath"]) == (COVER, None)


def test_an_absolute_path_through_a_symbolic_link(tmp_path: Path):
    """Whichever of its names the data directory has."""
    world = World(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (world.config.settings.uploads / "c.png").write_bytes(IMAGE)
    for way in ("real", "link"):
        named = tmp_path / way / "data" / "uploads" / "c.png"
        for manager in (world.artwork, ArtworkManager(tmp_path / "link" / "musicdb.ini")):
            task = world.uploads.GetTaskByID(manager.InitiateImport(str(named), ALBUM))
            assert task["awsourcepath"] == f"{task['id']}/artwork-{SHA1}.png"


def test_the_source_may_go_meanwhile(world: World, image: str):
    """The new task has its own copy: the removal of the upload's task, and of its data, is nothing
    to it, also when a start lies between.
    """
    world.uploads.RemoveTask("source")
    (world.config.settings.uploads / "c.png").write_bytes(IMAGE)
    taskid = world.artwork.InitiateImport("c.png", ALBUM)
    (world.config.settings.uploads / "c.png").unlink()
    world.recorder.wait_for_state(taskid, "importcomplete")
    assert artwork(world) == "Artist - Album.jpg"


def test_the_source_task_may_be_removed_before_the_work_begins(world: World):
    """Queued before the start; the source is removed; then the work begins."""
    changes = {"contenttype": "artwork", "mimetype": "image/png", "sourcefilename": "c.png"}
    world.begin("source", filesize=len(IMAGE), checksum=SHA1, **changes)
    world.uploads.NewChunk("source", IMAGE)
    source = world.uploads.GetTaskByID("source")["uploadpath"]
    taskid = world.artwork.InitiateImport(source, ALBUM)
    world.uploads.RemoveTask("source")
    assert files(world) == {f"{taskid}/artwork-{SHA1}.png"}
    StartTaskManagementThread(world.config)
    world.recorder.wait_for_state(taskid, "importfailed")  # the album is not imported yet
    world.recorder.wait_for_state(world.import_album(), "importcomplete")
    world.uploads.UpdateTaskState(world.uploads.GetTaskByID(taskid), "startartworkimport")
    world.recorder.wait_for_state(taskid, "importcomplete")
    assert artwork(world) == "Artist - Album.jpg"


@pytest.mark.parametrize(
    "path",
    [
        "source/missing.png",
        "{uploads}/source/missing.png",
        "source",
        "{uploads}",
        "{uploads}/../tasks/source.json",
        "{uploads}/link.png",
        "link.png",
        "notes.txt",
        "{uploads}/notes.txt",
        "song.flac",
        "/etc/passwd.png",
    ],
)
def test_what_is_not_an_image_there_is_refused(world: World, path: str):
    """Missing, no file, elsewhere, a link, or not called an image: a `ValueError`, and no task."""
    uploads = world.config.settings.uploads
    (uploads / "source").mkdir()
    (uploads / "notes.txt").write_text("x")
    (uploads / "song.flac").write_bytes(b"x")
    (world.root / "outside.png").write_bytes(IMAGE)
    (uploads / "link.png").symlink_to(world.root / "outside.png")
    with pytest.raises(ValueError, match="path"):
        world.artwork.InitiateImport(path.format(uploads=uploads), ALBUM)
    assert world.uploads.GetTasks() == {}
    assert world.told() == []


@pytest.mark.parametrize("target", ["Artist/1999 - Missing", "../x", "", "Artist"])
def test_a_target_that_is_not_valid_is_refused(world: World, target: str):
    """Before anything is copied."""
    (world.config.settings.uploads / "c.png").write_bytes(IMAGE)
    with pytest.raises(ValueError, match="path"):
        world.artwork.InitiateImport("c.png", target)
    assert world.uploads.GetTasks() == {}
    assert files(world) == {"c.png"}


def test_a_file_that_is_not_an_image_is_rejected(world: World, image: str):
    """Its name says image, its content does not."""
    (world.config.settings.uploads / "c.png").write_bytes(b"no picture")
    taskid = world.artwork.InitiateImport("c.png", ALBUM)
    world.recorder.wait_for_state(taskid, "invalidcontent")


def test_a_file_that_is_too_large_is_refused(tmp_path: Path):
    """More than an image may have: it is not copied."""
    world = World(tmp_path, extra="imagesize=100\n")
    (world.config.settings.uploads / "c.png").write_bytes(bytes(101))
    with pytest.raises(ValueError, match="imagesize"):
        world.artwork.InitiateImport("c.png", ALBUM)
    assert files(world) == {"c.png"}


def test_a_copy_that_the_disk_refuses_leaves_no_task(world: World):
    """`TaskNotSaved`, and neither task nor data."""

    class Full(Effects):
        def replace(self, src: str, dst: str, **fds: Any) -> None:
            if dst.startswith("artwork-"):
                raise OSError(28, "No space left on device")
            super().replace(src, dst, **fds)

    (world.config.settings.uploads / "c.png").write_bytes(IMAGE)
    with using(Full()), pytest.raises(TaskNotSaved, match="No space"):
        world.artwork.InitiateImport("c.png", ALBUM)
    assert world.uploads.GetTasks() == {}
    assert files(world) == {"c.png"}
