"""Task dictionaries: what counts of them, and when."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest
from musicdbkit import ALBUM, DATA, SONG, World
from musictasks.errors import IllegalTransition, InvalidTaskFile, TransitionRefused
from musictasks.musicdb import StartTaskManagementThread
from musictasks.statemachine import MUSIC, Role

SPEC = {
    "id",
    "state",
    "contenttype",
    "mimetype",
    "annotations",
    "initializationtime",
    "updatetime",
    "filesize",
    "offset",
    "uploadpath",
    "preprocessedpath",
    "sourcefilename",
    "sourcechecksum",
    "videopath",
    "albumpath",
    "albumfilepath",
    "awsourcetype",
    "awsourcepath",
}
ADDED = {"triggerimport", "includeartwork", "attempts", "history", "handlerkeys"}


def test_a_new_task_has_the_documented_keys(world: World):
    """None but id, state and time; neither saved nor known."""
    task = world.uploads.CreateNewTask()
    assert set(task) == SPEC
    assert {key for key in task if task[key] is not None} == {"id", "state", "initializationtime"}
    assert task["state"] == "new"
    assert uuid.UUID(task["id"]).version == 4
    assert isinstance(task["initializationtime"], int)
    assert not world.uploads.ExistsTaskFile(task)
    assert world.uploads.GetTasks() == {}


def test_ids_are_new_each_time(world: World):
    """Version 4 UUIDs, as text."""
    ids = {world.uploads.CreateTaskID() for _ in range(100)}
    assert len(ids) == 100
    assert {uuid.UUID(one).version for one in ids} == {4}


def test_a_known_task_has_the_documented_keys_and_ours(world: World):
    """The dictionary is what the file holds, but for the offset, which the data says."""
    world.begin()
    world.uploads.NewChunk("task", DATA[:5])
    task = world.uploads.GetTaskByID("task")
    assert set(task) == SPEC | ADDED
    assert task == world.stored("task") | {"offset": 5}
    assert task == world.uploads.GetTasks()["task"]


def test_a_dictionary_is_the_callers_until_it_is_saved(world: World):
    """Whatever is done to it, to one of `GetTasks`, or to one of a status, changes nothing."""
    world.begin()
    world.uploads.AnnotateUpload("task", {"a": {"b": 1}})
    before, file = world.uploads.GetTaskByID("task"), world.file("task").read_bytes()
    world.recorder.wait_for(lambda r: len(r.of("task")) == 2)
    given = [
        world.uploads.GetTaskByID("task"),
        world.uploads.GetTasks()["task"],
        world.recorder.of("task")[-1][1]["task"],
    ]
    for task in given:
        task["annotations"]["a"]["b"] = 2
        task["history"].append("x")
        task["state"] = "remove"
    assert world.uploads.GetTaskByID("task") == before
    assert world.file("task").read_bytes() == file


def test_save_takes_the_other_keys(world: World):
    """In the present state all but the engine's own keys are saved, and nobody is told."""
    world.begin()
    world.told()
    task = world.uploads.GetTaskByID("task")
    task["annotations"]["song"] = "S"
    task |= {"albumpath": ALBUM, "mimetype": "x/y", "triggerimport": True, "mine": [1]}
    world.uploads.SaveTask(task | {"offset": 3, "history": [], "attempts": 9, "updatetime": 1})
    assert world.uploads.GetTaskByID("task") == task
    assert world.stored("task") == task
    assert world.told() == []


def test_save_moves_a_task_along_an_edge(world: World):
    """A dictionary in another state goes there, or nowhere."""
    world.begin()
    task = world.uploads.GetTaskByID("task")
    with pytest.raises(IllegalTransition):
        world.uploads.SaveTask(task | {"state": "importcomplete"})
    assert world.uploads.GetTaskByID("task") == task
    world.told()
    world.uploads.SaveTask(task | {"state": "uploadfailed"})
    assert world.uploads.GetTaskByID("task")["state"] == "uploadfailed"
    assert world.told() == [("StateUpdate", "uploadfailed")]  # without a message: no error


def test_update_gives_the_dictionary_what_was_saved(world: World):
    """State, time and history of the record; the caller's own keys went with it."""
    task = world.put("ready", "readyforintegration", contenttype="albumfile", uploadpath="x")
    task["albumfilepath"] = SONG
    world.told()
    world.uploads.UpdateTaskState(task, "startintegration")
    assert task == world.stored("ready") == world.uploads.GetTaskByID("ready")
    assert (task["state"], task["albumfilepath"]) == ("startintegration", SONG)
    assert isinstance(task["updatetime"], int)
    assert world.told() == [("StateUpdate", "startintegration")]


