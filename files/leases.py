"""Whether anybody else has a file open: only where nobody has, the system gives a lease on it."""

from __future__ import annotations

import errno
import fcntl
from signal import SIGURG
from typing import BinaryIO

_SETLEASE: int | None = getattr(fcntl, "F_SETLEASE", None)  # Linux has it, and macOS has not


def has_writer(file: BinaryIO) -> bool:
    """Whether anybody on this machine has the file open for writing, as far as that can be known.

    A read lease is only given on a file that nobody writes. It is given back at once: whoever
    opens the file for writing meanwhile waits for that instant. Not known on macOS, on most
    network file systems, and of other people's files where we are not root: False.
    """
    try:
        _lease(file.fileno(), fcntl.F_RDLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    return False


def check_alone(fd: int) -> None:
    """Makes sure that the file is open nowhere on this machine but here, for writing, as `fd`.

    Whoever opens it meanwhile waits for that instant.

    Raises:
        OSError: EAGAIN where somebody has the file open; anything else where that cannot be known:
            on macOS, on most network file systems, and of files that belong to others.
    """
    _lease(fd, fcntl.F_WRLCK)


def _lease(fd: int, kind: int) -> None:
    """Takes a lease, and gives it back."""
    if _SETLEASE is None:
        raise OSError(errno.ENOSYS, "this system has no leases")
    # The signal for whoever holds a lease would end the process; this one is ignored.
    fcntl.fcntl(fd, fcntl.F_SETSIG, SIGURG)
    fcntl.fcntl(fd, _SETLEASE, kind)
    fcntl.fcntl(fd, _SETLEASE, fcntl.F_UNLCK)
