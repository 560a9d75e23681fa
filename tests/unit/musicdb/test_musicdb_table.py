"""Every call of docs/musicdb.md: return values, exceptions, notifications, on real files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from musicdbkit import ALBUM, COVER, DATA, SHA1, SONG, World
from musictasks.musicdb import TaskManager

VIDEO = "Artist/1999 - A Clip.mp4"
REFUSED = [("InternalError", "notexisting")]
#: Stands for "the id of a new task".
NEW_ID = object()
#: Any: it may be given what it does not take.
Call = Callable[[Any], Any]


def initiate(**changes: Any) -> Call:
    """`InitiateUpload` itself, for its return value."""
    arguments = {
        "taskid": "new",
        "mimetype": "application/pdf",
        "contenttype": "albumfile",
        "filesize": 5,
        "checksum": "a" * 40,
        "sourcefilename": "b.pdf",
    }
    return lambda w: w.uploads.InitiateUpload(**(arguments | changes))


def process(state: str, contenttype: str, **changes: Any) -> Call:
    arguments = {
        "taskid": "new",
        "mimetype": "application/pdf",
        "contenttype": contenttype,
        "filesize": 5,
        "checksum": "a" * 40,
        "sourcefilename": "b.pdf",
    }
    return lambda w: w.uploads.InitiateProcess(**(arguments | changes), initialstate=state)


def ready(world: World, contenttype: str = "albumfile") -> None:
    world.put("ready", "readyforintegration", contenttype=contenttype, uploadpath="x")


def as_video(world: World) -> None:
    ready(world, "video")


def as_archive(world: World) -> None:
    ready(world, "album")


def with_video(world: World) -> None:
    """Names decide before the import looks into it."""
    (world.root / "music" / VIDEO).write_bytes(b"to be looked at later")


def as_artwork(world: World) -> None:
    ready(world, "artwork")


def waiting(world: World) -> None:
    world.begin()


def nothing(world: World) -> None:
    pass


def broken(world: World) -> None:
    """The disk does not give the Music Directory: it is a link to itself."""
    music = world.root / "music"
    music.rename(world.root / "elsewhere")
    music.symlink_to(music)


def short_of_the_end(world: World) -> None:
    """Three bytes are missing."""
    world.begin()
    assert world.uploads.NewChunk("task", DATA[:-3])


WRONG_CHECKSUM = [("InternalError", "uploadfailed"), ("StateUpdate", "uploadfailed")]
UPLOADS: list[tuple[str, Callable[[World], None], Call, Any, list[tuple[str, str]]]] = [
    ("a new upload", nothing, initiate(), None, [("ChunkRequest", "waitforchunk")]),
    ("any letters", nothing, initiate(checksum="A" * 40), None, [("ChunkRequest", "waitforchunk")]),
    ("no type known", nothing, initiate(mimetype=""), None, [("ChunkRequest", "waitforchunk")]),
    ("a video", nothing, initiate(contenttype="video"), None, [("ChunkRequest", "waitforchunk")]),
    (
        "an archive",
        nothing,
        initiate(contenttype="album"),
        None,
        [("ChunkRequest", "waitforchunk")],
    ),
    ("too large", nothing, initiate(filesize=10**13), None, REFUSED),
    ("no SHA-1", nothing, initiate(checksum="no"), None, REFUSED),
    ("no id", nothing, initiate(taskid="../x"), None, REFUSED),
    ("no file name", nothing, initiate(sourcefilename="a/b"), None, REFUSED),
    ("a known id", waiting, initiate(taskid="task"), None, REFUSED),
    (
        "the same bytes",
        waiting,
        initiate(checksum=SHA1, filesize=len(DATA)),
        None,
        REFUSED,
    ),
    (
        "again the same",
        waiting,
        initiate(taskid="task", checksum=SHA1, filesize=len(DATA)),
        None,
        [("ChunkRequest", "waitforchunk")],
    ),
    ("unknown type", nothing, initiate(contenttype="song"), ValueError, []),
    ("any is no upload", nothing, initiate(contenttype="any"), ValueError, []),
    ("size 0", nothing, initiate(filesize=0), ValueError, []),
    ("size True", nothing, initiate(filesize=True), TypeError, []),
    ("size text", nothing, initiate(filesize="5"), TypeError, []),
    *(
        (f"{name} None", nothing, initiate(**{name: None}), TypeError, [])
        for name in ("taskid", "mimetype", "contenttype", "filesize", "checksum", "sourcefilename")
    ),
    (
        "a chunk",
        waiting,
        lambda w: w.uploads.NewChunk("task", DATA[:5]),
        True,
        [("ChunkRequest", "waitforchunk")],
    ),
    (
        "no bytes ask again",
        waiting,
        lambda w: w.uploads.NewChunk("task", b""),
        True,
        [("ChunkRequest", "waitforchunk")],
    ),
    (
        "the last chunk",
        short_of_the_end,
        lambda w: w.uploads.NewChunk("task", bytearray(DATA[-3:])),
        True,
        [("StateUpdate", "uploadcomplete")],
    ),
    (
        "wrong bytes",
        waiting,
        lambda w: w.uploads.NewChunk("task", bytes(len(DATA))),
        True,
        WRONG_CHECKSUM,
    ),
    (
        "too many bytes",
        short_of_the_end,
        lambda w: w.uploads.NewChunk("task", DATA),
        False,
        [("InternalError", "waitforchunk")],
    ),
    (
        "not waiting",
        ready,
        lambda w: w.uploads.NewChunk("ready", b"x"),
        False,
        [("InternalError", "readyforintegration")],
    ),
    ("unknown", nothing, lambda w: w.uploads.NewChunk("x", b"x"), False, REFUSED),
    ("text", waiting, lambda w: w.uploads.NewChunk("task", "x"), TypeError, []),
    ("no id", waiting, lambda w: w.uploads.NewChunk(None, b"x"), TypeError, []),
    (
        "annotations",
        waiting,
        lambda w: w.uploads.AnnotateUpload("task", {"song": "S"}),
        True,
        [("StateUpdate", "waitforchunk")],
    ),
    ("unknown", nothing, lambda w: w.uploads.AnnotateUpload("x", {}), False, REFUSED),
    ("a list", waiting, lambda w: w.uploads.AnnotateUpload("task", []), TypeError, []),
    ("an object", waiting, lambda w: w.uploads.AnnotateUpload("task", {"a": {1}}), ValueError, []),
    (
        "removal",
        waiting,
        lambda w: w.uploads.RequestRemoveUpload("task"),
        True,
        [("StateUpdate", "remove")],
    ),
    ("unknown", nothing, lambda w: w.uploads.RequestRemoveUpload("x"), False, REFUSED),
    ("no id", nothing, lambda w: w.uploads.RequestRemoveUpload(5), TypeError, []),
]

OTHERS: list[tuple[str, Callable[[World], None], Call, Any, list[tuple[str, str]]]] = [
    (
        "integration",
        ready,
        lambda w: w.integration.InitiateIntegration("ready", SONG),
        "ready",
        [("StateUpdate", "startintegration")],
    ),
    (
        "of artwork",
        as_artwork,
        lambda w: w.integration.InitiateIntegration("ready", ALBUM),
        "ready",
        [("StateUpdate", "startartworkimport")],
    ),
    (
        "of a video",
        as_video,
        lambda w: w.integration.InitiateIntegration("ready", VIDEO),
        "ready",
        [("StateUpdate", "startintegration")],
    ),
    (
        "of an archive",
        as_archive,
        lambda w: w.integration.InitiateIntegration("ready", "Artist/1999 - New"),
        "ready",
        [("StateUpdate", "startintegration")],
    ),
    (
        "a video as a song",
        as_video,
        lambda w: w.integration.InitiateIntegration("ready", SONG),
        ValueError,
        [],
    ),
    (
        "an archive as a song",
        as_archive,
        lambda w: w.integration.InitiateIntegration("ready", SONG),
        ValueError,
        [],
    ),
    (
        "an archive nowhere",
        as_archive,
        lambda w: w.integration.InitiateIntegration("ready", None),
        TypeError,
        [],
    ),
    ("wrong state", waiting, lambda w: w.integration.InitiateIntegration("task", SONG), False, []),
    (
        "unknown",
        nothing,
        lambda w: w.integration.InitiateIntegration("x", SONG),
        ValueError,
        REFUSED,
    ),
    ("out", ready, lambda w: w.integration.InitiateIntegration("ready", "../x"), ValueError, []),
    ("no path", ready, lambda w: w.integration.InitiateIntegration("ready", None), TypeError, []),
    ("no id", ready, lambda w: w.integration.InitiateIntegration(1, SONG), TypeError, []),
    (
        "import",
        nothing,
        lambda w: w.imports.InitiateImport("album", ALBUM),
        NEW_ID,
        [("StateUpdate", "startmusicimport")],
    ),
    (
        "import of a video",
        with_video,
        lambda w: w.imports.InitiateImport("video", VIDEO),
        NEW_ID,
        [("StateUpdate", "startmusicimport")],
    ),
    ("no video", nothing, lambda w: w.imports.InitiateImport("video", VIDEO), ValueError, []),
    ("a song", nothing, lambda w: w.imports.InitiateImport("video", SONG), ValueError, []),
    ("a file", nothing, lambda w: w.imports.InitiateImport("albumfile", SONG), None, []),
    ("other type", nothing, lambda w: w.imports.InitiateImport("artwork", ALBUM), None, []),
    ("unknown type", nothing, lambda w: w.imports.InitiateImport("x", ALBUM), None, []),
    ("no album", nothing, lambda w: w.imports.InitiateImport("album", "A/x"), ValueError, []),
    ("out", nothing, lambda w: w.imports.InitiateImport("album", "../x"), ValueError, []),
    ("no disk", broken, lambda w: w.imports.InitiateImport("album", ALBUM), ValueError, []),
    ("no disk", broken, lambda w: w.artwork.InitiateImport(SONG, ALBUM), ValueError, []),
    ("no type", nothing, lambda w: w.imports.InitiateImport(None, ALBUM), TypeError, []),
    ("no path", nothing, lambda w: w.imports.InitiateImport("album", None), TypeError, []),
    (
        "artwork of a song",
        nothing,
        lambda w: w.artwork.InitiateImport(SONG, ALBUM),
        NEW_ID,
        [("StateUpdate", "startartworkimport")],
    ),
    (
        "artwork of an image",
        nothing,
        lambda w: w.artwork.InitiateImport(COVER, ALBUM),
        NEW_ID,
        [("StateUpdate", "startartworkimport")],
    ),
    (
        "artwork of a video",
        with_video,
        lambda w: w.artwork.InitiateImport(VIDEO, VIDEO),
        NEW_ID,
        [("StateUpdate", "startartworkimport")],
    ),
    (
        "an album from a video",
        with_video,
        lambda w: w.artwork.InitiateImport(VIDEO, ALBUM),
        ValueError,
        [],
    ),
    ("no source", nothing, lambda w: w.artwork.InitiateImport("x.png", ALBUM), ValueError, []),
    ("bad source", nothing, lambda w: w.artwork.InitiateImport("../x", ALBUM), ValueError, []),
    ("no target", nothing, lambda w: w.artwork.InitiateImport(SONG, "A/x"), ValueError, []),
    ("no text", nothing, lambda w: w.artwork.InitiateImport(SONG, 1), TypeError, []),
    ("no text", nothing, lambda w: w.artwork.InitiateImport(b"x", ALBUM), TypeError, []),
    (
        "scan",
        nothing,
        lambda w: w.scans.InitiateFilesystemScan(),
        NEW_ID,
        [("StateUpdate", "startfsscan")],
    ),
]

BASE: list[tuple[str, Callable[[World], None], Call, Any, list[tuple[str, str]]]] = [
    ("unknown", nothing, lambda w: w.uploads.GetTaskByID("x"), ValueError, REFUSED),
    ("no id", nothing, lambda w: w.uploads.GetTaskByID(None), TypeError, []),
    ("unknown", nothing, lambda w: w.uploads.RemoveTask("x"), ValueError, REFUSED),
    ("no id", nothing, lambda w: w.uploads.RemoveTask(None), TypeError, []),
    ("known", waiting, lambda w: w.uploads.RemoveTask("task"), None, [("StateUpdate", "remove")]),
    ("nothing new", waiting, lambda w: w.uploads.LoadTasks(), None, []),
    ("no text", nothing, lambda w: w.uploads.NotifyClient(1, None), TypeError, []),
    ("no task", nothing, lambda w: w.uploads.NotifyClient("StateUpdate", []), TypeError, []),
    ("no name", nothing, lambda w: w.uploads.NotifyClient("sys:refresh", None), ValueError, []),
    (
        "no message",
        nothing,
        lambda w: w.uploads.NotifyClient("StateUpdate", None, 5),
        TypeError,
        [],
    ),
    ("save", nothing, lambda w: w.uploads.SaveTask("x"), TypeError, []),
    ("schedule", nothing, lambda w: w.uploads.ScheduleTask({"id": 1}), TypeError, []),
    ("exists", nothing, lambda w: w.uploads.ExistsTaskFile("x"), TypeError, []),
    ("update", nothing, lambda w: w.uploads.UpdateTaskState("x", "remove"), TypeError, []),
    ("state", nothing, lambda w: w.uploads.UpdateTaskState({"id": "x"}, 1), TypeError, []),
    ("text", nothing, lambda w: w.uploads.UpdateTaskState({"id": "x"}, "x", 1), TypeError, []),
    ("callback", nothing, lambda w: w.uploads.RegisterCallback(None), TypeError, []),
    ("callback", nothing, lambda w: w.uploads.RemoveCallback(None), TypeError, []),
    ("refresh", nothing, lambda w: w.uploads.RegisterRefreshCallback(5), TypeError, []),
    ("refresh", nothing, lambda w: w.uploads.RemoveRefreshCallback(5), TypeError, []),
    ("a scan", nothing, process("startfsscan", "any"), None, [("StateUpdate", "startfsscan")]),
    (
        "an import",
        nothing,
        process("startmusicimport", "album", filesize=0),
        None,
        [("StateUpdate", "startmusicimport")],
    ),
    (
        "artwork",
        nothing,
        process("startartworkimport", "artwork"),
        None,
        [("StateUpdate", "startartworkimport")],
    ),
    (
        "an upload",
        nothing,
        process("waitforchunk", "artwork"),
        None,
        [("ChunkRequest", "waitforchunk")],
    ),
    (
        "no type known",
        nothing,
        process("startfsscan", "any", mimetype=""),
        None,
        [("StateUpdate", "startfsscan")],
    ),
    ("a known id", waiting, process("startfsscan", "any", taskid="task"), None, REFUSED),
    ("no id", nothing, process("startfsscan", "any", taskid="../x"), None, REFUSED),
    ("no file name", nothing, process("startfsscan", "any", sourcefilename="a/b"), None, REFUSED),
    ("no id", nothing, lambda w: w.uploads.SaveTask({"id": "../x"}), ValueError, []),
    ("unknown type", nothing, process("startfsscan", "all"), ValueError, []),
    ("no text", nothing, process("startfsscan", "any", mimetype=None), TypeError, []),
]


@pytest.mark.parametrize(
    ("before", "call", "result", "notified"),
    [pytest.param(*row[1:], id=row[0]) for row in [*UPLOADS, *OTHERS, *BASE]],
)
def test_a_row_of_the_table(
    world: World,
    before: Callable[[World], None],
    call: Call,
    result: Any,
    notified: list[tuple[str, str]],
):
    """It returns, raises and notifies what the table says; a refused call leaves all as it was."""
    before(world)
    world.told()
    tasks = world.uploads.GetTasks()
    if isinstance(result, type):
        with pytest.raises(result):
            call(world)
        assert world.uploads.GetTasks() == tasks
    else:
        returned = call(world)
        if result is NEW_ID:
            assert set(world.uploads.GetTasks()) - set(tasks) == {returned}
        else:
            assert returned is result or returned == result
    assert world.told() == notified


def test_uploads_that_are_switched_off(tmp_path: Path):
    """An `InternalError`, and None; nothing is made."""
    world = World(tmp_path, "[uploads]\nallow=\n")
    assert initiate()(world) is None
    assert world.told() == REFUSED
    assert world.uploads.GetTasks() == {}


def test_every_manager_is_a_task_manager(world: World):
    """The methods of the base work on each of them, and see the same tasks."""
    world.begin()
    for manager in (world.integration, world.imports, world.artwork, world.scans):
        assert isinstance(manager, TaskManager)
        assert manager.GetTaskByID("task") == world.uploads.GetTaskByID("task")
