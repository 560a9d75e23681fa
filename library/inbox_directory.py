"""A directory into which people put music: what lies there, and how it leaves again.

Nothing is removed but a file whose bytes were read again just before, and nothing is overwritten.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import cattrs
from attrs import field, frozen

from ..errors import InvalidPath
from ..files import OWN_STEM, Directory, ForeignDirectory, Parts, has_writer, sweep

#: Where what was refused goes.
REFUSED = "refused"
#: What we need for ourselves, as long as something is under way.
STATE = ".musictasks"
_AWAY = "away"
_NOTES = "notes"
_NAME_MAX_BYTES = 255
_BLOCK_BYTES = 1024 * 1024
#: So many folders may lie in each other: deeper ones have paths that no program opens.
_DEEPEST = 200
#: A longer note is none of ours.
_NOTE_MOST_BYTES = 256 * 1024 * 1024


class Kind(StrEnum):
    """What something in the inbox is."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"
    OTHER = "other"


@frozen
class Seen:
    """What is known of something without a look into it; of a directory, that it is there."""

    kind: Kind
    size_bytes: int = 0
    mtime_ns: int = 0
    ctime_ns: int = 0
    inode: int = 0


#: An entry of the inbox and all that is in it.
Snapshot = Mapping[Parts, Seen]


@frozen
class Done:
    """A file that is in the library: it leaves the inbox if its bytes are still these."""

    parts: Parts
    size_bytes: int
    #: SHA-1 as 40 hex digits.
    checksum: str


@frozen
class Refused:
    """An entry that goes where the refused ones are, or what is left of it."""

    name: str
    #: Goes into a file beside it.
    text: str
    #: What has to be there, and nothing else: of anything more, nobody knows that it is refused.
    remains: tuple[tuple[Parts, Seen], ...]


@frozen(kw_only=True)
class Conclusion:
    """What is to be done with entries of the inbox that were looked at; may be done again."""

    #: For messages.
    name: str
    done: tuple[Done, ...] = ()
    #: Of the entries; removed where they are empty then.
    directories: tuple[Parts, ...] = ()
    refused: tuple[Refused, ...] = ()


@frozen(kw_only=True)
class Concluded:
    """What became of a conclusion."""

    name: str
    #: How many files have left the inbox.
    removed: int
    #: Files that stay since their bytes are not those that were brought in.
    changed: tuple[Parts, ...]
    #: By the name of a refused entry: where it is now. One that has changed is not here.
    refused: dict[str, Path]


@frozen(kw_only=True)
class Unfinished:
    """What could not be done now; the next `go_on` tries again."""

    name: str
    #: Its entries: until then nobody can say what becomes of them.
    entries: frozenset[str]
    reason: str


