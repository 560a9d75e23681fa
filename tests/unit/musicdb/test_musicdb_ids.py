"""Ids that come again: MusicDB's browser client names an upload by the SHA-1 of its file."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from musicdbkit import ALBUM, DATA, SHA1, World
from musictasks.musicdb import StartTaskManagementThread
from musictasks.statemachine import MUSIC, Outcome, Role, Work, fail

ENDED = {Role.PASSING, Role.FINISHED, Role.FAILED, Role.REMOVING}
REFUSED = [("InternalError", "notexisting")]

GIVE_WAY = sorted(one.name for one in MUSIC.states if one.role in ENDED)
STAY = sorted(MUSIC.storable - set(GIVE_WAY))


def put(world: World, state: str) -> dict[str, Any]:
    """A task of the id, with data of its own."""
    path = f"{SHA1}/data.pdf"
    (world.config.settings.uploads / SHA1).mkdir()
    (world.config.settings.uploads / path).write_bytes(b"old")
    return world.put(
        SHA1, state, contenttype="albumfile", uploadpath=path, annotations={"old": True}
    )


def test_which_states_give_way():
    """What is at an end, and nothing that waits or works."""
    assert {"importcomplete", "fsscancomplete", "invalidcontent", "readyforimport"} <= set(GIVE_WAY)
    assert {"uploadfailed", "integrationfailed", "importfailed", "remove"} <= set(GIVE_WAY)
    assert {"waitforchunk", "uploadcomplete", "preprocessing", "readyforintegration"} <= set(STAY)


@pytest.mark.parametrize("state", GIVE_WAY)
def test_an_ended_task_gives_way_to_a_new_upload(world: World, state: str):
    """It is removed with its data; the new one begins at byte 0, and knows nothing of it."""
    put(world, state)
    world.told()
    world.begin(SHA1)
    told = world.told()
    assert told[-1] == ("ChunkRequest", "waitforchunk")
    assert told[:-1] == ([] if state == "remove" else [("StateUpdate", "remove")])
    task = world.uploads.GetTaskByID(SHA1)
    assert (task["state"], task["offset"], task["annotations"]) == ("waitforchunk", 0, {})
    assert [entry["from"] for entry in task["history"]] == ["new"]
    assert [path for path in world.config.settings.uploads.rglob("*") if path.is_file()] == []
    assert world.uploads.NewChunk(SHA1, DATA)
    assert world.uploads.GetTaskByID(SHA1)["state"] == "uploadcomplete"


@pytest.mark.parametrize("state", STAY)
def test_a_task_that_is_not_at_its_end_stays(world: World, state: str):
    """The new upload is refused; task, file and data are as before."""
    task = put(world, state)
    file = world.file(SHA1).read_bytes()
    world.told()
    world.begin(SHA1)
    assert world.told() == REFUSED
    assert world.uploads.GetTaskByID(SHA1) == task
    assert world.file(SHA1).read_bytes() == file
    assert (world.config.settings.uploads / task["uploadpath"]).read_bytes() == b"old"


@pytest.mark.parametrize(
    "changes",
    [
        {"checksum": "none"},
        {"sourcefilename": "a/b"},
        {"filesize": 10**13},
        {"contenttype": "video"},
        {"checksum": "b" * 40},
    ],
    ids=["checksum", "file name", "too large", "not allowed", "the same bytes"],
)
def test_nothing_gives_way_to_an_upload_that_is_refused(tmp_path: Path, changes: dict[str, Any]):
    """Whatever the reason: the failed task can still be looked at, and tried again."""
    world = World(tmp_path, "[uploads]\nallow=albumfile\n")
    world.begin("another", checksum="b" * 40)
    task = put(world, "integrationfailed")
    world.told()
    world.begin(SHA1, **changes)
    assert world.told() == REFUSED
    assert world.uploads.GetTaskByID(SHA1) == task


def test_other_first_states_do_not_replace_a_task(world: World):
    """Only an upload does: a scan with a known id is refused."""
    task = put(world, "importfailed")
    world.told()
    world.uploads.InitiateProcess(SHA1, "", "any", 1, "", "", "startfsscan")
    assert world.told() == REFUSED
    assert world.uploads.GetTaskByID(SHA1) == task


def test_an_upload_waits_for_the_worker_of_the_old_one(
    world: World, working: tuple[threading.Event, threading.Event]
):
    """A task that was removed while it was worked on gives its id when the work has ended."""
    entered, leave = working
    StartTaskManagementThread(world.config)
    world.begin(SHA1)
    world.uploads.NewChunk(SHA1, DATA)
    assert entered.wait(30)
    assert world.uploads.RequestRemoveUpload(SHA1)
    begun = threading.Thread(target=world.begin, args=(SHA1,))
    begun.start()
    begun.join(0.2)
    assert begun.is_alive()
    assert world.uploads.GetTaskByID(SHA1)["state"] == "remove"
    leave.set()
    begun.join(30)
    assert world.uploads.GetTaskByID(SHA1)["state"] == "waitforchunk"


@pytest.fixture
def working(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, threading.Event]]:
    """A preprocessing that says when it works, and ends when it may."""
    entered, leave = threading.Event(), threading.Event()

    def slow(self: object, task: object, work: Work) -> Outcome:
        entered.set()
        leave.wait(30)
        return fail("no more")

    monkeypatch.setattr("musictasks.handlers.Preprocessing.__call__", slow)
    yield entered, leave
    leave.set()


def test_many_begin_with_the_id_of_an_ended_task(world: World):
    """One new task comes of it, however many ask at once, and each is asked for a chunk."""
    StartTaskManagementThread(world.config)
    put(world, "importfailed")
    threads = [threading.Thread(target=world.begin, args=(SHA1,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert set(world.uploads.GetTasks()) == {SHA1}
    told = world.told()
    assert told.count(("ChunkRequest", "waitforchunk")) + told.count(REFUSED[0]) == 8
    assert told.count(("ChunkRequest", "waitforchunk")) >= 1
    assert world.uploads.NewChunk(SHA1, DATA)
    world.recorder.wait_for_state(SHA1, "readyforintegration")


def test_an_import_of_an_album_has_ids_of_its_own(world: World):
    """The same album again is another task."""
    assert world.import_album() != world.import_album()
    assert {task["albumpath"] for task in world.uploads.GetTasks().values()} == {ALBUM}
