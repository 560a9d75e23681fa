"""Files that saves have left over, for later saves to write over.

To make a file and to remove another takes three times as long as to write over one: ext4 looks for
a free inode, past all that were removed within the last half minute.
"""

from __future__ import annotations

import errno
import os
import sys
from collections import deque

from attrs import define, field, frozen

from . import steps
from .identity import Identity, identity_of
from .leases import check_alone

#: A spare file is written over after so many more were given.
_RESTING = 16
#: Besides those that rest, as many as threads save at once; more are removed as they come.
_KEPT_MOST = _RESTING + 16
#: Mode, owner, group and extended attributes.
_Kind = tuple[int, int, int, dict[str, bytes]]


@frozen(eq=False, repr=False)
class Temporary:
    """A temporary file that is open for writing."""

    name: str
    fd: int
    #: What it holds so far: 0 in a new one.
    size_bytes: int = 0


@define(eq=False, repr=False)
class SpareFiles:
    """The temporary files of one directory, for any number of threads.

    A spare file is written over only where nobody can notice: it is the file that was given, with
    one name and the mode, owner and attributes of a new file, and nobody else has it open. A reader
    that opened a file before it was exchanged, and a hard link to it, so keep what they had. Where
    that cannot be known (`check_alone`), and in every case of doubt, a new file is made.

    Whoever is just opening a file, or linking it, has found it by its name and is not seen yet. So
    spare files rest: the first given is taken first, after others were given.
    """

    #: The oldest first.
    _kept: deque[tuple[str, Identity]] = field(factory=deque, init=False)
    _kept_most: int = field(default=_KEPT_MOST, init=False)
    #: What a new file gets here; None before the first.
    _kind: _Kind | None = field(default=None, init=False)

    @property
    def names(self) -> list[str]:
        """Those that are kept now."""
        return [name for name, _ in tuple(self._kept)]

    def open(self, stem: str, mode: int, dir_fd: int) -> Temporary:
        """A spare file, or a new one as by `steps.new_temporary`."""
        while len(self._kept) > _RESTING:
            try:
                name, identity = self._kept.popleft()
            except IndexError:
                break  # other threads have the last ones
            spare = self._open_spare(name, identity, dir_fd)
            if spare is not None:
                return spare
            steps.drop(name, dir_fd)
        name, fd = steps.new_temporary(dir_fd, stem, mode)
        if self._kind is None:
            self._kind = _kind_of(fd, os.fstat(fd))
        return Temporary(name, fd)

    def give(self, name: str, identity: Identity, dir_fd: int) -> None:
        """Keep a temporary file that nobody needs any more, or remove it.

        Args:
            name: Its name. All that its content was needed for is durable without it.
            identity: Which state of it this is.
            dir_fd: The directory.
        """
        if len(self._kept) < self._kept_most:
            self._kept.append((name, identity))
        else:
            steps.drop(name, dir_fd)

    def close(self, dir_fd: int) -> None:
        """Remove them all, and keep none from now on."""
        self._kept_most = 0
        while self._kept:
            steps.drop(self._kept.pop()[0], dir_fd)

    def _open_spare(self, name: str, identity: Identity, dir_fd: int) -> Temporary | None:
        """None where it is not to be written over."""
        try:
            fd = steps.open_again(name, dir_fd)
        except OSError:
            return None  # it is gone, or somebody has another file there, or ours made unwritable
        try:
            found = os.fstat(fd)
            if (
                found.st_nlink == 1
                and identity_of(found) == identity
                and _kind_of(fd, found) == self._kind
            ):
                check_alone(fd)
                return Temporary(name, fd, found.st_size)
        except OSError as error:
            if error.errno != errno.EAGAIN:
                self.close(dir_fd)  # nothing of the kind can be known here
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
        return None


def _kind_of(fd: int, status: os.stat_result) -> _Kind:
    return status.st_mode, status.st_uid, status.st_gid, _attributes(fd)


def _attributes(fd: int) -> dict[str, bytes]:
    """The extended attributes, among them who else may read or write it."""
    if sys.platform != "linux":
        return {}
    try:
        return {name: os.getxattr(fd, name) for name in os.listxattr(fd)}
    except OSError as error:
        if error.errno in steps.UNSUPPORTED:
            return {}
        raise
