"""All tasks by their content type, as MusicDB's WebSocket tells them."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from heapq import nlargest

import orjson
from attrs import define, field, frozen

from ..music import MusicEngine, as_dictionary
from ..statemachine import ContentType, MusicTask

#: The key of each content type's list.
_KEYS = {
    ContentType.VIDEO: "videos",
    ContentType.ALBUMFILE: "albumfiles",
    ContentType.ALBUM: "albums",
    ContentType.ARTWORK: "artworks",
    ContentType.ANY: "any",
}


@frozen(eq=False)
class TaskList:
    """The list that goes with a notification."""

    json: orjson.Fragment
    #: The tasks in it; None: all.
    ids: frozenset[str] | None

    def has(self, task_id: str | None) -> bool:
        return self.ids is None or task_id is None or task_id in self.ids


@define(eq=False)
class TaskLists:
    """The lists of an engine's tasks, as JSON that goes into packets."""

    _engine: MusicEngine
    #: The most tasks in a list that goes with a notification.
    _bound: int
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    #: By id, the record that was written last, and what it became: most are the same next time.
    _written: dict[str, tuple[MusicTask, orjson.Fragment]] = field(factory=dict, init=False)

    def all(self) -> orjson.Fragment:
        """All tasks, the oldest first."""
        return _lists((task.content_type, as_dictionary(task)) for task in self._engine.tasks())

    def bounded(self, content_type: str | None, task_id: str | None) -> TaskList:
        """All tasks; beyond the bound those of a content type, or of any, that changed last.

        Args:
            content_type: None means any.
            task_id: A task that is told of, and so has changed just now.
        """
        tasks, whole = self._engine.tasks(), True
        if len(tasks) > self._bound:
            tasks, whole = self._changed_last(tasks, content_type, task_id), False
        with self._lock:
            if len(self._written) > 4 * self._bound:
                self._written.clear()
            json = _lists((task.content_type, self._write(task)) for task in tasks)
        return TaskList(json, None if whole else frozenset(task.id for task in tasks))

    def _changed_last(
        self, tasks: list[MusicTask], content_type: str | None, task_id: str | None
    ) -> list[MusicTask]:
        places = [
            (task.id == task_id, task.update_time or task.initialization_time or 0, place)
            for place, task in enumerate(tasks)
            if content_type is None or task.content_type == content_type
        ]
        return [tasks[place] for place in sorted(p for *_, p in nlargest(self._bound, places))]

    def _write(self, task: MusicTask) -> orjson.Fragment:
        record, fragment = self._written.get(task.id, (None, None))
        if record is not task or fragment is None:
            fragment = orjson.Fragment(orjson.dumps(as_dictionary(task)))
            self._written[task.id] = (task, fragment)
        return fragment


def _lists(tasks: Iterable[tuple[str | None, object]]) -> orjson.Fragment:
    lists: dict[str, list[object]] = {key: [] for key in _KEYS.values()}
    for content_type, task in tasks:
        lists[_key(content_type)].append(task)
    return orjson.Fragment(orjson.dumps(lists))


def _key(content_type: str | None) -> str:
    """Tasks of no content type, or of one that MusicDB has no list for, are among `any`."""
    return next((key for known, key in _KEYS.items() if known == content_type), "any")