def test_update_with_a_message_is_an_internal_error(world: World):
    """The message is in its status, and in the history; the state is told after it."""
    task = world.put("ready", "readyforintegration", contenttype="albumfile", uploadpath="x")
    world.uploads.UpdateTaskState(task, "remove", "not wanted")
    assert world.told(messages=True) == [
        ("InternalError", "remove", "not wanted"),
        ("StateUpdate", "remove", None),
    ]
    assert task["history"][-1]["message"] == "not wanted"


def test_update_to_the_present_state_does_nothing(world: World):
    """Nothing is saved or told, and the dictionary stays as the caller made it."""
    world.begin()
    world.told()
    file = world.file("task").read_bytes()
    task = world.uploads.GetTaskByID("task") | {"annotations": {"a": 1}}
    world.uploads.UpdateTaskState(task, "waitforchunk", "no")
    assert task["annotations"] == {"a": 1}
    assert world.file("task").read_bytes() == file
    assert world.told() == []


@pytest.mark.parametrize("state", sorted(MUSIC.storable))
def test_update_takes_declared_edges_only(world: World, state: str):
    """From each state to each: where no edge leads, the task, its file and the caller's stay."""
    task = world.put("t", state, contenttype="albumfile", filesize=1, sourcechecksum="a" * 40)
    withheld = {"begin", "recover", "forget"}
    edges = [edge for edge in MUSIC.edges_from(state) if edge.event not in withheld]
    allowed = {edge.target for edge in edges} | {state}
    before = world.file("t").read_bytes()
    for target in sorted({one.name for one in MUSIC.states} - allowed):
        given = dict(task)
        with pytest.raises(IllegalTransition, match=f"to '{target}'"):
            world.uploads.UpdateTaskState(given, target)
        assert given == task
    assert world.uploads.GetTaskByID("t") == task
    assert world.file("t").read_bytes() == before
    if MUSIC.role(state) is not Role.REMOVING:
        world.uploads.UpdateTaskState(task, "remove")
        assert world.uploads.GetTaskByID("t")["state"] == "remove"


def test_an_upload_is_complete_when_its_bytes_are_there(world: World):
    """The guard cannot be talked round."""
    world.begin()
    task = world.uploads.GetTaskByID("task")
    with pytest.raises(TransitionRefused):
        world.uploads.UpdateTaskState(task, "uploadcomplete")


def test_a_new_task_is_saved_and_then_scheduled(world: World):
    """SaveTask stores it and tells of it; its work begins with ScheduleTask."""
    StartTaskManagementThread(world.config)
    task = world.scans.CreateNewTask() | {"state": "startfsscan", "contenttype": "any"}
    world.scans.SaveTask(task)
    assert world.scans.ExistsTaskFile(task)
    world.recorder.wait_for_state(task["id"], "startfsscan")
    other = world.scans.InitiateFilesystemScan()
    world.recorder.wait_for_state(other, "fsscancomplete")
    assert world.scans.GetTaskByID(task["id"])["state"] == "startfsscan"
    world.scans.ScheduleTask(task)
    world.recorder.wait_for_state(task["id"], "fsscancomplete")


def test_a_new_task_is_scheduled_unsaved(world: World):
    """ScheduleTask saves it first; a second time nothing happens."""
    StartTaskManagementThread(world.config)
    task = world.scans.CreateNewTask() | {"state": "startfsscan", "contenttype": "any"}
    world.scans.ScheduleTask(task)
    world.recorder.wait_for_state(task["id"], "fsscancomplete")
    world.scans.ScheduleTask(task)
    assert [s for _, s in world.told()].count("startfsscan") == 1


def test_a_new_task_can_be_moved_to_its_first_state(world: World):
    """UpdateTaskState of a task that is not saved makes it."""
    task = world.scans.CreateNewTask()
    task["contenttype"] = "any"
    world.scans.UpdateTaskState(task, "startfsscan")
    assert task == world.stored(task["id"])
    assert [entry["from"] for entry in task["history"]] == ["new"]


def test_a_saved_upload_waits_for_its_chunks(world: World):
    """The engine names the data file and counts its bytes, whatever the dictionary says."""
    task = world.uploads.CreateNewTask() | {
        "state": "waitforchunk",
        "contenttype": "albumfile",
        "filesize": 3,
        "offset": 2,
        "uploadpath": "elsewhere",
        "sourcechecksum": "a9993e364706816aba3e25717850c26c9cd0d89d",
        "sourcefilename": "a.pdf",
    }
    world.uploads.SaveTask(task)
    world.uploads.ScheduleTask(task)
    saved = world.uploads.GetTaskByID(task["id"])
    assert saved["offset"] == 0
    assert saved["uploadpath"] == f"{task['id']}/albumfile-{task['sourcechecksum']}.pdf"
    assert world.uploads.NewChunk(task["id"], b"abc")
    assert world.uploads.GetTaskByID(task["id"])["state"] == "uploadcomplete"
    assert [name for name, _ in world.told()].count("ChunkRequest") == 1


