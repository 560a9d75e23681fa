"""Finds tasks by what they are about, without a look at all of them each time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress

from attrs import define, field

from ..errors import MusicTasksError, TaskNotFound
from ..music import MusicEngine
from ..statemachine import MusicTask


@define(eq=False)
class TaskIndex:
    """The ids of tasks, by checksum for uploads, by path for imports.

    Made with one look at all tasks; then notifications keep it up to date. They may come late, so
    what is found is looked up, and what is not found may be there all the same.
    """

    engine: MusicEngine
    #: The values are ids, in their order; None means nothing.
    _ids: dict[tuple[str, str], dict[str, None]] = field(factory=dict, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def __attrs_post_init__(self) -> None:
        for task in self.engine.tasks():
            self._add(task)

    def read(self, task_id: str) -> None:
        """Looks at a task that is new, or not what it was."""
        with suppress(MusicTasksError):  # it is gone, or its file was broken
            self._add(self.engine.get(task_id))

    def uploads(self, checksum: str) -> list[MusicTask]:
        """The tasks that bring in a file with this SHA-1, the oldest first."""
        return self._tasks(("upload", checksum.lower()))

    def imports(self, path: str) -> list[MusicTask]:
        """The tasks that import this album or video, or its artwork, and are no uploads."""
        return self._tasks(("import", path))

    def _add(self, task: MusicTask) -> None:
        with self._lock:
            for key in _keys(task):
                self._ids.setdefault(key, {})[task.id] = None

    def _tasks(self, key: tuple[str, str]) -> list[MusicTask]:
        with self._lock:
            ids = list(self._ids.get(key, ()))
        return list(self._there(key, ids))

    def _there(self, key: tuple[str, str], ids: list[str]) -> Iterator[MusicTask]:
        for task_id in ids:
            try:
                yield self.engine.get(task_id)
            except TaskNotFound:
                with self._lock:
                    self._ids[key].pop(task_id, None)


def _keys(task: MusicTask) -> Iterator[tuple[str, str]]:
    if task.source_checksum:
        yield "upload", task.source_checksum.lower()
    if task.upload_path is None:
        yield from (("import", path) for path in (task.album_path, task.video_path) if path)
