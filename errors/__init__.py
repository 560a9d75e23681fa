"""Every exception of musictasks: its data as attributes, its message with the remedy.

All are `MusicTasksError`, and all can be pickled (handlers may run in other processes).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, dataclass_transform


@dataclass_transform(eq_default=False)
class MusicTasksError(Exception):
    """The base of everything that musictasks raises on purpose.

    What a class annotates is its data: the constructor takes it in this order or by name, it is
    found in attributes, and its names are in `__match_args__`. (attrs would do the same, with a
    constructor compiled for each class: a fifth of the time of `import musictasks.engine`.)
    """

    __match_args__: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.__match_args__ = (*cls.__match_args__, *cls.__annotations__)

    def __init__(self, *values: object, **named: object) -> None:
        names = self.__match_args__
        data = dict(zip(names, values, strict=False)) | named
        if len(data) < len(values) + len(named) or not data.keys() <= set(names):
            raise TypeError(f"{type(self).__name__} takes {', '.join(names) or 'nothing'}")
        for name in names:
            if name not in data:
                data[name] = self._default(name)
        super().__init__(*(data[name] for name in names))
        self.__dict__.update(data)

    def _default(self, name: str) -> object:
        if not hasattr(type(self), name):
            raise TypeError(f"{type(self).__name__} needs {name}")
        return getattr(type(self), name)

    def __repr__(self) -> str:
        data = (f"{name}={getattr(self, name)!r}" for name in self.__match_args__)
        return f"{type(self).__name__}({', '.join(data)})"

    def __reduce__(self) -> tuple[type[MusicTasksError], tuple[object, ...]]:
        # tblib, which Dask installs for all exceptions, would make it without its arguments.
        return type(self), self.args


class TaskNotFound(MusicTasksError):
    """No task has this id: it was never made, or it has been removed."""

    task_id: str

    def __str__(self) -> str:
        return f"there is no task {self.task_id!r}: it was never made, or it is removed already"


class IllegalTransition(MusicTasksError):
    """The declaration has no edge for this event from the task's state.

    The task, its file and its data are as before, and nobody was notified.
    """

    task_id: str
    state: str
    event: str
    #: The events that the declaration knows in this state.
    allowed: Sequence[str]

    def __str__(self) -> str:
        allowed = ", ".join(self.allowed) or "none"
        return (
            f"task {self.task_id} is in state {self.state!r}, where the event {self.event!r} is "
            f"not allowed; allowed there: {allowed}"
        )


class TransitionRefused(IllegalTransition):
    """An edge for this event exists, but its guard refused the task or the event's payload."""

    #: The names of the guards that said no.
    guards: Sequence[str]

    def __str__(self) -> str:
        return (
            f"task {self.task_id} in state {self.state!r}: the event {self.event!r} was refused "
            f"by {', '.join(self.guards)}"
        )


class StateIllegal(IllegalTransition):
    """A program named a state that it cannot take the task to; nothing has changed."""

    target: str
    #: The states that a program can take it to.
    reachable: Sequence[str]

    def __str__(self) -> str:
        reachable = ", ".join(self.reachable) or "none"
        return (
            f"task {self.task_id} is in state {self.state!r}, from which no program can take it "
            f"to {self.target!r}; it can to: {reachable}"
        )


class StateRefused(TransitionRefused):
    """A program named a state that the task may not enter as it is; nothing has changed."""

    target: str

    def __str__(self) -> str:
        return (
            f"task {self.task_id} cannot go from {self.state!r} to {self.target!r}: refused by "
            f"{', '.join(self.guards)}"
        )


class TaskFailed(MusicTasksError):
    """A task that somebody waited for has failed, was rejected, or is being removed."""

    task_id: str
    state: str
    reason: str | None

    def __str__(self) -> str:
        return f"task {self.task_id} ended in {self.state!r}: {self.reason or 'no reason given'}"


class TaskNotSaved(MusicTasksError):
    """The task file could not be written, so nothing has changed; `__cause__` says why."""

    task_id: str
    reason: str

    def __str__(self) -> str:
        return (
            f"task {self.task_id} could not be saved ({self.reason}); nothing has changed: "
            "make room or repair the disk, then call again"
        )


class TaskExists(MusicTasksError):
    """A task of this id is there already, or a task file that does not load."""

    task_id: str

    def __str__(self) -> str:
        return f"the id {self.task_id} is known already: choose another, or none"


class TaskInvalid(MusicTasksError, ValueError):
    """A record cannot hold what it was given; nothing has changed."""

    task_id: str
    reason: str

    def __str__(self) -> str:
        return f"the record cannot hold this: {self.reason}"


class UploadRefused(MusicTasksError):
    """An upload was not begun. `task_id` names the task that stands in the way, if one does."""

    reason: str
    task_id: str | None = None

    def __str__(self) -> str:
        return f"upload refused: {self.reason}"


class ChunkRefused(MusicTasksError):
    """A chunk was not taken; the upload stands where it stood and goes on at `offset`."""

    task_id: str
    reason: str
    #: Where the upload stands, in bytes; None where the task is not waiting for a chunk.
    offset: int | None = None

    def __str__(self) -> str:
        at = "" if self.offset is None else f"; the upload goes on at byte {self.offset}"
        return f"chunk for task {self.task_id} refused: {self.reason}{at}"


