"""Running a handler: what it is given, and what becomes of whatever it does."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from attrs import fields, frozen

from ..files import OwnedDirectories
from ..statemachine import Handler, Lifecycle, Outcome, Task, Work, WorkStopped, fail
from ..statemachine.evolving import evolve
from ..statemachine.machine import RESERVED

#: A progress notification at most four times a second.
_PROGRESS_EVERY_S = 0.25
#: Fields of every record that an outcome cannot set, besides those that no event can.
_ENGINES = frozenset({"attempts", "initialization_time", "update_time"})


#: Raises if a record cannot be saved in which these fields were set.
Check = Callable[[Task, Collection[str]], object]


class TaskWork(Work):
    """The work of a handler in another process: it reports nothing and never says stopped."""

    def __init__(self, directories: OwnedDirectories, task_id: str) -> None:
        super().__init__()
        self._directories = directories
        self._task_id = task_id

    @property
    def directory(self) -> Path:
        if self._directory is None:
            self._directory = self._directories.make(self._task_id)
        return self._directory


class LocalWork(TaskWork):
    """The work of a handler in this process: it reports, and can be asked to stop."""

    def __init__(
        self,
        directories: OwnedDirectories,
        task_id: str,
        report: Callable[[int, int, str | None], object],
    ) -> None:
        super().__init__(directories, task_id)
        self._report = report
        self._stopped = False
        self._reported_s = float("-inf")

    @property
    def stopped(self) -> bool:
        return self._stopped

    def stop(self) -> None:
        self._stopped = True

    def progress(self, done: int, total: int, path: str | None = None) -> None:
        now_s = time.monotonic()
        if done >= total or now_s - self._reported_s >= _PROGRESS_EVERY_S:
            self._reported_s = now_s
            self._report(done, total, path)

    def __reduce__(self) -> tuple[type[Work], tuple[OwnedDirectories, str]]:
        return TaskWork, (self._directories, self._task_id)


@frozen(eq=False, repr=False)
class Stopped:
    """The handler ended because it was asked to."""


def run(handler: Handler, task: Task, work: Work) -> Outcome | Stopped:
    """Runs in a worker, perhaps of another process; whatever the handler raises is a `fail`."""
    try:
        outcome = handler(task, work)
    except WorkStopped:
        return Stopped()
    except BaseException as error:
        return fail(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
    if not isinstance(outcome, Outcome):
        return fail(f"the handler returned {_shown(outcome)} and no Outcome")
    return outcome


def checked(
    outcome: Outcome,
    task: Task,
    lifecycle: Lifecycle,
    check: Callable[[Task, Collection[str]], object],
) -> Outcome:
    """The outcome, or a `fail` with the reason if it cannot be taken."""
    wrong = _wrong(outcome, task, lifecycle, check)
    return outcome if wrong is None else fail(f"the handler's outcome cannot be taken: {wrong}")


def _wrong(
    outcome: Outcome,
    task: Task,
    lifecycle: Lifecycle,
    check: Callable[[Task, Collection[str]], object],
) -> str | None:
    allowed = {"succeed", "fail", "reject"} & set(lifecycle.events_from(task.state))
    if outcome.event not in allowed:
        return f"event {_shown(outcome.event)} is none of {', '.join(sorted(allowed))}"
    if outcome.message is not None and not isinstance(outcome.message, str):
        return f"its message {_shown(outcome.message)} is no text"
    for what, value in (("changes", outcome.changes), ("annotations", outcome.annotations)):
        if not isinstance(value, Mapping):
            return f"its {what} {_shown(value)} are no mapping"
    unknown = set(outcome.changes) - _settable(type(task))
    if unknown:
        return f"its changes cannot set {', '.join(sorted(map(str, unknown)))}"
    try:
        if outcome.message is not None:
            outcome.message.encode("utf-8")
        if not outcome.changes and not outcome.annotations:
            return None
        trial = task.annotated(outcome.annotations, by_handler=True)
        check(evolve(trial, **outcome.changes), outcome.changes)
    except Exception as error:
        return str(error)
    return None


@cache
def _settable(kind: type[Task]) -> frozenset[str | None]:
    """The fields of a record that an outcome can set, by their Python names."""
    return frozenset(item.alias for item in fields(kind)) - RESERVED - _ENGINES


def _shown(value: Any) -> str:
    return repr(value)[:200]
