"""The thread: which managers share an engine, when it works, and when the directory is free."""

from __future__ import annotations

import gc
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest
from musicdbkit import World, write_ini
from musictasks.errors import DirectoryInUse, EngineClosed, SettingsError, TaskManagementStopped
from musictasks.music import Settings, open_library
from musictasks.musicdb import (
    FilesystemManager,
    MusicDatabase,
    MusicDBConfig,
    StartTaskManagementThread,
    StopTaskManagementThread,
    TaskManager,
    UploadManager,
)
from musictasks.testing import Recorder


def test_start_and_stop_say_whether_there_was_something_to_do(world: World):
    """True, then False."""
    assert StopTaskManagementThread() is False  # managers alone are no thread
    assert StartTaskManagementThread(world.config) is True
    assert StartTaskManagementThread(world.config) is False
    assert StopTaskManagementThread() is True
    assert StopTaskManagementThread() is False


def test_tasks_queue_until_the_start(world: World):
    """What was asked for before is done then."""
    taskid = world.import_album()
    world.told()
    assert world.imports.GetTaskByID(taskid)["state"] == "startmusicimport"
    StartTaskManagementThread(world.config, None)
    world.recorder.wait_for_state(taskid, "importcomplete")


def test_a_stop_leaves_the_tasks_to_the_next_start(world: World):
    """Queued before one start, done after it, by managers of before."""
    taskid = world.import_album()
    StopTaskManagementThread()
    StartTaskManagementThread(world.config)
    world.recorder.wait_for_state(taskid, "importcomplete")
    assert taskid in world.imports.GetTasks()


def test_a_saved_task_begins_with_the_start(world: World):
    """All that is in the directory then is worked on, scheduled or not."""
    task = world.scans.CreateNewTask() | {"state": "startfsscan", "contenttype": "any"}
    world.scans.SaveTask(task)
    StartTaskManagementThread(world.config)
    world.recorder.wait_for_state(task["id"], "fsscancomplete")