@frozen
class InboxDirectory:
    """The inbox. Names are those of entries: what lies directly in it."""

    _directory: ForeignDirectory = field(alias="directory")

    @classmethod
    def at(cls, root: Path, *, durable: bool = True) -> InboxDirectory:
        return cls(ForeignDirectory(root, durable))

    @property
    def root(self) -> Path:
        return self._directory.root

    def path(self, parts: Parts) -> Path:
        return self._directory.path(parts)

    # -- what lies there ----------------------------------------------------------------------

    def names(self) -> list[str]:
        """The entries, without hidden ones and where the refused go."""
        return [one for one in self._directory.names() if one != REFUSED and one[0] != "."]

    def look(self, name: str) -> Snapshot:
        """What an entry is now; empty where it is gone.

        Raises:
            OSError: It cannot be read, or has too many folders in each other.
        """
        status = self._directory.status((name,))
        if status is None:
            return {}
        found: dict[Parts, Seen] = {(name,): _seen(status)}
        if stat.S_ISDIR(status.st_mode):
            with suppress(FileNotFoundError, NotADirectoryError):
                for parts, status in self._directory.walk((name,)):
                    if len(parts) > _DEEPEST:
                        raise OSError(errno.ENAMETOOLONG, "too many folders lie in each other")
                    found[parts] = _seen(status)
        return found

    def folders(self, name: str) -> dict[Parts, tuple[int, int, int]]:
        """The directories of an entry: by device, inode and when the inode changed, in unix ns.

        Who moves one away, and back again, changes that.

        Raises:
            OSError: It cannot be read.
        """
        found: dict[Parts, tuple[int, int, int]] = {}
        status = self._directory.status((name,))
        if status is not None and stat.S_ISDIR(status.st_mode):
            walked = chain([((name,), status)], self._directory.walk((name,)))
            for parts, one in walked:
                if stat.S_ISDIR(one.st_mode):
                    found[parts] = one.st_dev, one.st_ino, one.st_ctime_ns
        return found

    def written(self, snapshot: Snapshot) -> Parts | None:
        """A file that somebody has open for writing, as far as that can be known.

        Raises:
            OSError: One of the files cannot be opened; its `filename` is the whole path.
        """
        for parts, seen in snapshot.items():
            if seen.kind is Kind.FILE and self._is_written(parts):
                return parts
        return None

    def _is_written(self, parts: Parts) -> bool:
        try:
            with self._directory.open(parts) as file:
                return has_writer(file)
        except InvalidPath:
            return True  # something else by now
        except OSError as error:
            error.filename = str(self.path(parts))
            raise

    @property
    def is_unfinished(self) -> bool:
        """Whether `go_on` has something to do."""
        return self._is_directory((STATE,))

    # -- how it leaves ------------------------------------------------------------------------

    def conclude(self, conclusion: Conclusion) -> Concluded:
        """Does what is to be done; killed in the middle, or after an error, `go_on` does the rest.

        Raises:
            OSError: The disk refused.
        """
        self._directory.make_directories((STATE, _NOTES))
        note = (STATE, _NOTES, f"{hashlib.sha256(_saved(conclusion)).hexdigest()[:32]}.json")
        # Invariant: what belongs together is known as such before the first of it is gone. A cover
        # that is left of an album whose songs have left already would be refused.
        with suppress(FileExistsError):
            self._directory.write_new(note, _saved(conclusion))
        return self._carry_out(conclusion, note)

    def go_on(self) -> list[Concluded | Unfinished]:
        """Ends what an earlier process was killed in; to be called before anything else.

        Raises:
            OSError: The inbox cannot be read or written.
        """
        if not self.is_unfinished:
            return []
        for below in (_NOTES, REFUSED):
            top = self.root / STATE if below == _NOTES else self.root
            sweep(Directory(top), below, OWN_STEM)
        self._put_back()
        notes = [(STATE, _NOTES, name) for name in self._names((STATE, _NOTES))]
        ended = [self._go_on(note) for note in notes]
        self._tidy()
        return ended

    def _go_on(self, note: Parts) -> Concluded | Unfinished:
        try:
            conclusion = self._read_note(note)
        except (InvalidPath, ValueError, OSError) as error:
            # Whatever it is, it is not ours to remove.
            return Unfinished(
                name="/".join(note),
                entries=frozenset(),
                reason=f"it is no note of musictasks, or damaged: remove it ({error})",
            )
        try:
            return self._carry_out(conclusion, note)
        except OSError as error:
            entries = {done.parts[0] for done in conclusion.done}
            entries |= {one.name for one in conclusion.refused}
            return Unfinished(
                name=conclusion.name, entries=frozenset(entries), reason=_reason(error)
            )

    def _read_note(self, note: Parts) -> Conclusion:
        """What a note says; it lies where anybody may write who can write into the inbox.

        Raises:
            InvalidPath, ValueError: It is no note.
            OSError: It cannot be read.
        """
        with self._directory.open(note) as file:
            text = file.read(_NOTE_MOST_BYTES)
        try:
            conclusion = cattrs.structure(json.loads(text), Conclusion)
        except (cattrs.BaseValidationError, TypeError, KeyError, RecursionError) as error:
            raise ValueError(type(error).__name__) from error
        places = [done.parts for done in conclusion.done]
        places += [*conclusion.directories, *((one.name,) for one in conclusion.refused)]
        for parts in places:
            if not parts:
                raise ValueError("a path is missing")
            self._directory.path(parts)
        return conclusion

    def refuse_in_place(self, refused: Refused) -> Path:
        """Only writes the reason down, once for the same one; returns its file."""
        self._directory.make_directories((REFUSED,))
        for name in _free_names(refused.name, is_file=_is_file(refused)):
            if self._write_reason(name, refused.text):
                return self.path((REFUSED, _reason_name(name)))
        raise AssertionError("names never end")

    def _carry_out(self, conclusion: Conclusion, note: Parts) -> Concluded:
        gone = [done.parts for done in conclusion.done if self._withdraw(done)]
        there = (done.parts for done in conclusion.done if self._directory.status(done.parts))
        changed = tuple(parts for parts in there if parts not in gone)
        for parts in sorted(conclusion.directories, key=len, reverse=True):
            self._directory.remove_empty(parts)
        places = ((one.name, self._refuse(one)) for one in conclusion.refused)
        refused = {name: place for name, place in places if place is not None}
        for parts in sorted({(), (REFUSED,), *(parts[:-1] for parts in gone)}):
            self._directory.sync(parts)
        # Invariant: forgotten only when all of it is done, and durable.
        self._directory.remove(note)
        self._tidy()
        return Concluded(name=conclusion.name, removed=len(gone), changed=changed, refused=refused)

    def _withdraw(self, done: Done) -> bool:
        """Removes a file if it holds these bytes still, and nobody writes it."""
        status = self._directory.status(done.parts)
        if status is None or not stat.S_ISREG(status.st_mode) or status.st_size != done.size_bytes:
            return False
        away = (STATE, _AWAY, *done.parts)
        self._directory.make_directories(away[:-1])
        # Invariant: nobody can open it by its name any more while it is compared; so what is
        # written under that name from here on is another file.
        self._directory.move(done.parts, away)
        if not self._is_same(away, done):
            self._move_to_free_name(away, done.parts)
            return False
        self._directory.remove(away)
        return True

    def _is_same(self, parts: Parts, done: Done) -> bool:
        try:
            with self._directory.open(parts) as file:
                # Invariant: asked before it is read. Nobody can open it by its name now, so what
                # is read cannot be written over meanwhile by one who closes it then.
                return not has_writer(file) and _sha1(file) == done.checksum
        except InvalidPath:
            return False  # no file any more

    def _put_back(self) -> None:
        """What was under way out of the inbox is in it again: nobody knows whether it was read."""
        with suppress(FileNotFoundError, NotADirectoryError):
            for parts, status in list(self._directory.walk((STATE, _AWAY))):
                if not stat.S_ISDIR(status.st_mode):
                    self._directory.make_directories(parts[2:-1])
                    self._move_to_free_name(parts, parts[2:])

    def _move_to_free_name(self, source: Parts, target: Parts) -> None:
        for name in _free_names(target[-1], is_file=True):
            with suppress(FileExistsError):
                return self._directory.move(source, (*target[:-1], name))
        raise AssertionError("names never end")

    def _refuse(self, refused: Refused) -> Path | None:
        """Moves an entry to the refused ones; None where it is gone, or another one by now."""
        if self.look(refused.name) != dict(refused.remains) or not refused.remains:
            return None
        self._directory.make_directories((REFUSED,))
        for name in _free_names(refused.name, is_file=_is_file(refused)):
            place = (REFUSED, name)
            # Invariant: the reason is there before the entry is. A reason alone with just these
            # words is of a run that was killed here.
            if self._directory.status(place) or not self._write_reason(name, refused.text):
                continue
            with suppress(FileExistsError):
                self._directory.move((refused.name,), place)
                return self.path(place)
        raise AssertionError("names never end")

    def _write_reason(self, name: str, text: str) -> bool:
        """Whether the reason is beside that name now; not where another one is."""
        place, data = (REFUSED, _reason_name(name)), text.encode("utf-8", "backslashreplace")
        try:
            self._directory.write_new(place, data)
        except FileExistsError:
            with suppress(InvalidPath), self._directory.open(place) as file:
                return file.read(len(data) + 1) == data
            return False
        return True

    def _tidy(self) -> None:
        """Leaves nothing of ours behind where nothing is under way."""
        with suppress(FileNotFoundError, NotADirectoryError):
            for parts, _ in sorted(self._directory.walk((STATE,)), reverse=True):
                if parts[1:2] == (_AWAY,) or len(parts) == 2:
                    self._directory.remove_empty(parts)
            self._directory.remove_empty((STATE,))

    def _names(self, parts: Parts) -> list[str]:
        return self._directory.names(parts) if self._is_directory(parts) else []

    def _is_directory(self, parts: Parts) -> bool:
        status = self._directory.status(parts)
        return status is not None and stat.S_ISDIR(status.st_mode)


