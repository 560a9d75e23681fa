"""What the engine's tests share: a recorder, played handlers, workers without threads."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from musictasks.engine import Engine
from musictasks.errors import TaskFailed
from musictasks.statemachine import Outcome, Task, Work, succeed

STAGES = ("preprocessing", "integration", "music import", "artwork import", "file system scan")


class InlineExecutor(Executor):
    """Works at once, in the thread that submits: so every order is the same each time."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future


class Recorder:
    """Keeps the notifications, and lets a test wait for one."""

    def __init__(self, engine: Engine) -> None:
        self.all: list[tuple[str, dict[str, Any]]] = []
        self._changed = threading.Condition()
        engine.subscribe(self)

    def __call__(self, notification: str, status: dict[str, Any]) -> None:
        with self._changed:
            self.all.append((notification, status))
            self._changed.notify_all()

    def of(self, task_id: str) -> list[tuple[str, dict[str, Any]]]:
        return [(name, status) for name, status in self.all if status["taskid"] == task_id]

    def states(self, task_id: str) -> list[str]:
        """The states a task was reported in, one for each entry."""
        states: list[str] = []
        for _, status in self.of(task_id):
            if not states or states[-1] != status["state"]:
                states.append(status["state"])
        return states

    def wait_for(self, wanted: Callable[[Recorder], object], timeout_s: float = 30) -> None:
        """Blocks until `wanted(recorder)` is true; the time limit is for broken code only."""
        with self._changed:
            assert self._changed.wait_for(lambda: bool(wanted(self)), timeout_s), self.all


def play(task: Task, work: Work) -> Outcome:
    """A handler that has nothing to do."""
    return succeed()


PLAYED = dict.fromkeys(STAGES, play)


def upload(engine: Engine, data: bytes = b"some bytes", **options: Any) -> Task:
    """A whole upload, in chunks of three bytes."""
    task = begin(engine, data, **options)
    for start in range(0, len(data), 3):
        task = engine.receive_chunk(task.id, data[start : start + 3], offset=start)
    return task


def begin(engine: Engine, data: bytes = b"some bytes", **options: Any) -> Task:
    options = {
        "content_type": "albumfile",
        "mime_type": "application/pdf",
        "file_size": len(data),
        "checksum": hashlib.sha1(data).hexdigest(),
        "source_filename": "booklet.pdf",
    } | options
    return engine.begin_upload(**options)


def wait_gone(engine: Engine, task_id: str) -> Task:
    """Waits until a task is gone, also through a failed state that does not last."""
    while True:
        try:
            return engine.wait(task_id, {"notexisting"}, timeout=30)
        except TaskFailed:
            time.sleep(0.01)