class InvalidPath(MusicTasksError):
    """A path or a name that is not what it has to be, or that leads out of its directory."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{f'invalid path {self.path!r}' if self.path else 'no path'}: {self.reason}"


class InvalidTaskFile(MusicTasksError):
    """A task file that does not load. It is left as it is; repair or delete it."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path} is not a task: {self.reason}; repair the file or delete it"


class FileChanged(MusicTasksError):
    """A file is not the one that was loaded or saved last; it was not touched."""

    path: str

    def __str__(self) -> str:
        return f"{self.path} was edited by somebody else: read it again before saving it"


class TaskFileEdited(MusicTasksError):
    """A person edited the task file, so it was not saved: reload it, merge, and save again."""

    task_id: str

    def __str__(self) -> str:
        return f"the file of task {self.task_id} was edited: reload it before saving it"


class TaskFileDeleted(MusicTasksError):
    """A person deleted the task file, so it was not saved: the task has to be removed."""

    task_id: str

    def __str__(self) -> str:
        return f"the file of task {self.task_id} was deleted: the task has to be removed"


class DirectoryInUse(MusicTasksError):
    """Another process owns the tasks directory."""

    path: str
    #: The process that holds it, if it could be found out.
    pid: int | None = None
    #: Since when, in unix seconds.
    since: float | None = None

    def __str__(self) -> str:
        holder = "another process" if self.pid is None else f"process {self.pid}"
        return f"{self.path} is in use by {holder}: stop it first, or use another directory"


class EngineClosed(MusicTasksError):
    """The engine was closed; open a new one."""

    def __str__(self) -> str:
        return "the engine is closed: open a new one with open_engine()"


class TaskManagementStopped(EngineClosed):
    """No task management runs; `StartTaskManagementThread` starts it."""

    def __str__(self) -> str:
        return "the task management is stopped: call StartTaskManagementThread(config) first"


class LifecycleError(MusicTasksError):
    """A lifecycle is badly declared; `where` names the place."""

    where: str
    reason: str

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


class LifecycleViolation(MusicTasksError, AssertionError):
    """A proof of a lifecycle found something that must not be."""

    #: The pair of state and event, the edge, or the handler.
    where: str
    reason: str
    #: How one gets there.
    path: Sequence[str]

    def __str__(self) -> str:
        return "\n  ".join([f"{self.where}: {self.reason}", *self.path])


class DiagramError(MusicTasksError):
    """A picture cannot be drawn as it was asked for; `reason` says what to do instead."""

    reason: str

    def __str__(self) -> str:
        return f"no diagram: {self.reason}"


class SettingsError(MusicTasksError):
    """A setting has a value that cannot be used, or a settings file cannot be read."""

    file: str | None
    #: Empty, as `key` is, where the file as a whole cannot be used.
    section: str
    key: str
    reason: str

    def __str__(self) -> str:
        place = f"[{self.section}] {self.key}" if self.section else None
        return ": ".join(part for part in (self.file, place, self.reason) if part)


class NoLibrary(MusicTasksError):
    """There is no library where one is to be read or changed."""

    path: str

    def __str__(self) -> str:
        return f"{self.path} holds no library: name one with --library DIR or --config FILE"


class MediaError(MusicTasksError):
    """The content of a media file is not what it should be, and never will be."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class ExtraMissing(MusicTasksError):
    """What only some users need is not installed; `extra` is its name in `musictasks[...]`."""

    extra: str
    reason: str

    def __str__(self) -> str:
        return f"{self.reason}: pip install 'musictasks[{self.extra}]'"


class DatabaseUnusable(MusicTasksError):
    """The music database cannot be used now, or is none that we may write.

    Nothing in it has changed. `__cause__` is what SQLite said, where it said something.
    """

    path: str
    reason: str

    def __str__(self) -> str:
        return f"the music database {self.path} cannot be used: {self.reason}"


class LedgerUnusable(MusicTasksError):
    """The ledger of the Music Directory cannot be used now; nothing in it has changed."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"the ledger {self.path} cannot be used: {self.reason}"


class MusicDirectoryUnusable(MusicTasksError):
    """The Music Directory is not what the database was made from: it is not mounted, say."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"the Music Directory {self.path} cannot be scanned: {self.reason}"


class TargetExists(MusicTasksError):
    """A file with other content stands where this one should go; it was not touched."""

    path: str

    def __str__(self) -> str:
        return (
            f"{self.path} exists already with other content and is never overwritten: "
            "choose another target, or move that file away"
        )


__all__ = [
    "ChunkRefused",
    "DatabaseUnusable",
    "DiagramError",
    "DirectoryInUse",
    "EngineClosed",
    "ExtraMissing",
    "FileChanged",
    "IllegalTransition",
    "InvalidPath",
    "InvalidTaskFile",
    "LedgerUnusable",
    "LifecycleError",
    "LifecycleViolation",
    "MediaError",
    "MusicDirectoryUnusable",
    "MusicTasksError",
    "NoLibrary",
    "SettingsError",
    "StateIllegal",
    "StateRefused",
    "TargetExists",
    "TaskExists",
    "TaskFailed",
    "TaskFileDeleted",
    "TaskFileEdited",
    "TaskInvalid",
    "TaskManagementStopped",
    "TaskNotFound",
    "TaskNotSaved",
    "TransitionRefused",
    "UploadRefused",
]
