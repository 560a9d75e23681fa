"""Small steps that the recipes are made of, each on top of the effects."""

from __future__ import annotations

import errno
import itertools
import logging
import os
import re

from . import effects

_log = logging.getLogger(__name__)
_said: set[str] = set()
_numbers = itertools.count(1)

#: What a file system answers that has no RENAME_NOREPLACE or RENAME_EXCHANGE (FUSE, NFS).
UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
_NO_CHMOD = UNSUPPORTED | {errno.EPERM}
_NO_LINKS = UNSUPPORTED | {errno.EPERM, errno.EMLINK}


def _say_once(message: str) -> None:
    if message not in _said:
        _said.add(message)
        _log.warning(message)


_NUMBERS = re.compile(r"[0-9]+\.[0-9]+\.tmp")


def names(dir_fd: int) -> list[str]:
    """The names in a directory, sorted."""
    return sorted(os.listdir(dir_fd))


def new_temporary(dir_fd: int, stem: str, mode: int) -> tuple[str, int]:
    """Make an empty file `.{stem}.{pid}.{n}.tmp`; its name and a descriptor to write and read."""
    while True:
        name = f".{stem}.{os.getpid()}.{next(_numbers)}.tmp"
        try:
            return name, new_file(name, dir_fd, mode)
        except FileExistsError:
            continue  # left by an earlier process with the same number


def new_file(name: str, dir_fd: int, mode: int) -> int:
    """Make an empty file; a descriptor to write and read. FileExistsError where `name` is."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    return effects.current.open(name, flags, mode, dir_fd=dir_fd)


def open_again(name: str, dir_fd: int) -> int:
    """A descriptor to write and read a file that is there: no link is followed."""
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK
    return effects.current.open(name, flags, dir_fd=dir_fd)


def is_temporary(name: str, stem: str) -> bool:
    """Whether `new_temporary` makes such names for `stem`."""
    numbers = name.removeprefix(f".{stem}.")
    return numbers != name and _NUMBERS.fullmatch(numbers) is not None


def write_all(fd: int, data: bytes | memoryview, offset: int) -> None:
    """Write all of `data` at `offset`, however many writes it takes."""
    view = memoryview(data)
    while view:
        written = effects.current.write(fd, view, offset)
        if written <= 0:
            raise OSError(errno.EIO, "nothing was written")
        view = view[written:]
        offset += written


def set_mode(fd: int, mode: int) -> None:
    """Set the mode, whatever the umask; a file system without modes is logged once."""
    try:
        effects.current.chmod(fd, mode)
    except OSError as error:
        if error.errno not in _NO_CHMOD:
            raise
        _say_once("a file system refuses chmod: files and directories keep the modes it gives")


def rename_noreplace(src: str, dst: str, dir_fd: int) -> None:
    """Rename inside one directory.

    Raises:
        FileExistsError: `dst` is there; nothing has changed.
    """
    try:
        effects.current.rename_noreplace(src, dst, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
    else:
        return
    _say_once("a file system has no RENAME_NOREPLACE: files are linked into their place")
    effects.current.link(src, dst, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
    drop(src, dir_fd)


def link(src: str, dst: str, dir_fd: int) -> bool:
    """A second name for a file; False where the file system has no hard links.

    Raises:
        FileExistsError: `dst` is another file.
    """
    try:
        effects.current.link(src, dst, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
    except FileExistsError:
        inodes = {os.stat(n, dir_fd=dir_fd, follow_symlinks=False).st_ino for n in (src, dst)}
        if len(inodes) > 1:
            raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _say_once("a file system has no hard links: uploads keep the name they came in with")
        return False
    return True


def rename_directory_noreplace(src: str, dst: str, dir_fd: int) -> None:
    """Rename a directory inside one directory.

    Raises:
        FileExistsError: `dst` is there; nothing has changed. (Without RENAME_NOREPLACE an empty
            directory is replaced: a plain rename refuses every other.)
    """
    try:
        effects.current.rename_noreplace(src, dst, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
    else:
        return
    _say_once("a file system has no RENAME_NOREPLACE: directories are renamed without it")
    try:
        effects.current.replace(src, dst, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.ENOTDIR):
            raise
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), dst) from None


def exchange(a: str, b: str, dir_fd: int) -> bool:
    """Swap two names; False where the file system cannot: then `a` replaced `b` and is gone.

    Raises:
        FileNotFoundError: one of them is not there; nothing has changed.
    """
    try:
        effects.current.exchange(a, b, dir_fd=dir_fd)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
    else:
        return True
    _say_once("a file system has no RENAME_EXCHANGE: files are replaced after a look")
    os.stat(b, dir_fd=dir_fd, follow_symlinks=False)
    effects.current.replace(a, b, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
    return False


def drop(name: str, dir_fd: int) -> None:
    """Remove a temporary file if that works; what is left over, a sweep removes."""
    try:
        effects.current.unlink(name, dir_fd=dir_fd)
    except FileNotFoundError:
        pass
    except OSError as error:
        _log.warning("the temporary file %s stays for the next sweep: %s", name, error)
