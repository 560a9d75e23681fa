"""Whether a directory is there, or only the place where it is mounted."""

from __future__ import annotations

import os
from pathlib import Path

from attrs import define, field, frozen


@frozen
class PlaceIdentity:
    """Which directory it is that has a path now."""

    device: int
    inode: int
    #: On another file system than the directory above it.
    is_mounted: bool


@define
class Place:
    """A directory that may be unmounted, renamed or taken away, and come back."""

    path: Path
    #: The one that was there last; None before the first.
    known: PlaceIdentity | None = field(default=None, init=False)

    def missing(self) -> str | None:
        """Why there is nothing to be looked at now; None if a directory is there, known from now.

        A mount point without its mount looks like an empty directory. If something was mounted
        there, what is below it now is not the same one.
        """
        try:
            now = _identity(self.path)
        except FileNotFoundError:
            return "it is not there"
        except NotADirectoryError:
            return "it is no directory"
        except OSError as error:
            return f"it cannot be reached ({error.strerror})"
        if self.known is not None and self.known.is_mounted and not now.is_mounted:
            return "it is not mounted"
        self.known = now
        return None

    def is_same(self) -> bool:
        """Whether the known one is there at this moment."""
        try:
            return self.known is not None and _identity(self.path) == self.known
        except OSError:
            return False


def _identity(path: Path) -> PlaceIdentity:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        status, above = os.fstat(fd), os.stat(os.pardir, dir_fd=fd)
    finally:
        os.close(fd)
    return PlaceIdentity(status.st_dev, status.st_ino, status.st_dev != above.st_dev)