def test_managers_of_one_directory_share_their_tasks(tmp_path: Path):
    """However the configuration is named: the file, its object, settings, another path to it."""
    world = World(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    world.begin()
    configs = [
        str(world.config.path),
        world.config.path,
        world.config.settings,
        MusicDBConfig(tmp_path / "link" / "musicdb.ini"),
    ]
    for config in configs:
        assert set(TaskManager(config).GetTasks()) == {"task"}


def test_directories_are_apart(tmp_path: Path):
    """Each has its engine; a stop is for all of them."""
    one, other = World(tmp_path / "one"), World(tmp_path / "other")
    one.begin()
    assert other.uploads.GetTasks() == {}
    assert StartTaskManagementThread(one.config)
    assert StartTaskManagementThread(other.config)
    assert StopTaskManagementThread()
    for world in (one, other):
        open_library(world.config.settings).close()


def test_managers_hold_the_directory_until_the_stop(world: World):
    """Nobody else works on it meanwhile; afterwards they say that it is closed."""
    with pytest.raises(DirectoryInUse):
        open_library(world.config.settings)
    StopTaskManagementThread()
    with open_library(world.config.settings):
        for call in (world.uploads.GetTasks, world.scans.InitiateFilesystemScan):
            with pytest.raises(TaskManagementStopped, match="StartTaskManagementThread"):
                call()
        with pytest.raises(DirectoryInUse):
            TaskManager(world.config)
        with pytest.raises(DirectoryInUse):
            StartTaskManagementThread(world.config)


def test_a_new_manager_opens_the_directory_again(world: World):
    """Also for the managers that were there before."""
    world.begin()
    StopTaskManagementThread()
    TaskManager(world.config)
    assert set(world.uploads.GetTasks()) == {"task"}


def test_a_stopped_directory_that_nobody_uses_is_forgotten(tmp_path: Path):
    """Programs that go through many libraries keep nothing of them."""
    world = World(tmp_path)
    known = weakref.ref(world.uploads._shared)
    StopTaskManagementThread()
    del world
    gc.collect()
    assert known() is None


def test_a_stop_from_a_callback(world: World):
    """It ends, and the directory is free."""
    results: list[bool] = []
    stopped = threading.Event()

    def stop(notification: str, status: dict[str, Any]) -> None:
        results.append(StopTaskManagementThread())
        stopped.set()

    world.uploads.RegisterCallback(stop)
    StartTaskManagementThread(world.config)
    world.begin()
    assert stopped.wait(30)
    assert results[0] is True
    open_library(world.config.settings).close()


@pytest.mark.parametrize("config", [None, 5, b"x", {"path": "x"}, MusicDatabase("x")])
def test_a_config_of_another_type_is_refused(config: Any):
    """With a TypeError, by managers and by the start."""
    for call in (TaskManager, StartTaskManagementThread):
        with pytest.raises(TypeError, match="config"):
            call(config)


@pytest.mark.parametrize("database", [5, b"x", Settings.in_directory("x")])
def test_a_database_of_another_type_is_refused(world: World, database: Any):
    """With a TypeError, by managers and by the start."""
    for call in (TaskManager, StartTaskManagementThread):
        with pytest.raises(TypeError, match="database"):
            call(world.config, database)


def test_the_database_is_the_configured_one(world: World, tmp_path: Path):
    """Named in any way; another one is refused, for nothing would be written there."""
    path = tmp_path / "data" / "music.db"
    for database in (None, path, str(path), MusicDatabase(path), MusicDatabase(str(path))):
        TaskManager(world.config, database)
    with pytest.raises(ValueError, match=r"other\.db"):
        TaskManager(world.config, tmp_path / "other.db")


def test_configurations_are_checked_when_they_are_made(tmp_path: Path):
    """A missing file, a bad value, no path at all."""
    with pytest.raises(SettingsError):
        MusicDBConfig(tmp_path / "missing.ini")
    with pytest.raises(SettingsError, match="workers"):
        MusicDBConfig(write_ini(tmp_path, "workers=none\n"))
    for make in (MusicDBConfig, MusicDatabase):
        with pytest.raises(TypeError):
            make(5)  # pyright: ignore[reportArgumentType]


def test_managers_on_an_engine_that_is_open_already(settings: Settings):
    """They work on its tasks, share their callbacks, and neither start nor stop it."""
    with open_library(settings) as engine:
        uploads, scans = UploadManager.on(engine), FilesystemManager.on(engine)
        recorder = Recorder()
        for manager in (uploads, scans):
            manager.RegisterCallback(recorder)
        uploads.RegisterRefreshCallback(lambda: None)
        taskid = scans.InitiateFilesystemScan()
        engine.wait(taskid, {"fsscancomplete"}, timeout=30)
        recorder.wait_for_state(taskid, "fsscancomplete")
        assert [s["state"] for _, s in recorder.all].count("startfsscan") == 1
        assert uploads.GetTaskByID(taskid)["state"] == "fsscancomplete"
        assert StopTaskManagementThread() is False
        assert scans.InitiateFilesystemScan() in scans.GetTasks()
    with pytest.raises(EngineClosed):
        scans.InitiateFilesystemScan()


def test_a_manager_on_something_else_is_refused(settings: Settings):
    """Only an engine of a music library has what managers need."""
    with pytest.raises(TypeError, match="open_library"):
        TaskManager.on(settings)  # pyright: ignore[reportArgumentType]


def test_an_engine_that_nobody_uses_is_let_go(settings: Settings):
    """Managers on it keep it, and nothing else does."""
    with open_library(settings) as engine:
        manager = TaskManager.on(engine)
        manager.RegisterCallback(lambda *_: None)
    gone = weakref.ref(engine)
    del engine, manager
    gc.collect()
    assert gone() is None
