"""Failures, as MusicDB tells them: why, and then the state that its pages wait for."""

from __future__ import annotations

import time
from typing import Any

import pytest
from musicdbkit import ALBUM, DATA, World
from musictasks.musicdb import StartTaskManagementThread
from musictasks.testing import Recorder


def fails(world: World, taskid: str = "bad") -> None:
    """An import that fails: the album is not there."""
    task = world.put(taskid, "importfailed", contenttype="album", albumpath="Artist/1999 - Gone")
    world.uploads.UpdateTaskState(task, "startmusicimport")


def failures(world: World, taskid: str = "bad") -> list[tuple[str, dict[str, Any]]]:
    """What was told of the task in a failed state, when all of it was told."""
    world.recorder.wait_for(
        lambda r: r.of(taskid) and r.of(taskid)[-1][1]["task"]["state"] == "importfailed"
    )
    world.uploads.NotifyClient("StateUpdate", None, "the end")
    world.recorder.wait_for(lambda r: r.all[-1][1]["message"] == "the end")
    return [one for one in world.recorder.of(taskid) if one[1]["state"] == "importfailed"]


def test_a_failure_is_an_internal_error_and_a_state_update(world: World):
    """With the same record; the message is the error's alone, and the states are in order."""
    StartTaskManagementThread(world.config)
    fails(world)
    (error, why), (update, after) = failures(world)
    assert (error, update) == ("InternalError", "StateUpdate")
    assert "Gone" in why["message"]
    assert after == why | {"message": None}
    assert after["task"] == world.uploads.GetTaskByID("bad")
    told = [(name, status["state"]) for name, status in world.recorder.of("bad")]
    assert told == [
        ("StateUpdate", "startmusicimport"),
        ("StateUpdate", "importingmusic"),
        ("InternalError", "importfailed"),
        ("StateUpdate", "importfailed"),
    ]


def test_a_failed_recovery_is_told_likewise(world: World):
    """A stage that was begun too often: the start tells it."""
    keys = {"contenttype": "album", "albumpath": ALBUM, "attempts": 3}
    world.put("bad", "importingmusic", **keys, updatetime=int(time.time()))
    StartTaskManagementThread(world.config)
    names = [(name, status["message"] is None) for name, status in failures(world)]
    assert names == [("InternalError", False), ("StateUpdate", True)]


def test_a_rejection_is_told_likewise(world: World):
    """`invalidcontent`, too; and the refresh of others is not disturbed."""
    StartTaskManagementThread(world.config)
    (world.root / "music" / ALBUM / "02 Broken.flac").write_bytes(b"no music")
    taskid = world.import_album()
    world.recorder.wait_for_state(taskid, "invalidcontent")
    told = [name for name, state in world.told() if state == "invalidcontent"]
    assert told == ["InternalError", "StateUpdate"]


@pytest.mark.parametrize("state", ["uploadfailed", "remove"])
def test_without_a_message_a_state_update_tells_it_alone(world: World, state: str):
    """There is nothing that an error could say."""
    world.begin()
    world.told()
    world.uploads.UpdateTaskState(world.uploads.GetTaskByID("task"), state)
    assert world.told(messages=True) == [("StateUpdate", state, None)]


def test_a_message_for_a_request_stays_a_request(world: World):
    """Without it the upload would stand still."""
    world.begin()
    task = world.uploads.GetTaskByID("task")
    world.uploads.UpdateTaskState(task, "uploadfailed")
    world.told()
    world.uploads.UpdateTaskState(task, "waitforchunk", "once more")
    assert world.told(messages=True) == [("ChunkRequest", "waitforchunk", "once more")]


def test_what_is_no_entry_into_a_state_is_told_once(world: World):
    """A refused chunk of a task in a failed state, and what a program says of one."""
    task = world.put("bad", "importfailed", contenttype="album", albumpath=ALBUM)
    world.told()
    assert world.uploads.NewChunk("bad", DATA) is False
    assert world.told() == [("InternalError", "importfailed")]
    world.uploads.NotifyClient("InternalError", task, "why")
    assert world.told(messages=True) == [("InternalError", "importfailed", "why")]


def test_a_callback_that_raises_at_the_error_is_told_the_state(world: World):
    """Both times it raises, and nobody else notices."""
    told: list[str] = []

    def raises(notification: str, status: dict[str, Any]) -> None:
        if status["state"] == "importfailed":
            told.append(notification)
            raise RuntimeError

    world.uploads.RegisterCallback(raises)
    StartTaskManagementThread(world.config)
    fails(world)
    assert [name for name, _ in failures(world)] == ["InternalError", "StateUpdate"]
    fails(world, "another")
    failures(world, "another")
    deadline = time.monotonic() + 30
    while len(told) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert told == ["InternalError", "StateUpdate"] * 2


def test_each_call_has_a_status_of_its_own(world: World):
    """What a callback does to the first changes nothing in the second."""
    told: list[dict[str, Any]] = []

    def spoils(notification: str, status: dict[str, Any]) -> None:
        if status["state"] == "importfailed":
            told.append({**status, "task": dict(status["task"])})
            status["task"].clear()
            status["state"] = "spoilt"

    world.uploads.RegisterCallback(spoils)
    StartTaskManagementThread(world.config)
    fails(world)
    _, (_, after) = failures(world)
    deadline = time.monotonic() + 30
    while len(told) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert told[1] == after


def test_a_callback_that_removes_itself_at_the_error_is_told_no_more(world: World):
    """Not even the state that the error was of."""
    once = Recorder()

    def removes_itself(notification: str, status: dict[str, Any]) -> None:
        once(notification, status)
        world.uploads.RemoveCallback(removes_itself)

    task = world.put("ready", "readyforintegration", contenttype="albumfile", uploadpath="x")
    world.uploads.RegisterCallback(removes_itself)
    world.uploads.UpdateTaskState(task, "remove", "not wanted")
    once.wait_for(lambda r: r.all)
    assert world.told() == [("InternalError", "remove"), ("StateUpdate", "remove")]
    assert [name for name, _ in once.all] == ["InternalError"]


def test_the_engine_tells_its_own_subscribers_once(world: World):
    """Only the face's callbacks are told twice."""
    engine = Recorder(world.uploads._shared.engine)
    StartTaskManagementThread(world.config)
    fails(world)
    failures(world)
    engine.wait_for_state("bad", "importfailed")
    assert [name for name, s in engine.all if s["state"] == "importfailed"] == ["InternalError"]
