"""Placing a file in a directory where nothing is ever overwritten.

A power cut or a kill at any instant leaves the target either absent or complete; what may be
left is a temporary file, whose name tells its owner.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from attrs import field, frozen

from ..errors import TargetExists
from . import effects, steps
from .directory import Directory, open_regular
from .paths import check_name, check_relative, find_same_name

_BLOCK_BYTES = 1024 * 1024
#: So much of a file is read at once for its checksum.
_BUFFER_BYTES = 256 * 1024

#: Called with the bytes done and the bytes in all; what it raises ends the placing.
Progress = Callable[[int, int], None]


@frozen
class Placed:
    """What `place` did."""

    #: True where the same bytes were there before; nothing was copied then.
    existed: bool
    size_bytes: int
    #: Of a file that was copied, its SHA-256 in hex digits, as it was read again from the disk.
    sha256: str | None = field(default=None, eq=False)
    #: Of a file that was copied: `looks_of` when it was.
    looks: tuple[int, int, int] | None = field(default=None, eq=False)


def looks_of(status: os.stat_result) -> tuple[int, int, int]:
    """What of a file's state stays as it is while it gets its name, and not if it is written to."""
    return status.st_ino, status.st_size, status.st_mtime_ns


def place(
    source: BinaryIO,
    target: Directory,
    rel: str,
    *,
    owner: str,
    mode: int = 0o664,
    dir_mode: int = 0o775,
    progress: Progress | None = None,
    durable: bool = True,
) -> Placed:
    """Copy `source` (seekable, from its beginning) to `rel`, making directories as needed.

    Returns when the file, its name and the directories above it are durable. Temporary names
    begin with `.{owner}.`. On any failure the temporary file is gone again, and so are the
    directories that this call made, where they are empty. If only the last fsync of the
    directory fails, the complete file stays: the next call finds it and makes it durable.

    Raises:
        TargetExists: something else is there, or a name that only differs in case or
            normal form; it is untouched.
        InvalidPath: `rel` or `owner` is none, or a symbolic link is on the way.
        OSError: the disk refused.
    """
    *above, name = check_relative(rel)
    check_name(owner)
    if not durable and target.durable:
        target = Directory(target.root, durable=False)
    with _place_of(target, "/".join(above), dir_mode) as (dir_fd, made):
        try:
            placing = _Placing(source, target, rel, name, dir_fd)
            return placing.run(owner, mode, progress)
        except BaseException:
            target.unmake(made)
            raise


@contextmanager
def _place_of(target: Directory, parent: str, mode: int) -> Iterator[tuple[int, list[str]]]:
    """The directory that a file comes into, and which ones were made for it."""
    if parent:
        with target.made(parent, mode) as found:
            yield found
    else:
        with target.descriptor() as dir_fd:
            yield dir_fd, []


def sweep(target: Directory, rel_dir: str, owner: str) -> list[str]:
    """Remove the temporary files of `owner` in one directory; returns their names."""
    check_name(owner)
    return target.remove_where(
        rel_dir, lambda name: steps.is_temporary(name, owner), prefix=f".{owner}."
    )


def digest_of(fd: int, size_bytes: int) -> str:
    """The SHA-256 of what a file has, in hex digits; it had `size_bytes` a moment ago."""
    digest, done = hashlib.sha256(), 0
    buffer = bytearray(min(size_bytes + 1, _BUFFER_BYTES))
    while count := os.preadv(fd, [buffer], done):
        digest.update(memoryview(buffer)[:count])
        done += count
    return digest.hexdigest()


@frozen
class _Placing:
    source: BinaryIO
    target: Directory
    rel: str
    name: str
    dir_fd: int

    def run(self, owner: str, mode: int, progress: Progress | None) -> Placed:
        size_bytes = self.source.seek(0, os.SEEK_END)
        if self._is_there(size_bytes):
            return Placed(existed=True, size_bytes=size_bytes)
        temporary, fd = steps.new_temporary(self.dir_fd, owner, 0o600)
        try:
            try:
                sha256 = self._copy(fd, size_bytes, progress)
                steps.set_mode(fd, mode)
                self._sync(fd)
                looks = looks_of(os.fstat(fd))
            finally:
                os.close(fd)
            # Invariant: the name appears only when all bytes and the mode are durable.
            steps.rename_noreplace(temporary, self.name, self.dir_fd)
        except FileExistsError:
            # Invariant: work that succeeds has left nothing, so that nobody has to sweep after it.
            with suppress(FileNotFoundError):
                effects.current.unlink(temporary, dir_fd=self.dir_fd)
            if not self._is_there(size_bytes):
                raise
            return Placed(existed=True, size_bytes=size_bytes)
        except BaseException:
            steps.drop(temporary, self.dir_fd)
            raise
        self._sync(self.dir_fd)
        return Placed(existed=False, size_bytes=size_bytes, sha256=sha256, looks=looks)

    def _copy(self, fd: int, size_bytes: int, progress: Progress | None) -> str:
        """Copy, then read the copy again: it has to be what was read; returns its SHA-256."""
        digest = hashlib.sha256()
        done = 0
        self.source.seek(0)
        while block := self.source.read(_BLOCK_BYTES):
            steps.write_all(fd, block, done)
            digest.update(block)
            done += len(block)
            if progress is not None:
                progress(done, max(done, size_bytes))
        written = digest_of(fd, size_bytes)
        if written != digest.hexdigest() or os.fstat(fd).st_size != done:
            raise OSError(f"the copy of {self.rel!r} is not what was read; the disk may be bad")
        if done != size_bytes:
            raise OSError(f"the source of {self.rel!r} changed its size while it was copied")
        return written

    def _is_there(self, size_bytes: int) -> bool:
        """Whether the target holds the bytes already; it is made durable then."""
        try:
            found = os.stat(self.name, dir_fd=self.dir_fd, follow_symlinks=False)
        except FileNotFoundError:
            self._refuse_same_name()
            return False
        if not stat.S_ISREG(found.st_mode) or found.st_size != size_bytes:
            raise self._exists(self.name)
        fd = open_regular(self.name, self.dir_fd, self.rel)
        with os.fdopen(fd, "rb") as there:
            if not self._same_bytes(there):
                raise self._exists(self.name)
            # It may be here because a run was cut off just before its fsync.
            self._sync(there.fileno())
        self._sync(self.dir_fd)
        return True

    def _same_bytes(self, there: BinaryIO) -> bool:
        self.source.seek(0)
        while True:
            block = self.source.read(_BLOCK_BYTES)
            if block != there.read(len(block) or 1):
                return False
            if not block:
                return True

    def _refuse_same_name(self) -> None:
        other = find_same_name(self.name, os.listdir(self.dir_fd))  # noqa: PTH208 - no path
        if other is not None:
            raise self._exists(other)

    def _exists(self, name: str) -> TargetExists:
        return TargetExists(str(self.target.path(self.rel).with_name(name)))

    def _sync(self, fd: int) -> None:
        if self.target.durable:
            effects.current.fsync(fd)
