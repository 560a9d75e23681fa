"""What the engine keeps of one task in memory, beside its record."""

from __future__ import annotations

import threading
from collections.abc import Collection
from enum import Enum

from attrs import define, field

from ..errors import EngineClosed, MusicTasksError
from ..persistence import TaskFile
from ..statemachine import Task, Work


@define(eq=False)
class Waiter:
    """Somebody who waits for a task to enter one of some states."""

    states: Collection[str]
    task_id: str = ""
    _happened: threading.Event = field(factory=threading.Event, init=False)
    _result: Task | MusicTasksError | None = field(default=None, init=False)

    def resolve(self, result: Task | MusicTasksError) -> None:
        """The first time counts: what happens before the waiter wakes changes nothing."""
        if not self._happened.is_set():
            self._result = result
            self._happened.set()

    def wait(self, timeout_s: float | None) -> Task:
        """Blocks until resolved; `TimeoutError` after `timeout_s` seconds."""
        if not self._happened.wait(timeout_s):
            wanted = ", ".join(sorted(self.states))
            raise TimeoutError(f"task {self.task_id} did not enter {wanted} in {timeout_s} s")
        if isinstance(self._result, Task):
            return self._result
        raise self._result or EngineClosed()


class Absence(Enum):
    """Why a task has no file."""

    #: Its first save makes it.
    NOT_YET = "not yet"
    #: The user deleted it, so the task can only be removed; the next save makes it again.
    DELETED = "deleted"


@define(eq=False)
class Entry:
    """One task in memory. Whoever changes anything of it holds its lock."""

    #: What is known of the task now.
    record: Task
    #: What its file holds: the record that was saved or loaded last, or why there is no file.
    saved: Task | Absence
    file: TaskFile
    lock: threading.Lock = field(factory=threading.Lock)
    #: Counts the entries into states: an outcome counts only for the one it was started for.
    serial: int = 0
    #: The serial of the entry whose work has been started; below `serial` it still has to be.
    started: int = -1
    #: What the running worker was given; None where none runs.
    worker: Work | None = None
    #: When a client last did something that no save of the task file shows, in unix seconds.
    active_at: float = 0.0
    #: The record at the latest entry into each state, for `wait`.
    passed: dict[str, Task] = field(factory=dict)
    waiters: list[Waiter] = field(factory=list)
