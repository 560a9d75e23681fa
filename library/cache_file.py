"""An SQLite file of ours that may be deleted at any time: what is in it can be found out again."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from attrs import define, field

from ..errors import InvalidPath
from ..files import Directory

_log = logging.getLogger(__name__)

#: Another process writes for milliseconds; a removed task shall end within a second.
_BUSY_TIMEOUT_S = 0.2
#: What SQLite answers where the file is damaged, no database, or one of another make.
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}

T = TypeVar("T")


@define(eq=False)
class CacheFile:
    """Opens the file for each use. A damaged one is made again.

    Where SQLite cannot use it at all (disk full, locked), its user goes on without, and the log
    says so once.
    """

    path: Path
    #: Statements that make what is missing.
    schema: Sequence[str]
    #: Who uses it, for the log.
    user: str
    _usable: bool = field(default=True, init=False)

    def do(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Does it in one transaction; None where it cannot be done."""
        for anew in (False, True):
            if not self._usable or (anew and not self._remove()):
                return None
            try:
                return self._transaction(work)
            except OverflowError as error:  # a number that no 64 bits hold
                _log.warning("%s keeps nothing in %s: %s", self.user, self.path, error)
                return None
            except sqlite3.Error as error:
                code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
                if anew or code not in _DAMAGED:
                    self._give_up(error)
                else:
                    _log.warning("%s is damaged and made again: %s", self.path, error)
        return None

    def _transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        address = f"file:{quote(str(self.path.absolute()))}"
        with closing(sqlite3.connect(address, timeout=_BUSY_TIMEOUT_S, uri=True)) as connection:
            # Whatever a power cut makes of the file: it may be deleted at any time.
            connection.execute("pragma synchronous = normal")
            with connection:
                for statement in self.schema:
                    connection.execute(statement)
                return work(connection)

    def _remove(self) -> bool:
        directory = Directory(self.path.parent)
        try:
            for suffix in ("-journal", "-wal", "-shm", ""):
                directory.remove(self.path.name + suffix)
        except (OSError, InvalidPath) as error:
            self._give_up(error)
            return False
        return True

    def _give_up(self, error: Exception) -> None:
        self._usable = False
        _log.warning("%s goes on without %s: %s", self.user, self.path, error)