def _seen(status: os.stat_result) -> Seen:
    mode = status.st_mode
    if stat.S_ISDIR(mode):
        return Seen(Kind.DIRECTORY)
    kind = {stat.S_IFREG: Kind.FILE, stat.S_IFLNK: Kind.LINK}.get(stat.S_IFMT(mode), Kind.OTHER)
    times = status.st_mtime_ns, status.st_ctime_ns
    return Seen(kind, status.st_size, *times, status.st_ino)


def _sha1(file: BinaryIO) -> str:
    digest = hashlib.sha1(usedforsecurity=False)
    while block := file.read(_BLOCK_BYTES):
        digest.update(block)
    return digest.hexdigest()


def _reason(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)


def _saved(conclusion: Conclusion) -> bytes:
    return json.dumps(cattrs.unstructure(conclusion), indent=1).encode()


def _is_file(refused: Refused) -> bool:
    return dict(refused.remains).get((refused.name,), Seen(Kind.FILE)).kind is Kind.FILE


def _free_names(name: str, *, is_file: bool) -> Iterator[str]:
    """The name, then `name (2)`, `name (3)`, …: the number stands before the extension."""
    yield name
    stem, dot, suffix = name.rpartition(".") if is_file else (name, "", "")
    if not stem:
        stem, dot, suffix = name, "", ""
    number = 2
    while True:
        yield _cut(stem, f" ({number}){dot}{suffix}")
        number += 1


def _reason_name(name: str) -> str:
    return _cut(name, ".txt")


def _cut(stem: str, end: str) -> str:
    room = _NAME_MAX_BYTES - len(end.encode("utf-8", "surrogateescape"))
    short = stem.encode("utf-8", "surrogateescape")[:room]
    whole = len(short) == len(stem.encode("utf-8", "surrogateescape"))
    return (stem if whole else short.decode("utf-8", "ignore")) + end


def remains(snapshot: Snapshot, gone: Iterable[Parts]) -> tuple[tuple[Parts, Seen], ...]:
    """What is left of an entry when these files, and the directories that are empty then, are gone.

    A directory that is empty now goes, too.
    """
    gone = set(gone)
    files = {p: s for p, s in snapshot.items() if s.kind is not Kind.DIRECTORY and p not in gone}
    holders = {parts[:depth] for parts in files for depth in range(1, len(parts))}
    left = files | {p: s for p, s in snapshot.items() if p in holders}
    return tuple(sorted(left.items()))
