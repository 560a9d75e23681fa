"""Making the directories that everything else is confined to."""

from __future__ import annotations

from pathlib import Path

from .directory import Directory, is_unfinished


def make_root(path: Path) -> None:
    """Make a directory that an admin named, and what is missing above it, durably.

    Symbolic links above it are followed: where it lies is the admin's choice.

    Raises:
        OSError: it cannot be made, or something else is there.
        InvalidPath: a part that would have to be made has a name that is no plain one.
    """
    path = path.absolute()
    there = next(parent for parent in (path, *path.parents) if _is_there(parent))
    if there == path:
        if not path.is_dir():
            raise NotADirectoryError(f"{path} is there, but is no directory")
        return
    Directory(there).make_directories(path.relative_to(there).as_posix())


def _is_there(path: Path) -> bool:
    """Not if a run was killed while it made it: then its mode is still missing."""
    return path.exists() and (path.is_symlink() or not path.is_dir() or not is_unfinished(path))
