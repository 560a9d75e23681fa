"""The directory of task files: `{id}.json`, one file for each task, the one truth of it."""

from __future__ import annotations

import errno
import re
from collections.abc import Collection, Container, Iterator

from attrs import define, field, frozen

from ..errors import (
    FileChanged,
    InvalidPath,
    InvalidTaskFile,
    TaskFileDeleted,
    TaskFileEdited,
)
from ..files import (
    Directory,
    DurableFile,
    Identity,
    SharedSync,
    SpareFiles,
    read_whole,
    written_at,
)
from ..statemachine import Task
from .converter import TASK_ID, TaskConverter

#: Larger files are not even parsed.
FILE_MAX_BYTES = 64 * 1024 * 1024
_SUFFIX = ".json"
_TEMPORARY = re.compile(rf"\.{TASK_ID.pattern}\.[0-9]+\.[0-9]+\.tmp")
#: What says something of this process, not of the file.
_OUT_OF_MEANS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})


@define(eq=False, repr=False, weakref_slot=False)
class TaskFile:
    """The file of one task, and which state of it was loaded or saved last.

    Whatever is raised: the file is as it was. One thread at a time (the task's lock). There is one
    for each task, so it is small: the `DurableFile` is made for each access.
    """

    _store: TaskStore = field(alias="store")
    task_id: str
    _identity: Identity | None = field(default=None, init=False)
    #: The file names states as they were called before; the next save has the names of today.
    has_old_names: bool = field(default=False, init=False)

    @property
    def modified_s(self) -> float | None:
        """When what was loaded or saved last was written, in unix seconds; None before."""
        return None if self._identity is None else written_at(self._identity)

    def _opened(self) -> _Opened:
        file = self._store._durable_file(self.task_id)
        file.identity = self._identity
        return _Opened(self, file)

    def create(self, task: Task) -> None:
        """Write the first record.

        Raises:
            FileExistsError: a file of this name is there.
            OSError: there is no file.
        """
        with self._opened() as file:
            file.create(self._dump(task))

    def save(self, task: Task) -> None:
        """Write the next record.

        Raises:
            TaskFileDeleted: a person deleted the file; it stays deleted.
            TaskFileEdited: a person edited it; the edit stays, `reload` has it.
            OSError: the last record is in force.
        """
        try:
            with self._opened() as file:
                file.save(self._dump(task))
            self.has_old_names = False
        except FileNotFoundError:
            raise TaskFileDeleted(self.task_id) from None
        except FileChanged:
            raise TaskFileEdited(self.task_id) from None

    def reload(self) -> Task:
        """What a person made of the record, for `merge_edit`; the next save expects this file.

        Raises:
            TaskFileDeleted: it is gone.
            InvalidTaskFile: it does not load any more.
        """
        return self._load(edited=True)

    def delete(self) -> bool:
        """Remove the file; False where it was gone already."""
        with self._opened() as file:
            return file.delete()

    def _dump(self, task: Task) -> bytes:
        if task.id != self.task_id:
            raise ValueError(f"task {task.id} does not belong into the file of {self.task_id}")
        data = self._store.converter.dump(task)
        if len(data) > FILE_MAX_BYTES:
            # What would not load again is not saved.
            raise OSError(errno.EFBIG, f"the task file would have {len(data)} bytes")
        return data

    def check(self, task: Task, names: Collection[str]) -> None:
        """Raises what a save and the next load would raise, for a record of unknown origin.

        Args:
            task: The record.
            names: The fields that somebody has set, by their Python names.

        Raises:
            ValueError, TypeError, OSError: It could not be saved, or would not load.
        """
        self._store.converter.check(task, names)
        self._dump(task)

    def _load(self, *, edited: bool = False) -> Task:
        try:
            data, identity = self._store._read(self.task_id)
            converter = self._store.converter
            task, self.has_old_names = converter.read(data, self.task_id, edited=edited)
        except FileNotFoundError:
            raise TaskFileDeleted(self.task_id) from None
        except (InvalidPath, InvalidTaskFile) as error:
            raise InvalidTaskFile(self._place, error.reason) from None
        except OSError as error:
            if error.errno in _OUT_OF_MEANS:
                raise
            raise InvalidTaskFile(self._place, error.strerror or str(error)) from error
        # Invariant: only now. No save expects a file that does not load, so none writes over it.
        self._identity = identity
        self.task_id = task.id  # the same text, kept once
        return task

    @property
    def _place(self) -> str:
        return str(self._store.directory.root / (self.task_id + _SUFFIX))


