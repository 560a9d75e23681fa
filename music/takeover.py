"""Task files and data of older versions, and of MusicDB, as they are today.

Both kept the data of all tasks in the Upload Directory itself; today each task owns a directory in
it. The data is moved by a rename when the task is loaded: cut off anywhere, the next load ends it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import Any

from attrs import evolve, frozen

from ..errors import InvalidPath
from ..files import Directory, OwnedDirectories, remove_tree
from ..persistence import TASK_ID
from ..statemachine import Lifecycle, MusicTask, Task

#: The keys that MusicDB writes as absolute paths in artwork uploads.
_ABSOLUTE = ("preprocessedpath", "awsourcepath")
#: What an archive was unpacked into, or an interrupted try of it.
_UNPACKED = re.compile(r"[a-z]+-[0-9a-f]{40}\.preprocessed")
_TEMPORARY = re.compile(r"\..+\.[0-9]+\.[0-9]+\.tmp")


@frozen
class RelativePaths:
    """Makes absolute paths below the Upload Directory relative: MusicDB writes some."""

    uploads: Path

    def __call__(self, values: dict[str, Any]) -> dict[str, Any]:
        """The object of a task file as it counts."""
        return values | {
            key: self._relative(path)
            for key in _ABSOLUTE
            if isinstance(path := values.get(key), str) and path.startswith("/")
        }

    def _relative(self, path: str) -> str:
        for root in (self.uploads, Path(os.path.realpath(self.uploads))):
            if PurePath(path).is_relative_to(root):
                return PurePath(path).relative_to(root).as_posix()
        return path


@frozen
class FlatData:
    """Moves the data that a task has in the Upload Directory itself into the task's directory."""

    lifecycle: Lifecycle
    directories: OwnedDirectories

    def __call__(self, task: Task) -> Task:
        """The record with the paths of today.

        Raises:
            InvalidPath: A path lies in the directory of another task, or cannot be used.
            OSError: The disk refuses.
        """
        assert isinstance(task, MusicTask)
        if task.upload_path is None:
            return task
        return self._moved(
            task,
            {
                "upload_path": task.upload_path,
                "preprocessed_path": task.preprocessed_path,
                "artwork_source_path": task.artwork_source_path,
            },
        )

    def _moved(self, task: MusicTask, paths: dict[str, str | None]) -> MusicTask:
        keeps = self.lifecycle.keeps_data(task)
        changes = {}
        for field, path in paths.items():
            if path is None or path.startswith(f"{task.id}/"):
                continue
            first = path.partition("/")[0]
            if first != path and TASK_ID.fullmatch(first):
                raise InvalidPath(path, "it lies in the directory of another task")
            if keeps:
                self.directories.adopt(task.id, first)
            changes[field] = f"{task.id}/{path}"
        return evolve(task, **changes) if changes else task


def flat_leftovers(uploads: Directory, tasks: Iterable[MusicTask]) -> list[str]:
    """The data in the Upload Directory itself that no task names: files and unpacked archives.

    Hidden files are left out, and directories of others.
    """
    owned = {
        path.partition("/")[0]
        for task in tasks
        for path in (task.upload_path, task.preprocessed_path)
        if path is not None
    }
    return [name for name in uploads.names() if name not in owned and _is_data(uploads, name)]


def remove_leftovers(uploads: Directory, tasks: Iterable[MusicTask]) -> list[str]:
    """Removes what `flat_leftovers` finds, and temporary files of ours; returns the names."""
    removed = uploads.remove_where("", lambda name: bool(_TEMPORARY.fullmatch(name)))
    for name in flat_leftovers(uploads, tasks):
        remove_tree(uploads, name)
        removed.append(name)
    return removed


def _is_data(uploads: Directory, name: str) -> bool:
    if name.startswith("."):
        return False
    try:
        unpacked = bool(_UNPACKED.fullmatch(name)) and uploads.is_directory(name)
        return unpacked or uploads.is_file(name)
    except InvalidPath:  # a name that we never give
        return False
