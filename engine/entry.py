"""What the engine keeps of one task in memory, beside its record."""

from __future__ import annotations

import threading
from collections.abc import Collection

from attrs import define, field

from ..errors import EngineClosed, MusicTasksError
from ..files import UploadData
from ..persistence import TaskFile
from ..statemachine import Task, Work


@define(eq=False)
class Waiter:
    """Somebody who waits for a task to enter one of some states."""

    states: Collection[str]
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
            raise TimeoutError(f"none of {sorted(self.states)} was entered in {timeout_s} s")
        if isinstance(self._result, Task):
            return self._result
        raise self._result or EngineClosed()


@define(eq=False)
class Entry:
    """One task in memory. Whoever changes anything of it holds its lock."""

    record: Task
    file: TaskFile
    #: False: there is no task file (not yet, or the user deleted it), so the next save makes it.
    stored: bool
    #: True from when the user deleted the task file: the task can only go to `remove`.
    deleted: bool = False
    #: True: the `remove` that follows a deletion could not be saved, and is tried again.
    removal_kept: bool = False
    lock: threading.Lock = field(factory=threading.Lock)
    #: True: stored, but what its first state starts waits until somebody schedules it.
    held: bool = False
    #: True while a client moves the task because of an error, which is notified as one.
    erring: bool = False
    #: Counts the entries into states: an outcome counts only for the one it was started for.
    serial: int = 0
    #: What the running worker was given; None where none runs.
    work: Work | None = None
    upload: UploadData | None = None
    #: The record at the latest entry into each state, for `wait`.
    passed: dict[str, Task] = field(factory=dict)
    waiters: list[Waiter] = field(factory=list)
