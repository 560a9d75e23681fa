"""A scan of the file system, from its beginning to what it found."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import Any

from ..errors import TaskNotFound
from ..music import MusicEngine
from ..statemachine import MusicTask, Role

#: The annotations of a finished scan.
Found = dict[str, Any]


def scanned(engine: MusicEngine, *, cut_off: MusicTask | None = None) -> Found:
    """What a scan finds, as the annotations of its task.

    One that is under way is waited for, and left to whoever made it. What was made here is removed.

    Args:
        engine: Where it scans; it is started.
        cut_off: A scan of an earlier run (`unfinished_scan`) to go on with, and to remove.

    Raises:
        TaskFailed: The scan has failed, or somebody else removed its task.
        EngineClosed: The engine was closed meanwhile.
    """
    with ExitStack() as stack:
        others = None if cut_off else unfinished_scan(engine)
        task = cut_off or others or engine.scan()
        if others is None:
            # Also a scan that failed, or that Ctrl-C ends, is of no use to anybody.
            stack.callback(_remove, engine, task.id)
        return engine.wait(task.id, "fsscancomplete").annotations


def unfinished_scan(engine: MusicEngine) -> MusicTask | None:
    """A scan that waits or works.

    Before the engine is started it is one that an earlier run was cut off in; once started, the
    engine goes on with it by itself, and it may be complete before anybody asks.
    """
    scans = (task for task in engine.tasks() if task.content_type == "any")
    at_work = {Role.QUEUED, Role.WORKING}
    return next((task for task in scans if engine.lifecycle.role(task.state) in at_work), None)


def _remove(engine: MusicEngine, task_id: str) -> None:
    with suppress(TaskNotFound):
        engine.remove(task_id)
        engine.wait(task_id, engine.lifecycle.gone)
