"""States that have another name than before: the declaration checked, and records taken over."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from attrs import evolve

from ..errors import LifecycleError
from .record import HistoryEntry, Task

T = TypeVar("T", bound=Task)


def check_renamed(renamed: Any, states: Collection[str]) -> None:
    """Checks `Lifecycle.renamed`.

    An old name is the name of no state, and a new name is. So what a file says is never ambiguous,
    and a record that was taken over stays as it is when it is taken over again.

    Raises:
        LifecycleError: It names the old name.
    """
    if not isinstance(renamed, Mapping):
        raise LifecycleError("renamed", f"{renamed!r} maps no old names to new ones")
    for old, new in renamed.items():
        where = f"renamed state {old!r}"
        if not isinstance(old, str) or not old:
            raise LifecycleError(where, "an old name is text")
        if old in states:
            raise LifecycleError(where, "the lifecycle still has a state of the old name")
        if new in renamed:
            end = _end(renamed, old)
            hint = "in a circle" if end is None else f"say {{{old!r}: {end!r}}}"
            raise LifecycleError(where, f"a chain: {new!r} is an old name, too; {hint}")
        if new not in states:
            raise LifecycleError(where, f"there is no state {new!r}")


def _end(renamed: Mapping[str, str], name: str) -> str | None:
    seen: set[str] = set()
    while name in renamed and name not in seen:
        seen.add(name)
        name = renamed[name]
    return None if name in renamed else name


def with_new_names(task: T, renamed: Mapping[str, str]) -> T:
    """The record with the names of today, in its state and its history; the same where it has none.

    The history follows, for guards ask where a task came from, and its last entry names the state.
    """
    if not renamed:
        return task
    history = tuple(_entry(entry, renamed) for entry in task.history)
    state = renamed.get(task.state, task.state)
    if state == task.state and all(map(_is, history, task.history)):
        return task
    return evolve(task, state=state, history=history)


def _is(one: object, other: object) -> bool:
    return one is other


def _entry(entry: HistoryEntry, renamed: Mapping[str, str]) -> HistoryEntry:
    if entry.source not in renamed and entry.target not in renamed:
        return entry
    source = renamed.get(entry.source, entry.source)
    target = renamed.get(entry.target, entry.target)
    return evolve(entry, source=source, target=target)