@pytest.mark.parametrize("state", ["new", "notexisting", "uploadcomplete", "startmusicimport", "x"])
def test_a_task_cannot_begin_anywhere(world: World, state: str):
    """No edge from `new`, or none for its content type: nothing is made."""
    task = world.scans.CreateNewTask() | {"state": state, "contenttype": "any"}
    for call in (world.scans.SaveTask, world.scans.ScheduleTask):
        with pytest.raises(IllegalTransition):
            call(task)
    with pytest.raises(IllegalTransition):
        world.scans.InitiateProcess("x", "", "any", 1, "", "", state)
    assert world.scans.GetTasks() == {}


def test_a_removed_task_does_not_come_back(world: World):
    """What a caller still holds of it cannot be saved."""
    world.begin()
    task = world.uploads.GetTaskByID("task")
    world.uploads.RemoveTask("task")
    assert not world.file("task").exists()
    with pytest.raises(IllegalTransition, match="notexisting"):
        world.uploads.SaveTask(task)
    with pytest.raises(IllegalTransition, match="notexisting"):
        world.uploads.UpdateTaskState(task, "remove")
    world.begin()  # the same file once more is a new upload


def test_remove_takes_the_data_along(world: World):
    """Started or not: task file and data are gone when it returns."""
    for started in (False, True):
        if started:
            StartTaskManagementThread(world.config)
        world.begin()
        world.uploads.NewChunk("task", DATA[:5])
        assert world.uploads.ExistsTaskFile({"id": "task"})
        world.uploads.RemoveTask("task")
        assert not world.uploads.ExistsTaskFile({"id": "task"})
        assert list((world.root / "data" / "uploads").iterdir()) == []


def test_a_task_file_of_musicdb_loads(world: World):
    """Without the keys that we add, and with None for what is not known."""
    task = world.put("t", "importfailed", contenttype="album", albumpath=ALBUM)
    assert task["annotations"] == {}
    assert set(world.stored("t")) == SPEC
    world.uploads.UpdateTaskState(task, "startmusicimport")
    assert world.stored("t")["history"][-1]["to"] == "startmusicimport"


def test_a_task_file_of_ours_holds_all_that_musicdb_reads(world: World):
    """A reader that takes the documented keys finds them, with the documented types."""
    world.begin()
    read = {key: value for key, value in world.stored("task").items() if key in SPEC}
    assert set(read) == SPEC
    assert isinstance(read["annotations"], dict)
    assert read["updatetime"] is None
    numbers = (read["filesize"], read["offset"], read["initializationtime"])
    assert all(isinstance(number, int) for number in numbers)


def test_a_file_that_does_not_load_is_no_task(world: World):
    """It is reported, and never changed."""
    world.file("bad").write_text("{")
    world.uploads.LoadTasks()
    assert world.uploads.ExistsTaskFile({"id": "bad"})
    with pytest.raises(ValueError, match="not a task"):
        world.uploads.GetTaskByID("bad")
    assert world.uploads.NewChunk("bad", b"x") is False
    with pytest.raises(InvalidTaskFile):
        world.uploads.SaveTask(world.uploads.CreateNewTask() | {"id": "bad", "state": "remove"})
    assert world.file("bad").read_text() == "{"


def test_load_sees_what_a_person_did(world: World):
    """Deleted files are removed tasks, in the end; new files are tasks, at once."""
    world.begin()
    other = world.stored("task") | {"id": "other", "uploadpath": None}
    world.file("task").unlink()
    world.file("other").write_text(json.dumps(other))
    world.uploads.LoadTasks()
    tasks = world.uploads.GetTasks()
    assert {key: task["state"] for key, task in tasks.items()} == {
        "task": "remove",
        "other": "waitforchunk",
    }


@pytest.mark.parametrize("name", ["../task", "task/../task", "", "a" * 65, "task\n"])
def test_an_id_that_is_none_has_no_file(world: World, name: str):
    """No path is made of it."""
    world.begin()
    assert not world.uploads.ExistsTaskFile({"id": name})


def test_nothing_is_lost_when_the_disk_is_the_users(world: World, tmp_path: Path):
    """A key that a person wrote into the file survives what a program saves."""
    world.begin()
    task = world.uploads.GetTaskByID("task")
    world.file("task").write_text(json.dumps(world.stored("task") | {"by": "hand"}))
    world.uploads.SaveTask(task | {"annotations": {"a": 1}})
    saved = world.stored("task")
    assert (saved["by"], saved["annotations"]) == ("hand", {"a": 1})
