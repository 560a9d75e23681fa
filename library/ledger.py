"""The ledger: which bytes stand where in the Music Directory, and since when that is known.

It is a witness, and the Music Directory is always right: what the ledger says of a file counts only
where the file looks as it did when the ledger saw it. It may lag behind: a reading of the files
(`verifying.py`) brings it up to date.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import quote
from weakref import WeakValueDictionary

from attrs import Factory, field, frozen

from ..errors import InvalidPath, LedgerUnusable
from ..files import Directory
from .connections import Connections
from .sharing import SharedWrites

_VERSION = 1
_SCHEMA = (
    "create table meta (key text primary key, value) without rowid",
    """create table files (
        path text primary key, size integer not null, mtime_ns integer not null,
        ctime_ns integer not null, sha1 text not null, sha256 text not null, time real not null,
        task text, round integer not null default 0, verdict text, reason text
    ) without rowid""",
    "create index files_by_sha1 on files (sha1)",
    """create table archives (
        sha1 text not null, size integer not null, path text not null,
        primary key (sha1, size, path)
    ) without rowid""",
    "create index archives_by_path on archives (path)",
    # By content, not by path: it is asked of files that lie elsewhere now.
    "create table audio (sha256 text primary key, audio text not null) without rowid",
    # `scope`: what is verified; empty: all. Each verification has a number.
    "create table rounds (scope text primary key, number integer not null) without rowid",
)
_COLUMNS = "path, size, mtime_ns, ctime_ns, sha1, sha256, time, task, round, verdict, reason"
#: SQLite's integers have a sign, and 64 bits.
_MOST = 2**63 - 1
#: What SQLite answers where the file is damaged, or none of its own.
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}
#: How many values one query takes.
_AT_ONCE = 500


class Verdict(StrEnum):
    """What a reading of a file has shown, against what the ledger has of it."""

    SAME = "same"
    #: Other bytes, and another modification time: a person or a program wrote them.
    CHANGED = "changed"
    #: Other bytes under the same modification time: nobody wrote them.
    ROT = "rot"
    LOST = "lost"
    UNREADABLE = "unreadable"
    #: The ledger did not have it.
    UNKNOWN = "unknown"
    #: It was lost, and its bytes stand at a path that was unknown.
    MOVED = "moved"


@frozen(kw_only=True)
class LedgerEntry:
    """What is known of a file in the Music Directory."""

    #: Relative to the Music Directory.
    path: str
    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    #: Hex digits; of a file that was uploaded by itself, the SHA-1 of the upload.
    sha1: str
    #: Hex digits.
    sha256: str
    #: Since when these bytes are known to stand there, in unix seconds.
    time: float
    #: The id of the task that placed them; None where none of ours did.
    task: str | None = None
    #: The number of the verification that read it last.
    round: int = 0
    #: What that has shown; None where none has read it.
    verdict: Verdict | None = None
    #: What there is to say of it, for people.
    reason: str | None = None


@frozen
class Archive:
    """An upload that became several files."""

    #: Hex digits.
    sha1: str
    size_bytes: int


@frozen
class Ledger:
    """An SQLite file beside the music database. A value: it opens the file for each use.

    A missing one is empty, and made by the first who writes. Every call raises LedgerUnusable
    where SQLite cannot do it; nothing has changed then.
    """

    path: Path
    #: False leaves every fsync out.
    durable: bool = True
    #: How long to wait for another process that writes, in seconds.
    busy_timeout_s: float = 10.0

    def prepare(self) -> None:
        """Makes the file where it is missing."""
        if self.since() is None:
            with self._writing():
                pass

    def make_anew(self) -> None:
        """Forgets everything, also where the file is damaged; what is there is known from now on.

        A verification fills it again.
        """
        directory = Directory(self.path.parent, self.durable)
        try:
            # Invariant: the file first. Without its journal it would say what a killed writer had
            # half done; a journal without its file is SQLite's to throw away.
            for suffix in ("", "-journal", "-wal", "-shm"):
                directory.remove(self.path.name + suffix)
        except (OSError, InvalidPath) as error:
            raise LedgerUnusable(str(self.path), str(error)) from error
        self.prepare()

    def since(self) -> float | None:
        """When the ledger was begun, in unix seconds; None where there is none."""
        rows = self._rows("select value from meta where key = 'since'")
        return rows[0][0] if rows else None

    # -- reading ----------------------------------------------------------------------------

    def entries(self, scope: str = "") -> dict[str, LedgerEntry]:
        """All that is known, or of one path and what is below it, by path."""
        where, values = _within(scope)
        rows = self._rows(f"select {_COLUMNS} from files where {where} order by path", values)
        return {row[0]: _entry(row) for row in rows}

    def with_bytes(self, sha1: str, size_bytes: int) -> list[LedgerEntry]:
        """The files that had these bytes when they were seen last, by path."""
        query = f"select {_COLUMNS} from files where sha1 = ? and size = ? order by path"
        found = map(_entry, self._rows(query, (sha1.lower(), size_bytes)))
        return [entry for entry in found if entry.verdict in (None, Verdict.SAME)]

    def with_all_bytes(
        self, wanted: Iterable[tuple[str, int]]
    ) -> dict[tuple[str, int], list[LedgerEntry]]:
        """`with_bytes` of each SHA-1 and size, as far as there are files."""
        asked = sorted({sha1.lower() for sha1, _ in wanted})
        found: dict[tuple[str, int], list[LedgerEntry]] = {}
        for first in range(0, len(asked), _AT_ONCE):
            some = asked[first : first + _AT_ONCE]
            marks = ", ".join("?" * len(some))
            query = f"select {_COLUMNS} from files where sha1 in ({marks}) order by path"
            for entry in map(_entry, self._rows(query, some)):
                if entry.verdict in (None, Verdict.SAME):
                    found.setdefault((entry.sha1, entry.size_bytes), []).append(entry)
        return found

    def of_archive(self, archive: Archive) -> list[LedgerEntry]:
        """The files that an archive became, by path."""
        query = (
            f"select {_COLUMNS} from files where path in "
            "(select path from archives where sha1 = ? and size = ?) order by path"
        )
        values = archive.sha1.lower(), archive.size_bytes
        return [_entry(row) for row in self._rows(query, values)]

    def audio(self, checksums: Iterable[str]) -> dict[str, str]:
        """The hashes of the audio of files with these SHA-256, as far as they are known."""
        wanted, found = sorted(set(checksums)), {}
        for first in range(0, len(wanted), _AT_ONCE):
            some = wanted[first : first + _AT_ONCE]
            marks = ", ".join("?" * len(some))
            query = f"select sha256, audio from audio where sha256 in ({marks})"
            found.update(self._rows(query, some))
        return found

    # -- writing ----------------------------------------------------------------------------

    def record(
        self,
        entries: Sequence[LedgerEntry],
        audio: Iterable[tuple[str, str]] = (),
        archive: Archive | None = None,
    ) -> None:
        """Takes down what stands at these paths now.

        What was known with the same bytes stays known since then, by the same task. Threads that
        record at the same time share a transaction, and its fsyncs.

        Args:
            entries: The files.
            audio: Pairs of SHA-256 and audio hash.
            archive: The upload that all of them came from.
        """
        _shared(self)(_Recording(entries, tuple(audio), archive), self._record_all)

    def _record_all(self, recordings: Sequence[_Recording]) -> None:
        with self._writing() as connection:
            for one in recordings:
                _record(connection, one.entries)
                _note_audio(connection, one.audio)
                _note_archive(connection, one.archive, one.entries)

    def note_audio(self, audio: Iterable[tuple[str, str]]) -> None:
        """Takes down pairs of SHA-256 and audio hash."""
        with self._writing() as connection:
            _note_audio(connection, audio)

    def forget(self, paths: Iterable[str]) -> None:
        """These files are gone for good. The hashes of their audio stay."""
        rows = [(path,) for path in paths]
        with self._writing() as connection:
            connection.executemany(_FORGET_ARCHIVES, rows)
            connection.executemany("delete from files where path = ?", rows)

    # -- verifying --------------------------------------------------------------------------

    def begin_round(self, scope: str) -> int:
        """The number of the verification of a scope: the one that was not ended, or a new one."""
        with self._writing() as connection:
            query = "select number from rounds where scope = ?"
            if row := connection.execute(query, (scope,)).fetchone():
                return row[0]
            (number,) = connection.execute("select value from meta where key = 'rounds'").fetchone()
            connection.execute("update meta set value = ? where key = 'rounds'", (number + 1,))
            connection.execute("insert into rounds values (?, ?)", (scope, number + 1))
            return number + 1

    def end_round(self, scope: str) -> None:
        """All of a scope was verified."""
        with self._writing() as connection:
            connection.execute("delete from rounds where scope = ?", (scope,))

    def judge(
        self,
        judged: Sequence[LedgerEntry],
        found: Sequence[LedgerEntry] = (),
        audio: Iterable[tuple[str, str]] = (),
        moved: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Takes down what a verification has shown.

        Args:
            judged: Known files, with round, verdict and times. One that somebody else has recorded
                with other bytes meanwhile is left as it is.
            found: Files that were unknown, or are accepted as they are now.
            audio: Pairs of SHA-256 and audio hash.
            moved: The former and the present path of known files, before all else.
        """
        with self._writing() as connection:
            for old, new in moved:
                connection.execute("delete from files where path = ?", (new,))
                connection.execute("update files set path = ? where path = ?", (new, old))
                connection.execute("update archives set path = ? where path = ?", (new, old))
            connection.executemany(_JUDGE, map(_values, judged))
            _record(connection, found)
            _note_audio(connection, audio)

    # -- SQLite -----------------------------------------------------------------------------

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """What a query finds; nothing where there is no ledger yet."""
        try:
            with self._reading() as connection:
                if self._is_made(connection):
                    return connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            if self.path.exists():
                raise self._unusable(error) from error
        except UnicodeEncodeError:
            pass  # a name that no ledger holds
        return []

    def _reading(self) -> AbstractContextManager[sqlite3.Connection]:
        return closing(self._connect("rw"))

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction that holds the lock for writing."""
        try:
            with self._transaction() as connection:
                if not self._is_made(connection):
                    _make(connection)
                yield connection
        except (sqlite3.Error, OverflowError) as error:
            raise self._unusable(error) from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with closing(self._connect_to_write()) as connection:
            connection.execute("begin immediate")
            yield connection
            connection.execute("commit")

    def _connect_to_write(self, *, any_thread: bool = False) -> sqlite3.Connection:
        connection = self._connect("rwc", any_thread=any_thread)
        try:
            connection.execute(f"pragma synchronous = {'full' if self.durable else 'off'}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect(self, mode: str, *, any_thread: bool = False) -> sqlite3.Connection:
        address = f"file:{quote(str(self.path.absolute()))}?mode={mode}"
        return sqlite3.connect(
            address,
            timeout=self.busy_timeout_s,
            isolation_level=None,
            uri=True,
            check_same_thread=not any_thread,
        )

    def _is_made(self, connection: sqlite3.Connection) -> bool:
        (version,) = connection.execute("pragma user_version").fetchone()
        if version not in (0, _VERSION):
            reason = f"it is of version {version}, and this program knows {_VERSION}: update it"
            raise LedgerUnusable(str(self.path), reason)
        return version == _VERSION

    def _unusable(self, error: sqlite3.Error | OverflowError) -> LedgerUnusable:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        remedy = "; `musictasks verify --anew` begins another" if code in _DAMAGED else ""
        return LedgerUnusable(str(self.path), f"{error}{remedy}")


@frozen
class AskedLedger(Ledger):
    """A ledger that is used often: it keeps its connections. To another process goes a `Ledger`."""

    connections: Connections = field(
        default=Factory(lambda self: Connections(self.path), takes_self=True),
        init=False,
        repr=False,
        eq=False,
    )
    _writers: Connections = field(
        default=Factory(lambda self: Connections(self.path, writes=True), takes_self=True),
        init=False,
        repr=False,
        eq=False,
    )

    def __reduce__(self) -> tuple[type[Ledger], tuple[Path, bool, float]]:
        return Ledger, (self.path, self.durable, self.busy_timeout_s)

    def close(self) -> None:
        """Keeps none from now on."""
        self.connections.close()
        self._writers.close()

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        try:
            return super()._rows(query, values)
        except LedgerUnusable as error:
            code = getattr(error.__cause__, "sqlite_errorcode", sqlite3.SQLITE_BUSY) & 0xFF
            if code == sqlite3.SQLITE_BUSY:
                raise
        # Somebody may have written over the file without SQLite: a new connection tells.
        return Ledger(self.path, self.durable, self.busy_timeout_s)._rows(query, values)

    def _reading(self) -> AbstractContextManager[sqlite3.Connection]:
        return self.connections.use(lambda: self._connect("rw", any_thread=True))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._writers.use(lambda: self._connect_to_write(any_thread=True)) as connection:
            yield connection


@frozen
class _Recording:
    """What one call takes down."""

    entries: Sequence[LedgerEntry]
    audio: Sequence[tuple[str, str]]
    archive: Archive | None


#: What this process writes at the same time into the same ledger, as long as anybody does.
_writes: WeakValueDictionary[tuple[int, str, bool], SharedWrites[_Recording]] = (
    WeakValueDictionary()
)
_finding = threading.Lock()


def _shared(ledger: Ledger) -> SharedWrites[_Recording]:
    """The writes of all who record into this ledger now; a forked child has its own."""
    key = os.getpid(), str(ledger.path), ledger.durable
    with _finding:
        if (found := _writes.get(key)) is None:
            found = _writes[key] = SharedWrites()
        return found


#: A file that is as it was is not written again: what a handler does twice, it does once.
_RECORD = f"""
insert into files ({_COLUMNS}) values (
    :path, :size, :mtime_ns, :ctime_ns, :sha1, :sha256, :time, :task, :round, :verdict, :reason
)
on conflict (path) do update set
    size = excluded.size, mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns,
    sha1 = excluded.sha1,
    time = case when sha256 = excluded.sha256 then time else excluded.time end,
    task = case when sha256 = excluded.sha256 then coalesce(task, excluded.task)
        else excluded.task end,
    sha256 = excluded.sha256,
    round = max(round, excluded.round), verdict = excluded.verdict, reason = excluded.reason
