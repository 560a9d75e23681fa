"""The seam: every change of the disk is one method here, and all of this room goes through it.

Production binds the methods to `os`. Tests put an object of their own in their place
(`using`) that counts, fails, kills or interleaves at every single call.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

_NOREPLACE = 1
_EXCHANGE = 2
_SYNC_FILE_RANGE_WRITE = 2
#: How `os.fsencode` makes bytes of a name, in one call.
_NAMES = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()


@cache
def _renameat2() -> Callable[..., int] | None:
    """The C library's renameat2 (Linux); None where it has none (macOS)."""
    import ctypes  # 3 ms, which an import of this need not take

    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return None
    function.argtypes = (
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_uint,
    )
    function.restype = ctypes.c_int
    return function


@cache
def _sync_file_range() -> Callable[..., int] | None:
    """The C library's sync_file_range (Linux); None where it has none."""
    import ctypes

    try:
        function = ctypes.CDLL(None).sync_file_range
    except (AttributeError, OSError):
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    function.restype = ctypes.c_int
    return function


def load() -> None:
    """Loads what the effects are made of: when the first is wanted, no descriptor may be free."""
    _renameat2()
    _sync_file_range()


def start_writing_back(fd: int, offset: int, size: int) -> None:
    """Lets the system write bytes to the disk now, so that a later fsync has less to wait for.

    A hint: it changes nothing, proves nothing, and does not fail.
    """
    write_back = _sync_file_range()
    if write_back is not None:
        write_back(fd, offset, size, _SYNC_FILE_RANGE_WRITE)


def _rename(src: str, dst: str, src_dir_fd: int, dst_dir_fd: int, flags: int) -> None:
    renameat2 = _renameat2()
    if renameat2 is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), src, None, dst)
    source, target = src.encode(*_NAMES), dst.encode(*_NAMES)
    if renameat2(src_dir_fd, source, dst_dir_fd, target, flags) != 0:
        import ctypes

        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), src, None, dst)


class Effects:
    """One method for each effect, each one system call; all raise OSError.

    Names are single names inside the directory that `dir_fd` stands for.
    """

    def open(self, path: str, flags: int, mode: int = 0o666, *, dir_fd: int | None = None) -> int:
        """Open for creating, truncating or writing; reading opens are no effect."""
        return os.open(path, flags, mode, dir_fd=dir_fd)

    def write(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        """Write at `offset`; may write less than asked for, and says how much."""
        return os.pwrite(fd, data, offset)

    def truncate(self, fd: int, length: int) -> None:
        os.ftruncate(fd, length)

    def fsync(self, fd: int) -> None:
        """Make a file's content, or a directory's names, survive a power cut."""
        os.fsync(fd)

    def link(self, src: str, dst: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        """A second name for a file; raises FileExistsError, never overwrites."""
        os.link(src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd, follow_symlinks=False)

    def rename_noreplace(self, src: str, dst: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        """Rename; raises FileExistsError where `dst` is, EINVAL or ENOSYS where unsupported."""
        _rename(src, dst, src_dir_fd, dst_dir_fd, _NOREPLACE)

    def exchange(self, a: str, b: str, *, dir_fd: int) -> None:
        """Swap two names in one step; raises FileNotFoundError, EINVAL or ENOSYS."""
        _rename(a, b, dir_fd, dir_fd, _EXCHANGE)

    def replace(self, src: str, dst: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        """Rename over whatever `dst` is."""
        os.replace(src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    def unlink(self, name: str, *, dir_fd: int) -> None:
        os.unlink(name, dir_fd=dir_fd)

    def mkdir(self, name: str, mode: int, *, dir_fd: int) -> None:
        os.mkdir(name, mode, dir_fd=dir_fd)

    def rmdir(self, name: str, *, dir_fd: int) -> None:
        os.rmdir(name, dir_fd=dir_fd)

    def chmod(self, fd: int, mode: int) -> None:
        os.fchmod(fd, mode)


#: What does the work now. Read it at every call (`effects.current.fsync(fd)`), never keep it.
current: Effects = Effects()


@contextmanager
def using(effects: Effects) -> Iterator[Effects]:
    """Put `effects` in place, for the whole process and all threads, until the block ends."""
    global current
    before = current
    current = effects
    try:
        yield effects
    finally:
        current = before
