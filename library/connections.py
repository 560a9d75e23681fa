"""Connections to an SQLite file that are kept, so that none has to be opened for a question."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import define, field

#: As many wait at most; what more is opened at a time is closed after its use.
_KEPT_MOST = 8


@define(eq=False)
class Connections:
    """Connections to one file that are not in use, for any thread.

    Each use looks whether the file is still the same: the connections to one that was removed, or
    that another has replaced, are closed then. Between two uses no lock on the file is held.
    """

    path: Path
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    #: Device and inode of the file that they are connections to.
    _file: tuple[int, int] | None = field(default=None, init=False)
    _free: list[sqlite3.Connection] = field(factory=list, init=False)
    _closed: bool = field(default=False, init=False)

    @contextmanager
    def use(self, connect: Callable[[], sqlite3.Connection]) -> Iterator[sqlite3.Connection]:
        """One that nobody else uses, in a transaction of its own that reads.

        Args:
            connect: Opens one that may be used by any thread; whatever it raises, this does.
        """
        file = self._identity()
        connection = self._take(file) or connect()
        kept = False
        try:
            connection.execute("begin")
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

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _take(self, file: tuple[int, int] | None) -> sqlite3.Connection | None:
        with self._lock:
            if file != self._file:
                self._drop()
                self._file = file
            return self._free.pop() if self._free else None

    def _give_back(self, connection: sqlite3.Connection, file: tuple[int, int] | None) -> bool:
        with self._lock:
            # It may have been opened after the file was replaced: the next look tells.
            wanted = file is not None and file == self._file and not self._closed
            if wanted and len(self._free) < _KEPT_MOST:
                self._free.append(connection)
                return True
            return False

    def _drop(self) -> None:
        while self._free:
            self._free.pop().close()
