"""Reads the files of the Music Directory again, and says which are still what the ledger knows."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

from attrs import define, evolve, field, frozen

from ..errors import InvalidPath, MusicDirectoryUnusable
from .hashing import digests_of
from .ledger import Ledger, LedgerEntry, Verdict
from .music_directory import MusicDirectory
from .scan_walk import Kind, list_music, path_text

#: What was read is taken down after so many files, bytes or seconds: a kill loses no more.
_FLUSH_FILES = 500
_FLUSH_BYTES = 1024 * 1024 * 1024
_FLUSH_S = 5.0
#: The errors of one file alone; whatever else the disk answers ends the verification.
_OF_ONE_FILE = {errno.EACCES, errno.EPERM, errno.EIO, errno.ELOOP, errno.ENAMETOOLONG}

#: `(files done, files in all, path)`: called before each file and for each MiB; may raise to stop.
Progress = Callable[[int, int, str], object]


@frozen(kw_only=True)
class Finding:
    """A file of which there is something to say."""

    path: str
    verdict: Verdict
    #: What there is to say of it, for people.
    reason: str | None = None
    #: Where it was before, if it was moved.
    former: str | None = None
    #: Since when its bytes were known, in unix seconds; None where they were not.
    since: float | None = None
    #: The task that placed it, if one of ours did.
    task: str | None = None


@frozen(kw_only=True)
class Verified:
    """What a verification has shown so far, with what earlier runs of it have."""

    #: When the ledger was begun, in unix seconds.
    since: float
    #: Files that are known by now, or lie there.
    total: int
    #: Of them, those that this verification has read, in this run or in earlier ones.
    done: int
    #: How many files this run has read.
    read: int
    #: By verdict, of those that are done; what was unknown or moved is the same by now.
    counts: dict[Verdict, int]
    #: All but those that are the same.
    findings: tuple[Finding, ...]
    #: The paths of what was changed, rotten or lost and was accepted.
    accepted: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether all has been read; else the next run goes on."""
        return self.done == self.total

    @property
    def is_well(self) -> bool:
        """Whether nothing is changed, rotten, lost or unreadable."""
        return not any(finding.verdict in _BAD for finding in self.findings)


_BAD = frozenset({Verdict.CHANGED, Verdict.ROT, Verdict.LOST, Verdict.UNREADABLE})


def verify(
    music: MusicDirectory,
    ledger: Ledger,
    scope: str = "",
    *,
    accept: bool = False,
    budget_s: float | None = None,
    progress: Progress | None = None,
) -> Verified:
    """Reads files again, those first whose last reading is longest ago.

    What is unknown is known from now on. What has moved (its bytes stand where nothing was known)
    is known at its new path. What is changed, rotten or lost stays so until it is accepted.
    Stopped in whatever way, the next verification of the same scope goes on.

    Args:
        music: The Music Directory.
        ledger: What is known of it; brought up to date.
        scope: An artist, an album or a file, relative to the Music Directory; empty: all.
        accept: What is there now is right from now on, and what is lost is forgotten.
        budget_s: Ends after so many seconds, with the file that is read then.
        progress: How far it is; may raise to stop.

    Raises:
        InvalidPath: Nothing is in the scope, and nothing was.
        LedgerUnusable: SQLite cannot read or write it.
        MusicDirectoryUnusable: There is nothing in it, but files are known; or it was exchanged
            meanwhile.
        OSError: The disk does not give a directory.
    """
    verifying = _Verifying(music, ledger, scope, accept, progress or (lambda *_: None))
    return verifying.run(None if budget_s is None else time.monotonic() + budget_s)


