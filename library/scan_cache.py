"""The checksums of files that the database does not know yet, so that no scan hashes them again."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from attrs import define, field

from ..files import Directory
from .cache_file import CacheFile
from .hashing import sha256_of

_SCHEMA = """
create table if not exists checksums (
    path text primary key, size integer, mtime_ns integer, inode integer, sha256 text
)
"""
_SHA256 = re.compile("[0-9a-f]{64}")
#: What was hashed is written down after so many files or bytes: a killed scan loses no more.
_FLUSH_FILES = 200
_FLUSH_BYTES = 256 * 1024 * 1024


class _Row(NamedTuple):
    size: int
    mtime_ns: int
    inode: int
    sha256: str


@define(eq=False)
class ScanCache:
    """SHA-256 of files by path: good as long as size, modification time and inode are the same.

    The file may be deleted at any time. A damaged one is made again; where SQLite cannot use it at
    all (disk full, locked), the scan goes on without and the log says so.
    """

    path: Path
    _rows: dict[str, _Row] = field(factory=dict, init=False)
    _fresh: dict[str, _Row] = field(factory=dict, init=False)
    _fresh_bytes: int = field(default=0, init=False)
    _file: CacheFile = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._file = CacheFile(self.path, (_SCHEMA,), "the scan")

    def load(self) -> None:
        """Reads all that is known."""

        def read(connection: sqlite3.Connection) -> dict[str, _Row]:
            rows = connection.execute("select path, size, mtime_ns, inode, sha256 from checksums")
            return {path: _Row(*values) for path, *values in rows}

        self._rows = self._file.do(read) or {}

    def checksum(self, music: Directory, path: str, check: Callable[[], object]) -> str:
        """The SHA-256 of a file, hex digits; read only where it is not known.

        `check` is called after each MiB, and may raise to stop.

        Raises:
            FileNotFoundError: It is not there.
            InvalidPath: It is no file, or behind a link.
            OSError: The disk does not give it.
        """
        known, status = self._rows.get(path), music.status(path)
        if known and status and known[:3] == _measured(status) and _is_checksum(known.sha256):
            return known.sha256
        with music.open(path) as file:
            before = _measured(os.fstat(file.fileno()))
            found = sha256_of(file, check)
            # One that is just being written has to be read again the next time.
            if _measured(os.fstat(file.fileno())) == before:
                self._note(path, _Row(*before, found))
        return found

    def _note(self, path: str, row: _Row) -> None:
        self._rows[path] = self._fresh[path] = row
        self._fresh_bytes += row.size
        if len(self._fresh) >= _FLUSH_FILES or self._fresh_bytes >= _FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Writes down what was hashed."""
        fresh = [(path, *row) for path, row in self._fresh.items()]
        self._fresh, self._fresh_bytes = {}, 0
        if fresh:
            query = "insert or replace into checksums values (?, ?, ?, ?, ?)"
            self._file.do(lambda connection: connection.executemany(query, fresh))

    def keep(self, paths: Iterable[str]) -> None:
        """Forgets all other files: they are in the database by now, or gone."""
        stale = [(path,) for path in self._rows.keys() - set(paths)]
        if stale:
            query = "delete from checksums where path = ?"
            self._file.do(lambda connection: connection.executemany(query, stale))


def _measured(status: os.stat_result) -> tuple[int, int, int]:
    # Inodes may have 64 bits, and SQLite's integers have a sign.
    return status.st_size, status.st_mtime_ns, status.st_ino & (2**63 - 1)


def _is_checksum(value: object) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None
