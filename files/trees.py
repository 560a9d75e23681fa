"""Removing a directory of ours with all that is in it."""

from __future__ import annotations

import os
import stat

from . import effects, steps
from .directory import Directory


def remove_tree(directory: Directory, rel: str) -> bool:
    """Remove `rel`, whatever it is, with all that is in it; False where nothing is.

    No link is followed: of one, the link goes. It ends at the first that cannot be removed; the
    next call goes on there.

    Raises:
        InvalidPath: `rel` is none, or a symbolic link is on the way to it.
        OSError: the disk refused.
    """
    try:
        with directory.parent(rel) as (dir_fd, name):
            if not remove_name(name, dir_fd):
                return False
            if directory.durable:
                effects.current.fsync(dir_fd)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def remove_name(name: str, dir_fd: int) -> bool:
    """The same for a name in the directory that `dir_fd` stands for; not made durable."""
    try:
        found = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
        if not stat.S_ISDIR(found.st_mode):
            effects.current.unlink(name, dir_fd=dir_fd)
            return True
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=dir_fd)
        try:
            for inner in steps.names(below):
                remove_name(inner, below)
        finally:
            os.close(below)
        effects.current.rmdir(name, dir_fd=dir_fd)
    except FileNotFoundError:
        return False
    return True
