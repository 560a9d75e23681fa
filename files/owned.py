"""A directory for each owner in one root: made when it is needed, removed as a whole.

A removal renames the directory first, so that a half-emptied one is never taken for whole.
"""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Container
from pathlib import Path

from attrs import frozen

from ..errors import InvalidPath
from . import effects, steps
from .directory import Directory
from .paths import check_name
from .trees import remove_name, remove_tree

_log = logging.getLogger(__name__)

_MODE = 0o775
#: What a directory is called while it is being removed.
_GONE = re.compile(r"\..+\.gone", re.DOTALL)


@frozen
class OwnedDirectories:
    """The directories `{root}/{owner}/`; owners are single names.

    Every method raises InvalidPath for an owner that is no plain name, and OSError for what the
    system refuses. What has the place of a directory and is none (a file, a symbolic link) is
    never entered.
    """

    root: Directory

    def path(self, owner: str) -> Path:
        """Where the directory of an owner is, whether it is there or not."""
        return self.root.path(check_name(owner))

    def has(self, owner: str) -> bool:
        """Whether the owner has a directory, or a removal of it was cut off."""
        gone = _gone(owner)
        try:
            with self.root.descriptor() as root_fd:
                if _status(gone, root_fd) is not None:
                    return True
                found = _status(owner, root_fd)
        except FileNotFoundError:
            return False
        return found is not None and stat.S_ISDIR(found.st_mode)

    def make(self, owner: str) -> Path:
        """Make the directory of an owner where it is missing; its name is durable afterwards.

        Raises:
            InvalidPath: a symbolic link has its place.
            NotADirectoryError: a file has its place.
        """
        self.root.make_directories(check_name(owner), _MODE)
        return self.path(owner)

    def adopt(self, owner: str, name: str) -> bool:
        """Move `name`, which lies in the root itself, into the directory of an owner, durably.

        False where there is nothing of this name: it may have been moved before. Where the owner
        has this name already, both stay where they are.
        """
        name = check_name(name)
        if self.root.status(name) is None:
            if self.root.status(f"{check_name(owner)}/{name}") is not None:
                # Whoever moved it may have been cut off before its fsync.
                self._make_durable(owner)
            return False
        self.make(owner)
        with self.root.descriptor() as root_fd, self.root.descriptor(owner) as own_fd:
            try:
                effects.current.rename_noreplace(name, name, src_dir_fd=root_fd, dst_dir_fd=own_fd)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in steps.UNSUPPORTED:
                    raise
                if self.root.status(f"{owner}/{name}") is not None:
                    return False
                effects.current.replace(name, name, src_dir_fd=root_fd, dst_dir_fd=own_fd)
        self._make_durable(owner)
        return True

    def _make_durable(self, owner: str) -> None:
        if self.root.durable:
            # Invariant: first where it is now, so that a power cut leaves it in one of the two.
            for rel in (owner, ""):
                with self.root.descriptor(rel) as fd:
                    effects.current.fsync(fd)

    def remove(self, owner: str) -> bool:
        """Remove the directory of an owner with all that is in it; False where nothing is.

        A symbolic link in its place is removed itself, never followed. A removal that was cut off
        is gone on with by the next call, and by `sweep`. It is not made durable: after a power cut
        the directory may be there again, and has to be removed again.
        """
        gone = _gone(owner)
        with self.root.descriptor() as root_fd:
            found = remove_name(gone, root_fd)
            try:
                effects.current.replace(owner, gone, src_dir_fd=root_fd, dst_dir_fd=root_fd)
            except FileNotFoundError:
                return found
            return remove_name(gone, root_fd)

    def sweep(self) -> list[str]:
        """Go on with the removals that were cut off; returns the names that are gone.

        One that cannot be removed stays, and stops no other.
        """
        removed = []
        for name in self._names():
            if name.startswith(".") and _GONE.fullmatch(name):
                try:
                    remove_tree(self.root, name)
                except OSError as error:
                    _log.warning("%s stays: %s", self.root.root / name, error.strerror or error)
                else:
                    removed.append(name)
        return removed

    def owners(self, known: Container[str] = ()) -> list[str]:
        """The names in the root that are directories and not hidden, sorted.

        Those that are `known` are left out, and not looked at.
        """
        return [
            name
            for name in self._names()
            if not name.startswith(".") and name not in known and self._is_one(name)
        ]

    def _is_one(self, name: str) -> bool:
        try:
            return self.root.is_directory(name)
        except InvalidPath:  # a name that no owner of ours has
            return False

    def _names(self) -> list[str]:
        try:
            return self.root.names()
        except FileNotFoundError:
            return []


def _gone(owner: str) -> str:
    """What the directory of an owner is called while it is being removed."""
    return f".{check_name(owner)}.gone"


def _status(name: str, dir_fd: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return None
