"""Callbacks, and exactly what they are sent."""

from __future__ import annotations

import pytest
from musicdbkit import World
from musictasks.musicdb import StartTaskManagementThread, StopTaskManagementThread
from musictasks.testing import Recorder

STATUS = {"taskid", "offset", "chunksize", "state", "message", "task"}


def test_the_status_is_the_documented_one(world: World):
    """Of the dictionary as it was given, for each of the three notifications."""
    task = world.uploads.CreateNewTask() | {"offset": 5}
    for name in ("ChunkRequest", "StateUpdate", "InternalError"):
        world.uploads.NotifyClient(name, task, "why")
    world.uploads.NotifyClient("StateUpdate", task)
    world.recorder.wait_for(lambda r: len(r.all) == 4)
    status = {
        "taskid": task["id"],
        "offset": 5,
        "chunksize": 7,
        "state": "new",
        "message": "why",
        "task": task,
    }
    assert world.recorder.all == [
        ("ChunkRequest", status),
        ("StateUpdate", status),
        ("InternalError", status),
        ("StateUpdate", status | {"message": None}),
    ]
    assert world.uploads.GetTasks() == {}


def test_an_unknown_task_is_nothing_but_its_message(world: World):
    """All keys are None but state and message."""
    world.uploads.NotifyClient("InternalError", None, "no such upload")
    world.recorder.wait_for(lambda r: r.all)
    expected = dict.fromkeys(STATUS) | {"state": "notexisting", "message": "no such upload"}
    assert world.recorder.all == [("InternalError", expected)]


def test_every_notification_has_the_same_keys(world: World):
    """Those of the engine, too."""
    world.begin()
    world.uploads.NewChunk("x", b"")
    world.recorder.wait_for(lambda r: len(r.all) == 2)
    assert [set(status) for _, status in world.recorder.all] == [STATUS, STATUS]


def test_a_callback_is_called_once(world: World):
    """However often, and with however many managers, it is registered."""
    for manager in (world.uploads, world.scans, world.imports):
        manager.RegisterCallback(world.recorder)
    world.begin()
    assert world.told() == [("ChunkRequest", "waitforchunk")]


def test_a_removed_callback_is_called_no_more(world: World):
    """Whichever manager removes it; a second time nothing happens."""
    other = Recorder()
    world.scans.RegisterCallback(other)
    world.scans.RemoveCallback(world.recorder)
    world.scans.RemoveCallback(world.recorder)
    world.begin()
    other.wait_for(lambda r: r.all)
    assert world.recorder.all == []


def test_a_bound_method_can_be_removed(world: World):
    """It is another object each time it is named."""
    other = Recorder()
    world.uploads.RegisterCallback(other.__call__)
    world.uploads.RemoveCallback(other.__call__)
    world.begin()
    world.told()
    assert other.all == []


def test_callbacks_outlive_a_stop(world: World):
    """After the next start they are called again: by old managers and new."""
    StartTaskManagementThread(world.config)
    StopTaskManagementThread()
    StartTaskManagementThread(world.config)
    world.begin()
    assert world.told() == [("ChunkRequest", "waitforchunk")]


@pytest.mark.parametrize("restarted", [False, True])
def test_a_refresh_follows_each_import(world: World, restarted: bool):
    """Once, after `importcomplete`, until it is removed."""
    calls: list[int] = []

    def refresh() -> None:
        calls.append(1)

    for manager in (world.uploads, world.imports):
        manager.RegisterRefreshCallback(refresh)
    StartTaskManagementThread(world.config)
    if restarted:
        StopTaskManagementThread()
        StartTaskManagementThread(world.config)
    world.recorder.wait_for_state(world.import_album(), "importcomplete")
    StopTaskManagementThread()  # delivers what is in line
    assert calls == [1]
    StartTaskManagementThread(world.config)
    world.scans.RemoveRefreshCallback(refresh)
    world.recorder.wait_for_state(world.import_album(), "importcomplete")
    StopTaskManagementThread()
    assert calls == [1]
