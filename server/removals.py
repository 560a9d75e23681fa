"""Which tasks clients removed on purpose: an upload of theirs is not found, others are gone."""

from __future__ import annotations

import threading
from collections import OrderedDict

from attrs import define, field

#: So many are told from those that the engine removed by itself, as long as the server runs.
_MOST = 10_000


@define(eq=False)
class Removals:
    """The ids of tasks that clients removed last, on whatever way."""

    _ids: OrderedDict[str, None] = field(factory=OrderedDict, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def add(self, task_id: str) -> None:
        """A client has removed it."""
        with self._lock:
            self._ids[task_id] = None
            self._ids.move_to_end(task_id)
            if len(self._ids) > _MOST:
                self._ids.popitem(last=False)

    def discard(self, task_id: str) -> None:
        """The id is that of a new task."""
        with self._lock:
            self._ids.pop(task_id, None)

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._ids