@define(eq=False)
class _Verifying:
    music: MusicDirectory
    ledger: Ledger
    scope: str
    accept: bool
    progress: Progress
    number: int = field(default=0, init=False)
    known: dict[str, LedgerEntry] = field(factory=dict, init=False)
    #: The paths of known files that are gone.
    lost: dict[str, None] = field(factory=dict, init=False)
    #: The same paths, by SHA-256.
    lost_bytes: dict[str, list[str]] = field(factory=lambda: defaultdict(list), init=False)
    #: Of what was unknown or moved.
    told: list[Finding] = field(factory=list, init=False)
    accepted: list[str] = field(factory=list, init=False)
    #: Unknown files that could not be read.
    failed: dict[str, Finding] = field(factory=dict, init=False)
    pending: _Pending = field(factory=lambda: _Pending(), init=False)

    def run(self, end: float | None) -> Verified:
        mounted = self._identity()
        # Invariant: the directory before the ledger. What is placed meanwhile is known then, and
        # what the listing has not is looked for before it counts as lost.
        there = self._listed()
        self.ledger.prepare()
        self.known = self.ledger.entries(self.scope)
        if self.known and not there and self._is_empty():
            self._refuse(
                "nothing is in it, but files are known: is it mounted? If all were deleted on "
                "purpose, begin the ledger anew"
            )
        if self.scope and not self.known and not there:
            raise InvalidPath(self.scope, "no file is there, and none was known")
        self.number = self.ledger.begin_round(self.scope)
        self._find_lost(there)
        todo = list(self._todo(there))
        read = 0
        try:
            for number, path in enumerate(todo):
                if end is not None and time.monotonic() >= end:
                    break
                self.progress(number, len(todo), path)
                self._read(path, lambda n=number, p=path: self.progress(n, len(todo), p))
                read += 1
                if self.pending.is_due():
                    self._flush()
        finally:
            self._flush()
        # What was unmounted on the way would be lost, file by file.
        if self._identity() != mounted or (self.lost and self._is_empty()):
            self._refuse("another directory took its place meanwhile: verify again")
        self._judge_lost()
        if read == len(todo):
            self.ledger.end_round(self.scope)
        return self._result(len(todo) - read, read)

    # -- what there is ----------------------------------------------------------------------

    def _refuse(self, reason: str) -> NoReturn:
        raise MusicDirectoryUnusable(str(self.music.root), reason)

    def _identity(self) -> tuple[int, int]:
        found = self.music.directory.status()
        if found is None:
            self._refuse("it is not there: is it mounted?")
        return found.st_dev, found.st_ino

    def _is_empty(self) -> bool:
        ignored = self.music.ignore_artists
        names = self.music.directory.names()
        return all(name.startswith(".") or name in ignored for name in names)

    def _listed(self) -> set[str]:
        """The files of albums, and the videos."""
        artist = self.scope.partition("/")[0] or None
        listing = list_music(self.music, lambda done, total, path: None, artist)
        files = {
            f"{album}/{name}"
            for album, entries in listing.albums.items()
            for name, kind in entries.items()
            if kind is Kind.FILE
        }
        return {path for path in files.union(listing.videos) if self._is_in_scope(path)}

    def _is_in_scope(self, path: str) -> bool:
        return not self.scope or path == self.scope or path.startswith(f"{self.scope}/")

    def _todo(self, there: set[str]) -> Iterator[str]:
        """What is unknown, then what was read longest ago."""
        unknown = [path for path in there if path not in self.known]
        for path in sorted(unknown, key=path_text):
            if path_text(path) == path:
                yield path
            else:
                self._fail(path, "its name is no UTF-8: the ledger cannot hold it")
        due = [
            one
            for one in self.known.values()
            if one.path not in self.lost and (self.accept or one.round < self.number)
        ]
        yield from (one.path for one in sorted(due, key=lambda one: (one.round, one.path)))

    def _find_lost(self, there: set[str]) -> None:
        for path, entry in self.known.items():
            if path not in there and self._is_gone(path):
                self.lost[path] = None
                self.lost_bytes[entry.sha256].append(path)

    def _is_gone(self, path: str) -> bool:
        """Only where the disk says so; what is behind a link cannot be read, but is not lost."""
        try:
            found = self.music.directory.status(path)
        except (InvalidPath, PermissionError):
            return False
        return found is None or not (stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode))

    # -- one file ---------------------------------------------------------------------------

    def _read(self, path: str, step: Callable[[], object]) -> None:
        try:
            self._compare(path, step)
        except (FileNotFoundError, NotADirectoryError):
            if path in self.known:  # else it went since the names were read
                self.lost[path] = None
        except InvalidPath as error:
            self._fail(path, error.reason)
        except OSError as error:
            if error.errno not in _OF_ONE_FILE:
                raise
            self._fail(path, str(error.strerror))

    def _compare(self, path: str, step: Callable[[], object]) -> None:
        entry = self.known.get(path)
        with self.music.directory.open(path) as file:
            before = os.fstat(file.fileno())
            new = entry is None
            found = digests_of(file, path, sha1=new, audio=new, check=step)
            other = entry is not None and found.sha256 != entry.sha256
            if other and (self.accept or not _is_later(before, entry)):
                found = digests_of(file, path, check=step)
            after = os.fstat(file.fileno())
        if _look(before) != _look(after) or found.size_bytes != after.st_size:
            self._fail(path, "it was written to while it was read")
            return
        self.pending.bytes += found.size_bytes
        if entry is None or (other and self.accept):
            self._take_down(path, found.sha1, found.sha256, found.audio, after)
        elif not other:
            self._judge(entry, Verdict.SAME, None, after)
        elif _is_later(after, entry):
            self._judge(entry, Verdict.CHANGED, _size_reason(entry, after))
        else:
            self._judge(entry, *self._without_a_time(entry, found.audio, after))

    def _without_a_time(
        self, entry: LedgerEntry, audio: str | None, status: os.stat_result
    ) -> tuple[Verdict, str]:
        """Other bytes, but the same modification time: rot, or a program that kept the time."""
        known = self.ledger.audio([entry.sha256]).get(entry.sha256)
        was_written = status.st_ctime_ns != entry.ctime_ns
        if audio is not None and audio == known and was_written:
            # What a FLAC file says of its audio is no proof that it is still so.
            if not audio.startswith("flac:"):
                return Verdict.CHANGED, "only its tags, by a program that kept the time"
            return Verdict.ROT, "other bytes, unless a tagger kept the modification time"
        if status.st_size != entry.size_bytes:
            return Verdict.ROT, f"{_size_reason(entry, status)}, and no program has told a time"
        return Verdict.ROT, "other bytes, and size and modification time are as they were"

    def _take_down(
        self,
        path: str,
        sha1: str | None,
        sha256: str | None,
        audio: str | None,
        status: os.stat_result,
    ) -> None:
        """It is known like this from now on; or since it was where its bytes were before."""
        assert sha1 is not None
        assert sha256 is not None
        entry = LedgerEntry(
            path=path,
            size_bytes=status.st_size,
            mtime_ns=status.st_mtime_ns,
            ctime_ns=status.st_ctime_ns,
            sha1=sha1,
            sha256=sha256,
            time=time.time(),
            round=self.number,
            verdict=Verdict.SAME,
        )
        former = self._former(path, sha256) if path not in self.known else None
        if former is not None:
            since = self.known.pop(former)
            del self.lost[former]
            self.pending.moved.append((former, path))
            entry = evolve(entry, time=since.time, task=since.task)
            verdict = Verdict.MOVED
        else:
            verdict = Verdict.UNKNOWN if path not in self.known else Verdict.SAME
        self.known[path] = entry
        self.pending.found.append(entry)
        if audio is not None:
            self.pending.audio.append((sha256, audio))
        if verdict is Verdict.SAME:
            self.accepted.append(path)
        else:
            since_s = entry.time if verdict is Verdict.MOVED else None
            told = Finding(
                path=path, verdict=verdict, former=former, since=since_s, task=entry.task
            )
            self.told.append(told)

    def _former(self, path: str, sha256: str) -> str | None:
        """Where a file was that is lost and had the same bytes; one of the same name, if any."""
        paths = [one for one in self.lost_bytes.get(sha256, ()) if one in self.lost]
        name = path.rpartition("/")[2]
        paths.sort(key=lambda one: one.rpartition("/")[2] != name)
        return paths[0] if paths else None

    def _fail(self, path: str, reason: str) -> None:
        entry = self.known.get(path)
        if entry is not None:
            self._judge(entry, Verdict.UNREADABLE, reason)
        else:
            shown = path_text(path)
            self.failed[path] = Finding(path=shown, verdict=Verdict.UNREADABLE, reason=reason)

    def _judge(
        self,
        entry: LedgerEntry,
        verdict: Verdict,
        reason: str | None = None,
        status: os.stat_result | None = None,
    ) -> None:
        """`status`: what the file looks like, if it is still the one that is known."""
        judged = evolve(entry, round=self.number, verdict=verdict, reason=reason)
        if status is not None:
            judged = evolve(judged, mtime_ns=status.st_mtime_ns, ctime_ns=status.st_ctime_ns)
        self.known[entry.path] = judged
        self.pending.judged.append(judged)

    # -- the end ----------------------------------------------------------------------------

    def _judge_lost(self) -> None:
        if self.accept:
            self.ledger.forget(self.lost)
            self.accepted += self.lost
            for path in self.lost:
                del self.known[path]
            return
        there = {one.sha256: path for path, one in self.known.items() if path not in self.lost}
        for path in self.lost:
            entry = self.known[path]
            other = there.get(entry.sha256)
            reason = None if other is None else f"the same bytes are at {other}"
            self._judge(entry, Verdict.LOST, reason)
        self._flush()

    def _flush(self) -> None:
        pending, self.pending = self.pending, _Pending()
        if pending.judged or pending.found:
            self.ledger.judge(pending.judged, pending.found, pending.audio, pending.moved)

    def _result(self, left: int, read: int) -> Verified:
        done = [entry for entry in self.known.values() if entry.round >= self.number]
        counts = Counter(entry.verdict or Verdict.SAME for entry in done)
        counts[Verdict.UNREADABLE] += len(self.failed)
        findings = [
            Finding(
                path=entry.path,
                verdict=entry.verdict,
                reason=entry.reason,
                since=entry.time,
                task=entry.task,
            )
            for entry in self.known.values()
            if entry.verdict not in (None, Verdict.SAME)
        ]
        findings += [*self.told, *self.failed.values()]
        return Verified(
            since=self.ledger.since() or 0,
            total=len(done) + len(self.failed) + left,
            done=len(done) + len(self.failed),
            read=read,
            counts={verdict: number for verdict, number in counts.items() if number},
            findings=tuple(sorted(findings, key=lambda one: one.path)),
            accepted=tuple(sorted(self.accepted)),
        )


@define
class _Pending:
    """What was read and is not taken down yet."""

    judged: list[LedgerEntry] = field(factory=list)
    found: list[LedgerEntry] = field(factory=list)
    audio: list[tuple[str, str]] = field(factory=list)
    moved: list[tuple[str, str]] = field(factory=list)
    bytes: int = 0
    begun: float = field(factory=time.monotonic)

    def is_due(self) -> bool:
        return (
            len(self.judged) + len(self.found) >= _FLUSH_FILES
            or self.bytes >= _FLUSH_BYTES
            or time.monotonic() - self.begun >= _FLUSH_S
        )


def _is_later(status: os.stat_result, entry: LedgerEntry | None) -> bool:
    """Whether it has another modification time than it had."""
    return entry is not None and status.st_mtime_ns != entry.mtime_ns


def _size_reason(entry: LedgerEntry, status: os.stat_result) -> str | None:
    if status.st_size == entry.size_bytes:
        return None
    return f"it had {entry.size_bytes} bytes and has {status.st_size}"


def _look(status: os.stat_result) -> Sequence[int]:
    return status.st_size, status.st_mtime_ns, status.st_ino
