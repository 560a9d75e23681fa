"""The data file of one upload: it grows chunk by chunk, and its size is the upload's offset."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any, NamedTuple

from attrs import define, field

from . import effects, steps
from .directory import Directory, open_directory, open_regular
from .paths import check_name, check_relative
from .upload_marks import (
    drop_marks,
    drop_sure_marks,
    held_back_name,
    make_sure_mark,
    offsets_held_back,
)

#: So many bytes are taken before they are made durable (an fsync for each chunk costs up to 10x).
SYNC_EVERY_BYTES = 64 * 1024 * 1024
#: So many the system is asked to write to the disk at a time, before they are waited for.
WRITE_BACK_BYTES = 4 * 1024 * 1024
_BLOCK_BYTES = 1024 * 1024


class Counted(NamedTuple):
    """What an upload has, without an object that takes part in it."""

    #: Those that count; 0 where there is no file.
    size_bytes: int = 0
    #: When the file was last written, in unix seconds; None where there is none.
    written_at: float | None = None
    #: Whether something is held back: `UploadData.settle` drops it.
    held_back: bool = False


#: Marks without a file hold nothing back, but they have to go.
_NOTHING_THERE = Counted(held_back=True)


def counted(directory: Directory, path: str) -> Counted:
    """The bytes of the upload at `path` that count.

    Raises:
        InvalidPath, OSError: as for every method of `UploadData`.
    """
    with counting(directory) as count:
        return count(path)


@contextmanager
def counting(directory: Directory) -> Iterator[Callable[[str], Counted]]:
    """`counted` for many uploads of one directory, which is opened once for all of them.

    Raises:
        OSError: It is there, but cannot be opened.
    """
    with ExitStack() as stack:
        try:
            root_fd = stack.enter_context(directory.descriptor())
        except (FileNotFoundError, NotADirectoryError):
            yield lambda _: _NOTHING_THERE
        else:
            yield partial(_counted_below, root_fd)


def _counted_below(root_fd: int, path: str) -> Counted:
    *above, name = check_relative(path)
    dir_fd = root_fd
    try:
        for part in above:
            # Invariant: closed once, as in `Directory`.
            dir_fd, upper = open_directory(part, dir_fd, path), dir_fd
            if upper != root_fd:
                os.close(upper)
        names = steps.names(dir_fd)
        found = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return _NOTHING_THERE
    finally:
        if dir_fd != root_fd:
            os.close(dir_fd)
    if names == [name]:  # no mark
        return Counted(found.st_size, found.st_mtime)
    offsets = offsets_held_back(names)
    return Counted(min([found.st_size, *offsets]), found.st_mtime, bool(offsets))


@define(eq=False)
class UploadData:
    """The bytes of one upload, in the file at `path` below `directory`.

    The first chunk makes the directory that the file is in, where it is missing. Between calls
    nothing is open. The SHA-1 goes along with the bytes: it advances only when a write has
    succeeded; a new object hashes again what the file has. One thread at a time. Every method
    raises InvalidPath where `path` is not a regular file or leads through a symbolic link, and
    OSError.
    """

    directory: Directory
    path: str = field(validator=lambda _self, _attribute, value: check_relative(value))
    #: False leaves every fsync out.
    durable: bool = True
    #: No checksum will judge the whole: after a power cut only what was durable counts.
    unannounced: bool = False
    _hash: Any = field(factory=lambda: hashlib.sha1(usedforsecurity=False), init=False)
    #: How many bytes `_hash` has seen.
    _hashed_bytes: int = field(default=0, init=False)
    #: So many bytes are known to be durable.
    _durable_bytes: int = field(default=0, init=False)
    _name_is_durable: bool = field(default=False, init=False)
    #: An fsync failed: the next one has to be that of a new file.
    _suspect: bool = field(default=False, init=False)
    #: Whether nothing is held back that an earlier object, or a failed call, left so.
    _settled: bool = field(default=False, init=False)
    #: What the mark says that is sure after a power cut; None where there is none.
    _sure_bytes: int | None = field(default=None, init=False)
    #: The hash and its bytes at the offset from which on bytes are held back.
    _hash_before: tuple[Any, int] | None = field(default=None, init=False)

    def size(self) -> int:
        """The bytes that the file has; 0 where there is none."""
        found = self.directory.status(self.path)
        return 0 if found is None else found.st_size

    def append(self, data: bytes | Sequence[bytes], offset: int, *, last: bool = False) -> None:
        """Add `data` at `offset`, which is where the upload stands; the first makes the file.

        Several pieces are added one after the other, all or none: to make one of them would copy
        them.

        Made durable every 64 MiB, and with the `last` chunk. Bytes beyond `offset` (of a write
        that could not be taken back) are dropped first, and so are those that an earlier run held
        back.

        Raises:
            OSError: nothing was added, the file is as long as it was. ESTALE if it is shorter
                than `offset`: somebody has changed it, and `size()` is where to go on.
        """
        pieces = [data] if isinstance(data, bytes) else data
        size = sum(map(len, pieces))
        with self._place(offset) as (dir_fd, name):
            flags = os.O_RDWR | (os.O_CREAT if offset == 0 else 0)
            fd = open_regular(name, dir_fd, self.path, flags)
            try:
                self._stand_at(fd, offset)
                self._mark(dir_fd)
                before = (self._hash.copy(), self._hashed_bytes)
                try:
                    self._write(fd, pieces, offset)
                    if last or self._hashed_bytes - self._durable_bytes >= SYNC_EVERY_BYTES:
                        self._make_durable(fd, dir_fd)
                    elif self.durable:
                        self._write_back(fd, offset, size)
                except BaseException:
                    # Not made again from the file: after a failed fsync it is the only witness.
                    self._hash, self._hashed_bytes = before
                    with suppress(OSError):  # what stays is cut by the next append
                        effects.current.truncate(fd, offset)
                    raise
            finally:
                os.close(fd)

    def _write(self, fd: int, pieces: Iterable[bytes], at: int) -> None:
        for piece in pieces:
            steps.write_all(fd, piece, at)
            at += len(piece)
            self._hash.update(piece)
            self._hashed_bytes += len(piece)

    def _write_back(self, fd: int, offset: int, size: int) -> None:
        """Begins to bring a large upload to the disk while more of it comes in."""
        begun, ended = offset // WRITE_BACK_BYTES, (offset + size) // WRITE_BACK_BYTES
        if ended > begun:
            at = begun * WRITE_BACK_BYTES
            effects.start_writing_back(fd, at, ended * WRITE_BACK_BYTES - at)

    @contextmanager
    def _place(self, offset: int) -> Iterator[tuple[int, str]]:
        """The directory of the file, and the file's name; made for the first chunk, and settled."""
        above, _, name = self.path.rpartition("/")
        if offset != 0 or not above:
            self.settle()
            with self.directory.parent(self.path) as found:
                yield found
            return
        with self.directory.made(above, will_be_synced=True) as (dir_fd, made):
            if above in made:
                self._settled = True  # in a new directory nothing is held back
            self.settle()
            yield dir_fd, name

    def hold_back(self, offset: int) -> None:
        """What is appended from here on counts only once it is accepted.

        `offset` is where the upload stands. Until then `take_back` drops it, and so does `settle`
        of the object that an upload has after a restart.
        """
        with self._place(offset) as (dir_fd, _):
            self._settled = False  # until what follows has happened as a whole
            os.close(steps.new_file(held_back_name(offset), dir_fd, 0o600))
            if self.durable:
                # Invariant: durable before any of the bytes are.
                effects.current.fsync(dir_fd)
        if self._hashed_bytes == offset:
            self._hash_before = (self._hash.copy(), offset)
        self._settled = True

    def accept(self, *, last: bool = False) -> None:
        """What was held back counts from now on; made durable first, if the upload is whole.

        Raises:
            OSError: it does not count yet: call `take_back`, or this again.
        """
        if last:
            self.make_durable()
        with self.directory.parent(self.path) as (dir_fd, _):
            # Not made durable: after a power cut the bytes may not count, as any that came last.
            drop_marks(dir_fd)
        self._hash_before = None

    def take_back(self) -> None:
        """Drop what is held back, if something is.

        Raises:
            OSError: it stays, does not count, and the next append tries again.
        """
        self._settled = False
        self.settle()

    def settle(self) -> None:
        """Drop what an earlier run, or a call that failed, left held back; raises as `take_back`.

        Once for each object: `append` calls it.
        """
        if self._settled:
            return
        with suppress(FileNotFoundError), self.directory.parent(self.path) as (dir_fd, _):
            offsets = offsets_held_back(steps.names(dir_fd))
            if offsets:
                self._cut_durably(min(offsets))
                # Invariant: only when the bytes are gone for good.
                drop_marks(dir_fd)
        self._hash_before = None
        self._settled = True

    def _cut_durably(self, offset: int) -> None:
        with suppress(FileNotFoundError), self._open() as (fd, dir_fd):
            if os.fstat(fd).st_size > offset:
                effects.current.truncate(fd, offset)
            self._durable_bytes = min(self._durable_bytes, offset)
            if self._hash_before is not None and self._hash_before[1] == offset:
                self._hash, self._hashed_bytes = self._hash_before
            self._make_durable(fd, dir_fd)

    def make_durable(self) -> None:
        """Make what the file has survive a power cut; nothing to do where there is none."""
        with suppress(FileNotFoundError), self._open() as (fd, dir_fd):
            self._make_durable(fd, dir_fd)

    def hexdigest(self, size: int | None = None) -> str:
        """The SHA-1 of what the file has, in lower case; `size`: that of the file, if known."""
        size = self.size() if size is None else size
        if self._hashed_bytes != size:
            with self.directory.open(self.path) as file:
                self._hash_again(file.fileno(), size)
        return self._hash.hexdigest()

    def cut(self, offset: int) -> None:
        """Take back what was added after `offset`; the SHA-1 is made again when it is needed."""
        try:
            with self._open() as (fd, _):
                if os.fstat(fd).st_size > offset:
                    effects.current.truncate(fd, offset)
        except FileNotFoundError:
            self._forget()
            return
        self._durable_bytes = min(self._durable_bytes, offset)

    def discard(self) -> bool:
        """Remove the file; False where there was none. The next append begins at 0."""
        self._forget()
        return self.directory.remove(self.path)

    def link(self, name: str) -> str:
        """Give the file a second name beside its own, durably; returns the path of it.

        That is its first name, too, where the file system has no hard links. Again: nothing
        happens. Another file that has the name is one that this one was before a failed fsync: it
        goes.
        """
        new = f"{self.path.rpartition('/')[0]}/{check_name(name)}".removeprefix("/")
        if new == self.path:
            return new
        with self.directory.parent(self.path) as (dir_fd, old):
            try:
                linked = steps.link(old, name, dir_fd)
            except FileExistsError:
                effects.current.unlink(name, dir_fd=dir_fd)
                linked = steps.link(old, name, dir_fd)
            if not linked:
                return self.path
            if self.durable:
                effects.current.fsync(dir_fd)
        return new

    @contextmanager
    def _open(self) -> Iterator[tuple[int, int]]:
        """The file and the directory that it is in; FileNotFoundError where it is not."""
        with self.directory.parent(self.path) as (dir_fd, name):
            fd = open_regular(name, dir_fd, self.path, os.O_RDWR)
            try:
                yield fd, dir_fd
            finally:
                os.close(fd)

    def _forget(self) -> None:
        self._hash, self._hashed_bytes = hashlib.sha1(usedforsecurity=False), 0
        self._durable_bytes, self._name_is_durable, self._suspect = 0, False, False
        self._settled, self._hash_before, self._sure_bytes = False, None, None

    def _mark(self, dir_fd: int) -> None:
        """Before bytes come that are not durable: a mark of what is."""
        if not (self.unannounced and self.durable):
            return
        if self._sure_bytes is None or self._sure_bytes > self._durable_bytes:
            # Invariant: durable before any of the bytes are.
            make_sure_mark(dir_fd, self._durable_bytes)
            self._sure_bytes = self._durable_bytes

    def _stand_at(self, fd: int, offset: int) -> None:
        size = os.fstat(fd).st_size
        if size < offset:
            raise OSError(errno.ESTALE, f"the data has {size} bytes, not {offset}", self.path)
        if size > offset:
            effects.current.truncate(fd, offset)
            self._durable_bytes = min(self._durable_bytes, offset)
        if self._hashed_bytes != offset:
            self._hash_again(fd, offset)

    def _hash_again(self, fd: int, length: int) -> None:
        self._hash, self._hashed_bytes = hashlib.sha1(usedforsecurity=False), 0
        while self._hashed_bytes < length:
            count = min(_BLOCK_BYTES, length - self._hashed_bytes)
            block = os.pread(fd, count, self._hashed_bytes)
            if not block:
                raise OSError(errno.ESTALE, "the data became shorter", self.path)
            self._hash.update(block)
            self._hashed_bytes += len(block)

    def _make_durable(self, fd: int, dir_fd: int) -> None:
        if not self.durable:
            return
        if self._suspect:
            self._write_anew(fd, dir_fd)
        else:
            try:
                effects.current.fsync(fd)
            except OSError:
                self._suspect = True
                raise
        if self.unannounced:
            self._sure_bytes = None
            drop_sure_marks(dir_fd)
        if not self._name_is_durable:
            effects.current.fsync(dir_fd)
            self._name_is_durable = True
        self._durable_bytes = os.fstat(fd).st_size

    def _write_anew(self, fd: int, dir_fd: int) -> None:
        """Copy the data to a new file: after a failed fsync, a second one proves nothing."""
        size = os.fstat(fd).st_size
        if self._hashed_bytes != size:
            self._hash_again(fd, size)
        digest = hashlib.sha1(usedforsecurity=False)
        temporary, new_fd = steps.new_temporary(dir_fd, "upload", 0o600)
        try:
            try:
                for offset in range(0, size, _BLOCK_BYTES):
                    block = os.pread(fd, _BLOCK_BYTES, offset)
                    digest.update(block)
                    steps.write_all(new_fd, block, offset)
                if digest.digest() != self._hash.digest():
                    raise OSError(errno.EIO, "the disk lost uploaded data", self.path)
                effects.current.fsync(new_fd)
            finally:
                os.close(new_fd)
            name = self.path.rpartition("/")[2]
            effects.current.replace(temporary, name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
        except BaseException:
            steps.drop(temporary, dir_fd)
            raise
        self._suspect, self._name_is_durable = False, False
