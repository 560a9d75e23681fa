"""The tasks in memory by their ids, and how they are loaded from their files."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from pathlib import Path

from ..errors import (
    InvalidPath,
    InvalidTaskFile,
    TaskExists,
    TaskFileDeleted,
    TaskFileEdited,
    TaskNotFound,
)
from ..files import Identity
from ..persistence import TASK_ID, DirectoryWatch, TaskFile, TaskStore
from ..statemachine import Lifecycle, Role, Task
from .entry import Absence, Entry

_log = logging.getLogger(__name__)

#: So many of the tasks that were removed last are kept, in memory, for `wait`.
_REMOVED_KEPT = 1000
#: From so many tasks on, the garbage collector is spared the look through them after the start.
_MANY = 1000

#: Gets each record that was loaded, and returns the one that counts.
TakeOver = Callable[[Task], Task]
#: Told of each entry into a state, and of each task that was loaded; cannot fail or block.
Observer = Callable[[Task], object]


class Table:
    """The entries by task id, those of the tasks that were removed last, and the invalid files.

    Locks: an entry's lock before the table's, never two entries' at once.
    """

    def __init__(
        self,
        lifecycle: Lifecycle,
        store: TaskStore,
        take_over: TakeOver | None = None,
        observers: Iterable[Observer] = (),
    ) -> None:
        self.lifecycle = lifecycle
        self.store = store
        self.watch = DirectoryWatch(store)
        self.entries: dict[str, Entry] = {}
        #: By the file's name without `.json`.
        self.invalid: dict[str, InvalidTaskFile] = {}
        self._take_over: TakeOver = take_over or (lambda task: task)
        self._observers = tuple(observers)
        self._refused: dict[str, Identity | None] = {}
        self._removed: OrderedDict[str, Entry] = OrderedDict()
        self._lock = threading.Lock()
        self._states = {state.name: state for state in lifecycle.states}

    def role(self, record: Task) -> Role:
        return self._states[record.state].role

    def takes_chunks(self, record: Task) -> bool:
        return self._states[record.state].takes_chunks

    def find(self, task_id: str) -> Entry:
        """The entry of a task.

        Raises:
            TaskNotFound: There is none.
            InvalidTaskFile: There is a file of this name, but it does not load.
            TypeError: The id is no text.
        """
        if not isinstance(task_id, str):
            raise TypeError(f"a task id is text, not {task_id!r}")
        entry = self.entries.get(task_id)
        if entry is None or self.role(entry.record) is Role.INITIAL:
            if task_id in self.invalid:
                raise self.invalid[task_id]
            raise TaskNotFound(task_id)
        return entry

    @contextmanager
    def locked(self, task_id: str) -> Iterator[Entry]:
        """The entry of a task, locked; one that is being made is waited for. Raises as `find`."""
        entry = self.entries.get(task_id) or self.find(task_id)
        with entry.lock:
            if self.role(entry.record) in {Role.INITIAL, Role.GONE}:
                raise TaskNotFound(task_id)
            yield entry

    def records(self) -> list[Task]:
        """All records, the oldest tasks first."""
        found = [entry.record for entry in list(self.entries.values())]
        found = [record for record in found if self.role(record) is not Role.INITIAL]
        return sorted(found, key=lambda record: record.initialization_time or 0)

    def known(self, task_id: str) -> bool:
        return task_id in self.entries or task_id in self.invalid or self.store.exists(task_id)

    def was_removed(self, task_id: str) -> bool:
        """Whether a task of this id is among those that were removed last."""
        return task_id in self._removed

    def last_known(self, task_id: str) -> Entry:
        """The entry of a task, or of one that was removed last; raises as `find`."""
        return self.entries.get(task_id) or self._removed.get(task_id) or self.find(task_id)

    @contextmanager
    def adding(self, record: Task) -> Iterator[Entry]:
        """A new entry, locked, while a block makes its task; gone again if the block raises.

        Raises:
            TaskExists: The id is known already.
        """
        entry = Entry(record, Absence.NOT_YET, self.store.task_file(record.id))
        with entry.lock:
            with self._lock:
                if self.known(record.id):
                    raise TaskExists(record.id)
                self.entries[record.id] = entry
            try:
                yield entry
            except BaseException:
                with self._lock:
                    del self.entries[record.id]
                raise

    def forget(self, entry: Entry) -> None:
        """The task is gone; `wait` can still ask for it for a while."""
        with self._lock:
            # Invariant: there before it is gone here, so that `wait` finds it in one of the two.
            self._removed[entry.record.id] = entry
            self.entries.pop(entry.record.id, None)
            while len(self._removed) > _REMOVED_KEPT:
                self._removed.popitem(last=False)

    def observe(self, record: Task) -> None:
        """Tells the observers."""
        for observer in self._observers:
            observer(record)

    # -- loading ----------------------------------------------------------------------------

    def load_all(self) -> None:
        """Takes in all tasks of the directory, once, before the start."""
        self.store.sweep()
        self.watch.begin(time.monotonic())
        with _no_collection(self.entries):
            for loaded in self.store.load_all():
                if isinstance(loaded, InvalidTaskFile):
                    self.refuse(loaded)
                else:
                    self._add(*loaded)

    def _add(self, file: TaskFile, record: Task) -> Entry | None:
        """Takes in a task that was loaded from its file; None if it cannot be taken over."""
        entry = Entry(record, record, file)
        try:
            self._bring_up_to_date(entry)
        except InvalidTaskFile as error:
            self.refuse(error)
            return None
        with self._lock:
            self.entries[record.id] = entry
        self.unrefuse(record.id)
        self.observe(entry.record)
        return entry

    def _bring_up_to_date(self, entry: Entry) -> None:
        try:
            entry.record = self._take_over(entry.record)
        except (InvalidPath, OSError) as error:
            place = str(self.store.directory.root / f"{entry.record.id}.json")
            reason = error.reason if isinstance(error, InvalidPath) else str(error)
            raise InvalidTaskFile(place, f"its data cannot be taken over: {reason}") from error
        # Old names go from the disk at once, so that a later version need not know them any more.
        if entry.record is not entry.saved or entry.file.has_old_names:
            try:
                entry.file.save(entry.record)
                entry.saved = entry.record
            except (OSError, TaskFileDeleted, TaskFileEdited) as error:
                # Taken over again at the next start, or stored with the next save.
                _log.warning("task %s: taken over, but not saved yet: %s", entry.record.id, error)

    def refuse(self, invalid: InvalidTaskFile) -> None:
        """Takes note of a file that does not load; it is looked at again when it changes."""
        task_id = Path(invalid.path).stem
        _log.warning("%s", invalid)
        self.invalid[task_id] = invalid
        if TASK_ID.fullmatch(task_id):
            self._refused[task_id] = self.store.identity(task_id)

    def unrefuse(self, task_id: str) -> None:
        """The file is gone."""
        self.invalid.pop(task_id, None)
        self._refused.pop(task_id, None)

    def load(self, task_id: str) -> Entry | None:
        """Takes in a file that appeared, or that did not load and has changed since.

        None where there is nothing new, or it does not load.
        """
        refused = self._refused.get(task_id)
        if refused is not None and refused == self.store.identity(task_id):
            return None
        try:
            return self._add(*self.store.load(task_id))
        except TaskFileDeleted:
            return None
        except InvalidTaskFile as error:
            self.refuse(error)
            return None


@contextmanager
def _no_collection(loaded: Sized) -> Iterator[None]:
    """All that is loaded stays: to look through it for garbage, again and again, finds nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
            # To ask for the count, all that is frozen is counted: a few tasks are not worth it.
            if len(loaded) >= _MANY and gc.get_freeze_count() == 0:
                # Both together make all that there is old; else the next two collections of what
                # is young would look through all tasks.
                gc.freeze()
                gc.unfreeze()
