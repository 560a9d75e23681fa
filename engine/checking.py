"""What a lifecycle would make of the stored tasks, before it is let at them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attrs import frozen

from ..errors import InvalidPath, InvalidTaskFile, TaskFileDeleted
from ..files import Directory
from ..persistence import TaskFile, TaskStore, Upgrade, make_converter
from ..statemachine import Lifecycle, Task
from ..statemachine.comparing import at_start
from ..statemachine.walks import BrokenStep, broken_step

_REPAIR = "repair the file, or bring its content up to date (`upgrade`)"
_PAST = "nothing has to be done, unless a guard asks where the task came from"


@frozen(kw_only=True)
class TaskCheck:
    """What a lifecycle would make of one stored task."""

    #: The file's name without `.json`.
    task_id: str
    path: Path
    #: Whether an engine with the lifecycle would take the task in.
    loads: bool
    #: The state's name today; as it was, where it is not known. None: the file cannot be read.
    state: str | None = None
    #: Whether the lifecycle stores tasks in this state.
    has_state: bool = False
    #: Whether the history is a walk of the lifecycle.
    is_walk: bool = False
    #: The file has names that states had before; a start writes those of today.
    is_renamed: bool = False
    #: What an engine would do with the task at its start.
    does: str | None = None
    #: What is wrong, and what to do.
    reason: str | None = None
    advice: str | None = None

    @property
    def is_good(self) -> bool:
        """Nothing has to be done: a history that is no walk hinders nothing, it is worth a look."""
        return self.loads

    def as_dictionary(self) -> dict[str, Any]:
        """What JSON can hold."""
        return {
            "id": self.task_id,
            "path": str(self.path),
            "good": self.is_good,
            "loads": self.loads,
            "state": self.state,
            "hasstate": self.has_state,
            "iswalk": self.is_walk,
            "isrenamed": self.is_renamed,
            "does": self.does,
            "reason": self.reason,
            "advice": self.advice,
        }


def check_tasks(
    tasks: Path, lifecycle: Lifecycle, *, upgrade: Upgrade | None = None
) -> tuple[TaskCheck, ...]:
    """For every stored task: whether it loads, its state is there, and its history a walk.

    Only reads, and takes no lock: it works beside an engine of the former version. A file that
    goes meanwhile is left out.

    Args:
        tasks: The directory of the task files; without it there are no tasks.
        lifecycle: The one that is to come.
        upgrade: That of `open_engine`.

    Raises:
        LifecycleError: The lifecycle is not whole, or its record cannot be written into a file.
        OSError: The directory cannot be read.
    """
    lifecycle.check()
    store = TaskStore(Directory(tasks), make_converter(lifecycle, upgrade))
    if not tasks.is_dir():
        return ()
    found = (_check(store, lifecycle, name) for name in store.all_names())
    return tuple(one for one in found if one is not None)


def _check(store: TaskStore, lifecycle: Lifecycle, name: str) -> TaskCheck | None:
    path = store.directory.root / f"{name}.json"
    try:
        file, task = store.load(name)
    except TaskFileDeleted:
        return None
    except (InvalidTaskFile, InvalidPath) as error:
        return _refused(store, lifecycle, name, error.reason)
    step = broken_step(lifecycle, task)
    return TaskCheck(
        task_id=name,
        path=path,
        state=task.state,
        loads=True,
        has_state=True,
        is_walk=step is None,
        is_renamed=file.has_old_names,
        does=at_start(lifecycle, task.state),
        reason=None if step is None else str(step),
        advice=None if step is None else _advice(step),
    )


def _refused(store: TaskStore, lifecycle: Lifecycle, name: str, reason: str) -> TaskCheck | None:
    """A file that does not load: perhaps for nothing but its state, or its history."""
    path = store.directory.root / f"{name}.json"
    try:
        file = store.task_file(name)
        task = file.reload()
    except TaskFileDeleted:
        return None
    except (InvalidTaskFile, InvalidPath):
        return TaskCheck(task_id=name, path=path, loads=False, reason=reason, advice=_REPAIR)
    return _unstored(file, lifecycle, path, task, reason)


def _unstored(
    file: TaskFile, lifecycle: Lifecycle, path: Path, task: Task, reason: str
) -> TaskCheck:
    has_state = task.state in lifecycle.storable
    renamed = f"declare its new name, `renamed={{{task.state!r}: ...}}`"
    advice = (
        _REPAIR
        if has_state
        else f"{renamed}, or keep the state as one that leads on, or let the version before "
        "finish or remove the task"
    )
    return TaskCheck(
        task_id=task.id,
        path=path,
        state=task.state,
        loads=False,
        has_state=has_state,
        is_walk=broken_step(lifecycle, task) is None,
        is_renamed=file.has_old_names,
        reason=reason,
        advice=advice,
    )


def _advice(step: BrokenStep) -> str:
    if not step.unknown:
        return _PAST
    names = ", ".join(f"{name!r}: ..." for name in step.unknown)
    return f"if it has another name now, declare `renamed={{{names}}}`; else {_PAST}"
