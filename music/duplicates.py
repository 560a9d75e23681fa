"""The same bytes are uploaded once at a time: which tasks still have use for theirs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from attrs import define, field

from ..errors import UploadRefused
from ..statemachine import Lifecycle, MusicTask, Task

_Key = tuple[str, str]


@define(eq=False)
class Duplicates:
    """The tasks that have use for uploaded bytes, by content type and SHA-1.

    It is an observer of the engine: it hears of every entry into a state.
    """

    lifecycle: Lifecycle
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    #: The ids of the tasks; the one that was first comes first.
    _tasks: dict[_Key, tuple[str, ...]] = field(factory=dict, init=False)
    _keys: dict[str, _Key] = field(factory=dict, init=False)

    def observe(self, task: Task) -> None:
        """Takes note of what a task has use for in the state that it entered."""
        assert isinstance(task, MusicTask)
        key = None
        if task.upload_path is not None and self.lifecycle.keeps_data(task):
            key = _key(task.content_type, task.source_checksum)
        with self._lock:
            if key is not None and key not in self._tasks and task.id not in self._keys:
                self._keys[task.id], self._tasks[key] = key, (task.id,)  # as most that are loaded
            else:
                self._set(task.id, key)

    def holder(self, content_type: str, checksum: str | None) -> str | None:
        """The id of the task that has use for these bytes, or is about to."""
        key = _key(content_type, checksum)
        with self._lock:
            return None if key is None else next(iter(self._tasks.get(key, ())), None)

    @contextmanager
    def claim(self, content_type: str, checksum: str | None, task_id: str) -> Iterator[None]:
        """Reserves bytes for a task while a block makes it, or lets it begin again.

        If the block raises, they are as free as before.

        Raises:
            UploadRefused: Another task has use for the same bytes; it is named.
        """
        key = _key(content_type, checksum)
        if key is None:
            yield
            return
        with self._lock:
            holder = next((one for one in self._tasks.get(key, ()) if one != task_id), None)
            if holder is not None:
                reason = f"the same bytes are already in upload, as task {holder}"
                raise UploadRefused(reason, holder)
            before = self._keys.get(task_id)
            self._set(task_id, key)
        try:
            yield
        except BaseException:
            with self._lock:
                self._set(task_id, before)
            raise

    def _set(self, task_id: str, key: _Key | None) -> None:
        before = self._keys.get(task_id)
        if before == key:
            return
        if before is not None:
            del self._keys[task_id]
            others = tuple(one for one in self._tasks.pop(before) if one != task_id)
            if others:
                self._tasks[before] = others
        if key is not None:
            self._keys[task_id] = key
            self._tasks[key] = (*self._tasks.get(key, ()), task_id)


def _key(content_type: str | None, checksum: str | None) -> _Key | None:
    if content_type is None or checksum is None:
        return None
    lower = checksum.lower()
    return content_type, checksum if checksum == lower else lower  # the record's own text
