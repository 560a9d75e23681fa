"""A scan of the file system, from its beginning to what it found."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import Any

from ..errors import TaskNotFound
from ..music import MusicEngine
from ..statemachine import MusicTask, Role

#: The annotations of a finished scan.
Found = dict[str, Any]


def scanned(engine: MusicEngine, *, exclusive: bool = False) -> Found:
    """What a scan finds, as the annotations of its task.

    One that is under way is waited for. The task is removed if it was made here; with `exclusive`
    (nobody else works with the engine) also one that an earlier run was cut off in.

    Raises:
        TaskFailed: The scan has failed, or somebody else removed its task.
        EngineClosed: The engine was closed meanwhile.
    """
    with ExitStack() as stack:
        earlier = _earlier(engine)
        task = earlier or engine.scan()
        if earlier is None or exclusive:
            # Also a scan that failed, or that Ctrl-C ends, is of no use to anybody.
            stack.callback(_remove, engine, task.id)
        return engine.wait(task.id, "fsscancomplete").annotations


def _earlier(engine: MusicEngine) -> MusicTask | None:
    scans = (task for task in engine.tasks() if task.content_type == "any")
    at_work = {Role.QUEUED, Role.WORKING}
    return next((task for task in scans if engine.lifecycle.role(task.state) in at_work), None)


def _remove(engine: MusicEngine, task_id: str) -> None:
    with suppress(TaskNotFound):
        engine.remove(task_id)
        engine.wait(task_id, engine.lifecycle.gone)
