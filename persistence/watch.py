"""Seeing that task files came or went, for the price of one `stat` at each look.

A changed directory only means "look"; whether a file is there `TaskStore.exists` says, and the
real guard is the save, which finds a deleted file itself.
"""

from __future__ import annotations

import time
from collections.abc import Container

from attrs import define, field

from .store import TaskStore

#: So long after a change the directory is listed at each look: a second change in the same tick
#: of the file system's clock leaves the same modification time.
SETTLE_S = 2.0
#: At least so often it is listed, whatever its modification time says.
FULL_LOOK_S = 30.0


@define(eq=False, repr=False)
class DirectoryWatch:
    """Looks at the directory of a store; call `look` two to four times a second."""

    store: TaskStore
    _mtime_ns: int | None = field(default=None, init=False)
    _changed_at_s: float = field(default=0.0, init=False)
    _listed_at_s: float = field(default=0.0, init=False)

    def begin(self, now_s: float) -> None:
        """Takes note that somebody else lists the directory just now, and keeps the names.

        Then the first look need not list, if the last change has settled.
        """
        found = self.store.directory.status()
        if found is not None and time.time() - found.st_mtime >= SETTLE_S:
            self._mtime_ns = found.st_mtime_ns
            self._changed_at_s, self._listed_at_s = now_s - SETTLE_S, now_s

    def look(self, now_s: float, known: Container[str] = ()) -> set[str] | None:
        """The ids that have a file now; None where nothing can have changed since the last look.

        `now_s` is a monotonic time in seconds, `known` as of `TaskStore.names`. The first look
        lists, but after `begin`. A directory that is not there (an unmounted disk) tells nothing:
        None.
        """
        found = self.store.directory.status()
        if found is None:
            return None
        first = self._mtime_ns is None
        if found.st_mtime_ns != self._mtime_ns:
            self._mtime_ns = found.st_mtime_ns
            self._changed_at_s = now_s
        settling = now_s - self._changed_at_s < SETTLE_S
        if not (first or settling or now_s - self._listed_at_s >= FULL_LOOK_S):
            return None
        try:
            names = set(self.store.names(known))
        except FileNotFoundError:
            return None
        self._listed_at_s = now_s
        return names
