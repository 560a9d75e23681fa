"""Connections to an SQLite file that are kept, so that none has to be opened for a question."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import define, field

#: As many wait at most; what more is opened at a time is closed after its use.
_KEPT_MOST = 8

#: What forked children inherited, so that nothing closes it.
_of_parents: list[sqlite3.Connection] = []


@define(eq=False)
class Connections:
    """Connections to one file that are not in use, for any thread.

    Each use looks whether the file is still the same: the connections to one that was removed, or
    that another has replaced, are closed then. Between two uses no lock on the file is held. In a
    forked child there are none: those of its parent are left alone there.
    """

    path: Path
    #: They write. Then a file that others have written to since is another one, too: who copies a
    #: backup over it asks no lock, and what was read of it before is not to be written back.
    writes: bool = False
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    #: The file that they are connections to: device and inode; size and time, where they write.
    _file: tuple[int, ...] | None = field(default=None, init=False)
    #: The process that opened them.
    _pid: int = field(factory=os.getpid, init=False)
    _free: list[sqlite3.Connection] = field(factory=list, init=False)
    _closed: bool = field(default=False, init=False)

    @contextmanager
    def use(self, connect: Callable[[], sqlite3.Connection]) -> Iterator[sqlite3.Connection]:
        """One that nobody else uses, in a transaction of its own.

        Args:
            connect: Opens one that may be used by any thread; whatever it raises, this does.
        """
        file = self._identity()
        connection = self._take(file) or connect()
        kept = False
        try:
            connection.execute("begin immediate" if self.writes else "begin")
            yield connection
            connection.execute("commit")
            kept = self._give_back(connection, file)
        finally:
            if not kept:
                connection.close()

    def close(self) -> None:
        """Closes those that are not in use, and each other one after its use."""
        with self._lock:
            self._closed = True
            self._drop()

    def _identity(self) -> tuple[int, ...] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        if self.writes:
            return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
        return found.st_dev, found.st_ino

    def _take(self, file: tuple[int, ...] | None) -> sqlite3.Connection | None:
        with self._lock:
            if self._pid != os.getpid():
                # Invariant: never closed here, which would be a close in the parent's name.
                _of_parents.extend(self._free)
                self._free, self._pid = [], os.getpid()
            if file != self._file:
                self._drop()
                self._file = file
            return self._free.pop() if self._free else None

    def _give_back(self, connection: sqlite3.Connection, file: tuple[int, ...] | None) -> bool:
        with self._lock:
            # It may have been opened after the file was replaced: the next look tells.
            wanted = file is not None and file == self._file and not self._closed
            if wanted and self.writes:
                self._file = self._identity()
            if wanted and len(self._free) < _KEPT_MOST:
                self._free.append(connection)
                return True
            return False

    def _drop(self) -> None:
        while self._free:
            self._free.pop().close()
