"""What the tasks directory says: files that a person deleted, put there, or mended."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable

from ..errors import InvalidTaskFile, TaskNotSaved
from ..statemachine import Role, Task
from .entry import Entry
from .tasks import Tasks

_log = logging.getLogger(__name__)

#: So often the engine looks at the tasks directory.
LOOK_EVERY_S = 0.4


class Looking:
    """Compares the tasks in memory with the files in the directory."""

    def __init__(self, tasks: Tasks, appeared: Callable[[Entry], object]) -> None:
        """`appeared` is called with each task whose file appeared, when it has been loaded."""
        self._tasks = tasks
        self._table = tasks.table
        self._appeared = appeared
        self._watch = tasks.table.watch
        #: Held while the directory is compared: nothing is taken in twice, or missed by a start.
        self.comparing = threading.Lock()

    def look(self, now_monotonic: float) -> None:
        """A regular look, which costs next to nothing where nothing has changed."""
        names = self._watch.look(now_monotonic, self._table.entries)
        if names is not None:
            self.compare(names)

    def look_now(self) -> None:
        """Looks at the directory at once."""
        try:
            self.compare(set(self._table.store.names(self._table.entries)))
        except FileNotFoundError:
            _log.warning("the tasks directory is not there, which says nothing of the tasks")

    def compare(self, names: set[str]) -> None:
        """Takes in what the tasks directory says: files that were deleted, and new ones."""
        with self.comparing:
            self._compare(names)

    def _compare(self, names: set[str]) -> None:
        # Differences of sets: a look that finds nothing costs no step of Python for each task.
        for task_id in set(self._table.entries) - names:
            if (entry := self._table.entries.get(task_id)) is not None:
                with entry.lock:
                    self._check_deleted(entry)
        for task_id, invalid in list(self._table.invalid.items()):
            if task_id not in names and not os.path.lexists(invalid.path):
                self._table.unrefuse(task_id)
        for task_id in names - set(self._table.entries):
            if task_id not in self._table.entries:
                entry = self._table.load(task_id)
                if entry is not None:
                    self._appeared(entry)

    def _check_deleted(self, entry: Entry) -> None:
        record = entry.record
        there = isinstance(entry.saved, Task) and self._table.role(record) is not Role.GONE
        # Only lstat decides: the names may be older than the file.
        if not there or self._table.store.exists(record.id):
            return
        try:
            self._tasks.deleted(entry)
        except (TaskNotSaved, InvalidTaskFile) as error:
            _log.warning("%s", error)
