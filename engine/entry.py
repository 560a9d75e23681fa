"""What the engine keeps of one task in memory, beside its record."""

from __future__ import annotations

import threading
from collections.abc import Collection
from enum import Enum
from queue import Empty, SimpleQueue

from attrs import define, field

from ..errors import MusicTasksError
from ..persistence import TaskFile
from ..statemachine import Task, Work


@define(eq=False, repr=False)
class Waiter:
    """Somebody who waits for a task to enter one of some states.

    No `Event`: a Ctrl-C between the taking of its lock, which is done in Python code, and the
    block would leave the lock taken, and the engine's thread waiting for it.
    """

    states: Collection[str]
    task_id: str = ""
    _results: SimpleQueue[Task | MusicTasksError] = field(factory=SimpleQueue, init=False)

    def resolve(self, result: Task | MusicTasksError) -> None:
        """The first time counts: what happens before the waiter wakes changes nothing."""
        self._results.put(result)

    def wait(self, timeout_s: float | None) -> Task:
        """Blocks until resolved; `TimeoutError` after `timeout_s` seconds."""
        try:
            result = self._results.get(timeout=None if timeout_s is None else max(timeout_s, 0))
        except Empty:
            wanted = ", ".join(sorted(self.states))
            reason = f"task {self.task_id} did not enter {wanted} in {timeout_s} s"
            raise TimeoutError(reason) from None
        if isinstance(result, Task):
            return result
        raise result


class Absence(Enum):
    """Why a task has no file."""

    #: Its first save makes it.
    NOT_YET = "not yet"
    #: The user deleted it, so the task can only be removed; the next save makes it again.
    DELETED = "deleted"


@define(eq=False, repr=False)
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
    waiters: tuple[Waiter, ...] = ()
    #: Empty until it enters a state: most tasks are loaded, and rest.
    _passed: tuple[Task, ...] = ()

    @property
    def passed(self) -> tuple[Task, ...]:
        """The record at the latest entry into each state, the latest last, for `wait`."""
        return self._passed or (self.record,)

    def enter(self, record: Task, *, anew: bool) -> None:
        """Takes note of the entry into a state; with `anew`, what was before does not count."""
        before = () if anew else self.passed
        self._passed = (*[one for one in before if one.state != record.state], record)
        self.record = record
        self.serial += 1
