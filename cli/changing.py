"""`musictasks remove` and `musictasks retry`: they wait until the task rests or is gone."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from rich.console import Console

from ..errors import TaskNotFound
from ..intake import Watch
from ..music import MusicEngine, Settings
from ..statemachine import MUSIC, MusicTask, Role
from .opening import open_engine
from .output import say

_RESTS = frozenset({Role.WAITING, Role.FINISHED, Role.FAILED})


def run_remove(arguments: argparse.Namespace, settings: Settings, console: Console) -> int:
    _change(arguments.id, settings, console, lambda engine: engine.remove(arguments.id))
    say(console, f"task {arguments.id} is removed")
    return 0


def run_retry(arguments: argparse.Namespace, settings: Settings, console: Console) -> int:
    task = _change(arguments.id, settings, console, lambda engine: engine.retry(arguments.id))
    if task is None:
        say(console, f"task {arguments.id} is done, and removed")
        return 0
    say(console, f"task {task.id} is in {task.state}", f": {task.message}" if task.message else "")
    if task.state == "waitforchunk":
        say(console, "it waits for its data: add the file again, and the upload goes on")
    return 1 if MUSIC.role(task.state) is Role.FAILED else 0


def _change(
    task_id: str, settings: Settings, console: Console, change: Callable[[MusicEngine], MusicTask]
) -> MusicTask | None:
    """Changes the task; returns it as it rests, or None when it is gone."""
    engine = open_engine(settings)
    watch = Watch(lambda _, message: say(console, f"{message}; trying again"))
    try:
        watch.follow(engine)
        with engine:
            change(engine)
            return _rested(engine, task_id, watch)
    finally:
        engine.close()


def _rested(engine: MusicEngine, task_id: str, watch: Watch) -> MusicTask | None:
    while True:
        watch.about_to_look()
        try:
            task = engine.get(task_id)
        except TaskNotFound:
            return None
        if MUSIC.role(task.state) in _RESTS:
            return task
        watch.wait()
