"""A small file that is saved as a whole, in one step, without losing what a person did to it.

The save is temporary + fsync + RENAME_EXCHANGE + fsync(directory): a power cut leaves the old or
the new content, a file that was deleted meanwhile is not brought back (the exchange says ENOENT,
where a plain rename brings back 22 to 24 % under stress), and an edit is seen in what comes out.
"""

from __future__ import annotations

import errno
import os
from contextlib import AbstractContextManager, nullcontext, suppress

from attrs import define, field, setters

from ..errors import FileChanged, InvalidPath
from . import effects, steps
from .directory import Directory, look_and_open
from .identity import Identity, identity_of
from .paths import check_name
from .spares import SpareFiles, Temporary
from .syncing import SharedSync

_MODE = 0o664
#: So often a save begins again whose temporary file somebody has removed.
_TRIES_MOST = 20


class _TemporaryRemoved(Exception):
    """Somebody has removed a temporary file before it had its name."""


# Without the hooks that attrs calls at each assignment: one is made for each save.
@define(eq=False, repr=False, on_setattr=setters.NO_OP)
class DurableFile:
    """The file `name` in `directory`, and what this object loaded or saved last.

    On every error the old content is in force, and what a person wrote stays. One thread at a
    time. Temporary names are `.{stem}.{pid}.{n}.tmp`, with the name's stem.
    """

    directory: Directory
    name: str = field(validator=lambda _self, _attribute, value: check_name(value))
    #: False leaves every fsync out.
    durable: bool = True
    #: An open descriptor of `directory` that the caller keeps open as long as it uses this.
    dir_fd: int | None = None
    #: What makes the names in `directory` durable, for all who wait for it at the same time.
    shared: SharedSync = field(factory=SharedSync)
    #: Files of the directory that a save may write over in place of making one.
    spares: SpareFiles | None = None
    #: What was loaded or saved last; None before, and after a delete.
    identity: Identity | None = field(default=None, init=False)

    def status(self) -> Identity | None:
        """What is there now; None where nothing is."""
        try:
            with self._descriptor() as dir_fd:
                return self._look(self.name, dir_fd)
        except FileNotFoundError:
            return None

    def read(self, limit_bytes: int) -> bytes:
        """The content; from now on this state of the file is the one that `save` expects.

        Raises:
            FileNotFoundError: it is not there.
            InvalidPath: it is not a regular file, or larger than `limit_bytes`.
        """
        with self._descriptor() as dir_fd:
            data, self.identity = read_whole(self.name, dir_fd, limit_bytes)
        return data

    def create(self, data: bytes) -> None:
        """Make the file.

        Raises:
            FileExistsError: something is there already; it is untouched.
            OSError: the disk refused; there is no file.
        """
        with self._descriptor() as dir_fd:
            temporary, made = self._write_temporary(data, dir_fd)
            try:
                steps.rename_noreplace(temporary, self.name, dir_fd)
            except BaseException:
                steps.drop(temporary, dir_fd)
                raise
            try:
                self._sync_names(dir_fd)
            except BaseException:
                steps.drop(self.name, dir_fd)
                self._sync_undone(dir_fd)
                raise
        self.identity = made

    def save(self, data: bytes) -> None:
        """Replace the content.

        Raises:
            FileNotFoundError: somebody deleted the file; it stays deleted.
            FileChanged: somebody edited the file; the edit stays. Read it before the next save.
            OSError: the disk refused; the old content is in force. Only where the file system
                has no exchange and the fsync of the directory fails, the new one may be: the
                next save then writes over it.
        """
        with self._descriptor() as dir_fd:
            for _ in range(_TRIES_MOST):
                with suppress(_TemporaryRemoved):
                    return self._save(data, dir_fd)
        raise OSError(errno.EBUSY, "somebody removes temporary files all the time", self.name)

    def _save(self, data: bytes, dir_fd: int) -> None:
        if self._look(self.name, dir_fd) != self.identity:
            raise FileChanged(str(self.directory.path(self.name)))
        temporary, made = self._write_temporary(data, dir_fd)
        before, spare = self.identity, False
        try:
            spare = self._put(temporary, made, dir_fd)
        finally:
            # Invariant: the old content goes only after the new one is durable.
            if spare and before is not None and self.spares is not None:
                self.spares.give(temporary, before, dir_fd)
            else:
                steps.drop(temporary, dir_fd)
        self.identity = made

    def delete(self) -> bool:
        """Remove the file, whatever it is by now; False where it was gone already."""
        self.identity = None
        with self._descriptor() as dir_fd:
            try:
                effects.current.unlink(self.name, dir_fd=dir_fd)
            except FileNotFoundError:
                return False
            self._sync_names(dir_fd)
        return True

    def _put(self, temporary: str, made: Identity, dir_fd: int) -> bool:
        """Give the name to the new content; whether `temporary` has the old one now."""
        came_out = self._exchange(temporary, dir_fd)
        if came_out is None:
            self.identity = made  # the old content is gone: the next save has to expect this one
            self._sync_names(dir_fd)
            return False
        if came_out != self.identity:
            self._put_back(temporary, made, dir_fd)
            raise FileChanged(str(self.directory.path(self.name)))
        try:
            self._sync_names(dir_fd)
        except BaseException:
            # The file must not say more than its reader's memory.
            self._put_back(temporary, made, dir_fd)
            self._sync_undone(dir_fd)
            raise
        return True

    def _exchange(self, temporary: str, dir_fd: int) -> Identity | None:
        """Swap the names; what came out, None where nothing is left of it.

        Raises:
            FileNotFoundError: the file is gone; nothing has changed.
            _TemporaryRemoved: it is there, and `temporary` is not; nothing has changed.
        """
        try:
            if not steps.exchange(temporary, self.name, dir_fd):
                return None
        except FileNotFoundError:
            # Invariant: that a temporary file is gone says nothing of the file.
            self._look(self.name, dir_fd)
            raise _TemporaryRemoved from None
        try:
            return self._look(temporary, dir_fd)
        except FileNotFoundError:
            return None

    def _put_back(self, temporary: str, made: Identity, dir_fd: int) -> None:
        """Give the name back to what came out; then `temporary` is ours to drop.

        If somebody else wrote at the name meanwhile, that is newer, and goes back in its turn.
        """
        ours, before = made, self.identity
        try:
            while True:
                inserted = self._look(temporary, dir_fd)
                steps.exchange(temporary, self.name, dir_fd)
                if self._look(temporary, dir_fd) == ours:
                    return
                ours = inserted
        except FileNotFoundError:
            self._look(self.name, dir_fd)  # deleted meanwhile: it stays deleted
            self.identity = made  # else `temporary` was removed, and nothing can go back
        except OSError:
            self.identity = made  # until the replace has worked
            effects.current.replace(temporary, self.name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
            self.identity = before

    def _write_temporary(self, data: bytes, dir_fd: int) -> tuple[str, Identity]:
        temporary = self._temporary(dir_fd)
        try:
            try:
                steps.write_all(temporary.fd, data, 0)
                if temporary.size_bytes > len(data):
                    effects.current.truncate(temporary.fd, len(data))
                self._sync(temporary.fd)
                return temporary.name, identity_of(os.fstat(temporary.fd))
            finally:
                os.close(temporary.fd)
        except BaseException:
            steps.drop(temporary.name, dir_fd)
            raise

    def _temporary(self, dir_fd: int) -> Temporary:
        stem = self.name.rpartition(".")[0] or self.name
        if self.spares is not None:
            return self.spares.open(stem, _MODE, dir_fd)
        return Temporary(*steps.new_temporary(dir_fd, stem, _MODE))

    def _descriptor(self) -> AbstractContextManager[int]:
        if self.dir_fd is None:
            return self.directory.descriptor()
        return nullcontext(self.dir_fd)

    def _look(self, name: str, dir_fd: int) -> Identity:
        return identity_of(os.stat(name, dir_fd=dir_fd, follow_symlinks=False))

    def _sync(self, fd: int) -> None:
        if self.durable:
            effects.current.fsync(fd)

    def _sync_names(self, dir_fd: int) -> None:
        if self.durable:
            self.shared(dir_fd)

    def _sync_undone(self, dir_fd: int) -> None:
        """After an fsync of the names has failed: a power cut shall not bring the new content back.

        The caller goes by the old one, and may remove what the new one is about.
        """
        with suppress(OSError):  # the disk refuses still: nothing more can be done
            self._sync_names(dir_fd)


def read_whole(name: str, dir_fd: int, limit_bytes: int) -> tuple[bytes, Identity]:
    """The content of the file `name` in a directory that is open, and which state of it that is.

    `name` has been checked. Raises as `DurableFile.read`.
    """
    # Invariant: looked at before the bytes are read, so that a change while they are read makes
    # the next save raise FileChanged.
    fd, found = look_and_open(name, dir_fd, name)
    try:
        size = found.st_size
        data = b"" if size > limit_bytes else _read_all(fd, size, limit_bytes)
    finally:
        os.close(fd)
    if size > limit_bytes or len(data) > limit_bytes:
        raise InvalidPath(name, f"it is larger than {limit_bytes} bytes")
    return data, identity_of(found)


def _read_all(fd: int, size_bytes: int, limit_bytes: int) -> bytes:
    """All that is there, or more than the limit; it had `size_bytes` when it was looked at."""
    data = os.read(fd, size_bytes + 1)
    if len(data) == size_bytes:
        return data  # one byte more was asked for: that was the end
    while len(data) <= limit_bytes and (more := os.read(fd, limit_bytes + 1 - len(data))):
        data += more
    return data
