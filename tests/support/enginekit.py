"""What the engine's tests share beyond the kit: played handlers, and clients that upload."""

from __future__ import annotations

import hashlib
import time
from typing import Any

from musictasks.errors import TaskFailed
from musictasks.music import MusicEngine
from musictasks.statemachine import Handler, MusicTask, Outcome, Work, succeed

STAGES = ("preprocessing", "integration", "music import", "artwork import", "file system scan")


def play(task: MusicTask, work: Work) -> Outcome:
    """A handler that has nothing to do."""
    return succeed()


PLAYED: dict[str, Handler] = dict.fromkeys(STAGES, play)


def upload(
    engine: MusicEngine, data: bytes = b"some bytes", size: int = 3, **options: Any
) -> MusicTask:
    """A whole upload, in chunks of `size` bytes."""
    task = begin(engine, data, **options)
    for start in range(0, len(data), size):
        task = engine.receive_chunk(task.id, data[start : start + size], offset=start)
    return task


def begin(engine: MusicEngine, data: bytes = b"some bytes", **options: Any) -> MusicTask:
    options = {
        "content_type": "albumfile",
        "mime_type": "application/pdf",
        "file_size": len(data),
        "checksum": hashlib.sha1(data).hexdigest(),
        "source_filename": "booklet.pdf",
    } | options
    return engine.begin_upload(**options)


def wait_gone(engine: MusicEngine, task_id: str) -> MusicTask:
    """Waits until a task is gone, also through a failed state that does not last."""
    while True:
        try:
            return engine.wait(task_id, {"notexisting"}, timeout=30)
        except TaskFailed:
            time.sleep(0.01)
