"""The data file of one upload: it grows chunk by chunk, and its size is the upload's offset."""

from __future__ import annotations

import errno
import hashlib
import os
from contextlib import suppress
from typing import Any

from attrs import define, field

from . import effects, steps
from .directory import Directory, open_regular
from .paths import check_name

#: So many bytes are taken before they are made durable (an fsync for each chunk costs up to 10x).
SYNC_EVERY_BYTES = 64 * 1024 * 1024
_BLOCK_BYTES = 1024 * 1024


@define(eq=False)
class UploadData:
    """The bytes of one upload, in the file `name` of `directory`.

    Between calls nothing is open. The SHA-1 goes along with the bytes: it advances only when a
    write has succeeded; a new object hashes again what the file has. One thread at a time.
    Every method raises InvalidPath where `name` is not a regular file, and OSError.
    """

    directory: Directory
    name: str = field(validator=lambda _self, _attribute, value: check_name(value))
    #: False leaves every fsync out.
    durable: bool = True
    _hash: Any = field(factory=lambda: hashlib.sha1(usedforsecurity=False), init=False)
    #: How many bytes `_hash` has seen.
    _hashed_bytes: int = field(default=0, init=False)
    #: So many bytes are known to be durable.
    _durable_bytes: int = field(default=0, init=False)
    _name_is_durable: bool = field(default=False, init=False)
    #: An fsync failed: the next one has to be that of a new file.
    _suspect: bool = field(default=False, init=False)

    def size(self) -> int:
        """The bytes that the file has; 0 where there is none."""
        found = self.directory.status(self.name)
        return 0 if found is None else found.st_size

    def append(self, data: bytes, offset: int, *, last: bool = False) -> None:
        """Add `data` at `offset`, which is where the upload stands; the first makes the file.

        Made durable every 64 MiB, and with the `last` chunk. Bytes beyond `offset` (of a write
        that could not be taken back) are dropped first.

        Raises:
            OSError: nothing was added, the file is as long as it was. ESTALE if it is shorter
                than `offset`: somebody has changed it, and `size()` is where to go on.
        """
        with self.directory.descriptor() as dir_fd:
            flags = os.O_RDWR | (os.O_CREAT if offset == 0 else 0)
            fd = open_regular(self.name, dir_fd, self.name, flags)
            try:
                self._stand_at(fd, offset)
                before = (self._hash.copy(), self._hashed_bytes)
                try:
                    steps.write_all(fd, data, offset)
                    self._hash.update(data)
                    self._hashed_bytes += len(data)
                    if last or self._hashed_bytes - self._durable_bytes >= SYNC_EVERY_BYTES:
                        self._make_durable(fd, dir_fd)
                except BaseException:
                    # Not made again from the file: after a failed fsync it is the only witness.
                    self._hash, self._hashed_bytes = before
                    with suppress(OSError):  # what stays is cut by the next append
                        effects.current.truncate(fd, offset)
                    raise
            finally:
                os.close(fd)

    def make_durable(self) -> None:
        """Make what the file has survive a power cut; nothing to do where there is none."""
        with self.directory.descriptor() as dir_fd:
            try:
                fd = open_regular(self.name, dir_fd, self.name, os.O_RDWR)
            except FileNotFoundError:
                return
            try:
                self._make_durable(fd, dir_fd)
            finally:
                os.close(fd)

    def hexdigest(self) -> str:
        """The SHA-1 of what the file has, in lower case."""
        size = self.size()
        if self._hashed_bytes != size:
            with self.directory.open(self.name) as file:
                self._hash_again(file.fileno(), size)
        return self._hash.hexdigest()

    def cut(self, offset: int) -> None:
        """Take back what was added after `offset`; the SHA-1 is made again when it is needed."""
        with self.directory.descriptor() as dir_fd:
            try:
                fd = open_regular(self.name, dir_fd, self.name, os.O_RDWR)
            except FileNotFoundError:
                self._forget()
                return
            try:
                if os.fstat(fd).st_size > offset:
                    effects.current.truncate(fd, offset)
            finally:
                os.close(fd)
        self._durable_bytes = min(self._durable_bytes, offset)

    def discard(self) -> bool:
        """Remove the file; False where there was none. The next append begins at 0."""
        self._forget()
        return self.directory.remove(self.name)

    def _forget(self) -> None:
        self._hash, self._hashed_bytes = hashlib.sha1(usedforsecurity=False), 0
        self._durable_bytes, self._name_is_durable, self._suspect = 0, False, False

    def _stand_at(self, fd: int, offset: int) -> None:
        size = os.fstat(fd).st_size
        if size < offset:
            raise OSError(errno.ESTALE, f"the data has {size} bytes, not {offset}", self.name)
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
                raise OSError(errno.ESTALE, "the data became shorter", self.name)
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
                    raise OSError(errno.EIO, "the disk lost uploaded data", self.name)
                effects.current.fsync(new_fd)
            finally:
                os.close(new_fd)
            effects.current.replace(temporary, self.name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
        except BaseException:
            steps.drop(temporary, dir_fd)
            raise
        self._suspect, self._name_is_durable = False, False