@define(eq=False, repr=False)
class _Opened:
    """Lets a task's file take note of what became of it, whatever is raised.

    No generator: that would take as long as all else of it, for each save.
    """

    _of: TaskFile
    _file: DurableFile

    def __enter__(self) -> DurableFile:
        return self._file

    def __exit__(self, *_: object) -> None:
        self._of._identity = self._file.identity


@frozen(eq=False, repr=False)
class TaskStore:
    """All task files of one directory.

    Files whose names begin with a dot or do not end with `.json` are nobody's.
    """

    directory: Directory
    converter: TaskConverter
    #: A descriptor of the directory that stays open as long as the store is used: the owner's.
    dir_fd: int | None = None
    #: Tasks that are saved at the same time share the fsync of the directory.
    shared: SharedSync = field(factory=SharedSync, eq=False, repr=False)
    #: What saves have left over; only the owner, whose the descriptor is, writes over it.
    spares: SpareFiles = field(factory=SpareFiles, init=False, eq=False, repr=False)

    def task_file(self, task_id: str) -> TaskFile:
        """The file of this task, there or not.

        Raises:
            InvalidPath: this is no id.
        """
        _check_id(task_id)
        return TaskFile(self, task_id)

    def _durable_file(self, task_id: str) -> DurableFile:
        name, durable = task_id + _SUFFIX, self.directory.durable
        spares = None if self.dir_fd is None else self.spares
        return DurableFile(self.directory, name, durable, self.dir_fd, self.shared, spares)

    def _read(self, task_id: str) -> tuple[bytes, Identity]:
        """The content of a task's file, and which state of it that is; `task_id` is one."""
        name = task_id + _SUFFIX
        if self.dir_fd is not None:
            return read_whole(name, self.dir_fd, FILE_MAX_BYTES)
        with self.directory.descriptor() as dir_fd:
            return read_whole(name, dir_fd, FILE_MAX_BYTES)

    def load(self, task_id: str) -> tuple[TaskFile, Task]:
        """One task.

        Raises:
            TaskFileDeleted: there is no such file.
            InvalidTaskFile: it does not load; it is left as it is.
        """
        file = self.task_file(task_id)
        return file, file._load()

    def load_all(self) -> Iterator[tuple[TaskFile, Task] | InvalidTaskFile]:
        """Every task, and for every file that does not load the reason, sorted by name."""
        for stem in self._stems():
            try:
                yield self.load(stem)
            except TaskFileDeleted:
                continue
            except InvalidTaskFile as error:
                yield error
            except InvalidPath as error:
                yield InvalidTaskFile(str(self.directory.root / (stem + _SUFFIX)), error.reason)

    def all_names(self) -> list[str]:
        """The names of all files without `.json`, also of those that are no id, sorted."""
        return list(self._stems())

    def names(self, known: Container[str] = ()) -> list[str]:
        """The ids that have a file, sorted; whether it loads is another question.

        Those that are `known` to be ids are not checked.
        """
        return [stem for stem in self._stems() if stem in known or TASK_ID.fullmatch(stem)]

    def exists(self, task_id: str) -> bool:
        """Whether this id has a file, also one that does not load."""
        return self.identity(task_id) is not None

    def identity(self, task_id: str) -> Identity | None:
        """Which state of the file is there now: an invalid one is worth a look when it changed.

        Raises:
            InvalidPath: this is no id.
        """
        _check_id(task_id)
        return self._durable_file(task_id).status()

    def sweep(self) -> list[str]:
        """Remove what killed runs left half written; only the owner may. Returns the names."""
        return self.directory.remove_where("", lambda name: bool(_TEMPORARY.fullmatch(name)), ".")

    def close(self) -> None:
        """Remove what saves have left over; only the owner may, as long as it is the owner."""
        if self.dir_fd is not None:
            self.spares.close(self.dir_fd)

    def _stems(self) -> list[str]:
        names = [name for name in self.directory.names() if name.endswith(_SUFFIX)]
        return [name[: -len(_SUFFIX)] for name in names if name[0] != "."]


def _check_id(task_id: str) -> None:
    if not TASK_ID.fullmatch(task_id):
        raise InvalidPath(task_id, "a task id is 1 to 64 of A-Z a-z 0-9 and -")
