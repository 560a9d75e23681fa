"""A directory that other people write into: looked at, and taken from, without a link followed."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from attrs import field, frozen

from . import effects, steps
from .directory import OWN_STEM, open_regular

#: The names from a directory down to what is meant. Any names that the system allows.
Parts = tuple[str, ...]

_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_NO_LINKS = steps.UNSUPPORTED | {errno.EPERM, errno.EMLINK}


def _absolute(root: Path | str) -> Path:
    return Path(os.path.normpath(Path(root).absolute()))


def _checked(parts: Parts) -> Parts:
    for part in parts:
        if part in ("", ".", "..") or "/" in part or "\0" in part:
            raise ValueError(f"{part!r} is no name")
    return parts


@frozen
class ForeignDirectory:
    """Confined operations below `root`, for names that other people have chosen.

    As `Directory`, but every name goes that the system allows, also one that is no text. The root
    itself may be a symbolic link; below it none is followed: ELOOP or ENOTDIR is raised. Every
    method raises OSError for what the system refuses. It holds nothing open, so that what it is
    on can be unmounted.
    """

    root: Path = field(converter=_absolute)
    #: False leaves every fsync out.
    durable: bool = True

    def path(self, parts: Parts) -> Path:
        """The whole path, for messages."""
        return self.root.joinpath(*_checked(parts))

    @contextmanager
    def descriptor(self, parts: Parts = ()) -> Iterator[int]:
        """An open descriptor of a directory; closed when the block ends."""
        fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for part in _checked(parts):
                # Invariant: closed once, also if an interrupt comes right after it.
                fd, above = os.open(part, _DIRECTORY_FLAGS, dir_fd=fd), fd
                os.close(above)
            yield fd
        finally:
            os.close(fd)

    @contextmanager
    def parent(self, parts: Parts) -> Iterator[tuple[int, str]]:
        """The descriptor of the directory that holds it, and its name there."""
        *above, name = _checked(parts)
        with self.descriptor(tuple(above)) as fd:
            yield fd, name

    def status(self, parts: Parts = ()) -> os.stat_result | None:
        """What `lstat` says of it; None where nothing is."""
        try:
            if not parts:
                return self.root.stat()
            with self.parent(parts) as (dir_fd, name):
                return os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def walk(self, parts: Parts = ()) -> Iterator[tuple[Parts, os.stat_result]]:
        """All that is below a directory, with what `lstat` says of it; what goes is left out."""
        # No recursion: how deep it goes, others have chosen.
        with self.descriptor(parts) as fd:
            found = [((*parts, name), status) for name, status in _statuses(fd)]
        found.reverse()
        while found:
            place, status = found.pop()
            yield place, status
            if stat.S_ISDIR(status.st_mode):
                with suppress(FileNotFoundError, NotADirectoryError), self.descriptor(place) as fd:
                    below = [((*place, name), one) for name, one in _statuses(fd)]
                    found += reversed(below)

    def names(self, parts: Parts = ()) -> list[str]:
        """The names in a directory, sorted."""
        with self.descriptor(parts) as fd:
            return steps.names(fd)

    def open(self, parts: Parts) -> BinaryIO:
        """Open a regular file for reading.

        Raises:
            InvalidPath: It is a symbolic link, a directory, a pipe, a socket or a device.
        """
        with self.parent(parts) as (dir_fd, name):
            return os.fdopen(open_regular(name, dir_fd, name), "rb")

    def make_directories(self, parts: Parts) -> None:
        """Make a directory and what is missing above it."""
        for depth in range(1, len(_checked(parts)) + 1):
            with self.parent(parts[:depth]) as (dir_fd, name), suppress(FileExistsError):
                effects.current.mkdir(name, 0o775, dir_fd=dir_fd)
                self._sync(dir_fd)

    def move(self, source: Parts, target: Parts) -> None:
        """Rename; never over anything, and without an fsync: `sync` both directories.

        Raises:
            FileExistsError: Something is at `target`; nothing has changed.
        """
        with self.parent(source) as (src_fd, src), self.parent(target) as (dst_fd, dst):
            try:
                effects.current.rename_noreplace(src, dst, src_dir_fd=src_fd, dst_dir_fd=dst_fd)
            except OSError as error:
                if error.errno not in steps.UNSUPPORTED:
                    raise
                _move_after_a_look(src, dst, src_fd, dst_fd)

    def write_new(self, parts: Parts, data: bytes) -> None:
        """Make a file that appears whole and durable.

        A run that was killed here leaves a temporary file whose name begins with `.musictasks.`.

        Raises:
            FileExistsError: Something is there; it is untouched.
        """
        with self.parent(parts) as (dir_fd, name):
            temporary, fd = steps.new_temporary(dir_fd, OWN_STEM, 0o664)
            try:
                try:
                    steps.write_all(fd, data, 0)
                    self._sync(fd)
                finally:
                    os.close(fd)
                steps.rename_noreplace(temporary, name, dir_fd)
            except BaseException:
                steps.drop(temporary, dir_fd)
                raise
            self._sync(dir_fd)

    def remove(self, parts: Parts) -> None:
        """Remove a file, without an fsync; nothing happens where none is."""
        with suppress(FileNotFoundError), self.parent(parts) as (dir_fd, name):
            effects.current.unlink(name, dir_fd=dir_fd)

    def remove_empty(self, parts: Parts) -> bool:
        """Remove an empty directory, without an fsync; False where it is not empty, or none."""
        try:
            with self.parent(parts) as (dir_fd, name):
                effects.current.rmdir(name, dir_fd=dir_fd)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.ENOTDIR):
                raise
            return False
        return True

    def sync(self, parts: Parts = ()) -> None:
        """Make the names in a directory durable; nothing where it is gone."""
        with suppress(FileNotFoundError, NotADirectoryError), self.descriptor(parts) as fd:
            self._sync(fd)

    def _sync(self, fd: int) -> None:
        if self.durable:
            effects.current.fsync(fd)


def _statuses(fd: int) -> Iterator[tuple[str, os.stat_result]]:
    for name in steps.names(fd):
        with suppress(FileNotFoundError):
            yield name, os.stat(name, dir_fd=fd, follow_symlinks=False)


def _move_after_a_look(src: str, dst: str, src_fd: int, dst_fd: int) -> None:
    """For file systems without RENAME_NOREPLACE: a link never overwrites; a rename may."""
    if not stat.S_ISDIR(os.stat(src, dir_fd=src_fd, follow_symlinks=False).st_mode):
        try:
            effects.current.link(src, dst, src_dir_fd=src_fd, dst_dir_fd=dst_fd)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
        else:
            effects.current.unlink(src, dir_fd=src_fd)
            return
    with suppress(FileNotFoundError):
        os.stat(dst, dir_fd=dst_fd, follow_symlinks=False)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), dst)
    effects.current.replace(src, dst, src_dir_fd=src_fd, dst_dir_fd=dst_fd)