where (size, mtime_ns, ctime_ns, sha1, sha256, task is null, verdict, reason)
    is not (excluded.size, excluded.mtime_ns, excluded.ctime_ns, excluded.sha1, excluded.sha256,
            task is null and excluded.task is null, excluded.verdict, excluded.reason)
    or round < excluded.round
"""
_NOTE_AUDIO = """
insert into audio values (?, ?)
on conflict (sha256) do update set audio = excluded.audio where audio is not excluded.audio
"""
_JUDGE = """
update files set
    mtime_ns = :mtime_ns, ctime_ns = :ctime_ns, round = :round, verdict = :verdict, reason = :reason
where path = :path and sha256 = :sha256
"""
#: An archive is there as long as all is that it became.
_FORGET_ARCHIVES = """
delete from archives where (sha1, size) in (select sha1, size from archives where path = ?)
"""
_FORGET_ARCHIVES_OF_OTHERS = """
delete from archives where (sha1, size) in (
    select archives.sha1, archives.size from archives join files using (path)
    where path = :path and files.sha256 <> :sha256
)
"""


def _make(connection: sqlite3.Connection) -> None:
    for statement in _SCHEMA:
        connection.execute(statement)
    rows = [("since", time.time()), ("rounds", 0)]
    connection.executemany("insert into meta values (?, ?)", rows)
    connection.execute(f"pragma user_version = {_VERSION}")


def _record(connection: sqlite3.Connection, entries: Sequence[LedgerEntry]) -> None:
    rows = [_values(entry) for entry in entries]
    connection.executemany(_FORGET_ARCHIVES_OF_OTHERS, rows)
    connection.executemany(_RECORD, rows)


def _note_archive(
    connection: sqlite3.Connection, archive: Archive | None, entries: Sequence[LedgerEntry]
) -> None:
    if archive is not None:
        rows = [(archive.sha1.lower(), archive.size_bytes, one.path) for one in entries]
        connection.executemany("insert or ignore into archives values (?, ?, ?)", rows)


def _note_audio(connection: sqlite3.Connection, audio: Iterable[tuple[str, str]]) -> None:
    connection.executemany(_NOTE_AUDIO, audio)


def _within(scope: str) -> tuple[str, tuple[str, ...]]:
    """The condition for what is at a path, or below it."""
    if not scope:
        return "1", ()
    # "0" is the character after the slash.
    return "path = ? or (path > ? and path < ?)", (scope, f"{scope}/", f"{scope}0")


def _values(entry: LedgerEntry) -> dict[str, Any]:
    return {
        "path": entry.path,
        "size": entry.size_bytes,
        "mtime_ns": max(-_MOST, min(entry.mtime_ns, _MOST)),
        "ctime_ns": max(-_MOST, min(entry.ctime_ns, _MOST)),
        "sha1": entry.sha1.lower(),
        "sha256": entry.sha256,
        "time": entry.time,
        "task": entry.task,
        "round": entry.round,
        "verdict": None if entry.verdict is None else str(entry.verdict),
        "reason": entry.reason,
    }


def _entry(row: Sequence[Any]) -> LedgerEntry:
    path, size_bytes, mtime_ns, ctime_ns, sha1, sha256, since, task, number, verdict, reason = row
    return LedgerEntry(
        path=path,
        size_bytes=size_bytes,
        mtime_ns=mtime_ns,
        ctime_ns=ctime_ns,
        sha1=sha1,
        sha256=sha256,
        time=since,
        task=task,
        round=number,
        verdict=None if verdict is None else Verdict(verdict),
        reason=reason,
    )
