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

#: What an archive was unpacked into, or an interrupted try of it.
_UNPACKED = re.compile(r"[a-z]+-[0-9a-f]{40}\.preprocessed")
_TEMPORARY = re.compile(r"\..+\.[0-9]+\.[0-9]+\.tmp")


#: The keys of paths that MusicDB may have written as absolute ones.
_UPLOADED = ("preprocessedpath", "awsourcepath")


@frozen
class RelativePaths:
    """Makes absolute paths below the Upload Directory relative: MusicDB writes some.

    It does so in artwork uploads. All others stay as they are, and do not load.
    """

    uploads: Path

    def __call__(self, values: dict[str, Any]) -> dict[str, Any]:
        """The object of a task file as it counts."""
        changed = {
            key: relative
            for key in _UPLOADED
            if (path := values.get(key)) is not None
            and (relative := self._relative(key, path, values)) is not None
        }
        return values | changed if changed else values

    def _relative(self, key: str, path: Any, values: dict[str, Any]) -> str | None:
        if key == "awsourcepath" and values.get("uploadpath") is None:
            return None  # without an upload, the source of artwork lies in the Music Directory
        return relative_to_uploads(self.uploads, path) if isinstance(path, str) else None


def relative_to_uploads(uploads: Path, path: str) -> str | None:
    """An absolute path below the Upload Directory, relative to it; None for every other path.

    Either of them may be written with symbolic links in the directories above.
    """
    given = PurePath(path)
    if not given.is_absolute():
        return None
    if given.is_relative_to(uploads):
        return given.relative_to(uploads).as_posix()
    real, root = PurePath(os.path.realpath(given.parent), given.name), os.path.realpath(uploads)
    return real.relative_to(root).as_posix() if real.is_relative_to(root) else None


@frozen
class FlatData:
    """Moves the data that a task has in the Upload Directory itself into the task's directory."""

    lifecycle: Lifecycle
    directories: OwnedDirectories

    def __call__(self, task: Task) -> Task:
        """The record with the paths of today; what it names has been moved.

        Raises:
            InvalidPath: A path lies in the directory of another task, or cannot be used.
            OSError: The disk refuses.
        """
        flat = self.flat(task)
        if not flat:
            return task
        if self.lifecycle.keeps_data(task):
            for path in flat.values():
                self.directories.adopt(task.id, path.partition("/")[0])
        return evolve(task, **{field: f"{task.id}/{path}" for field, path in flat.items()})

    def flat(self, task: Task) -> dict[str, str]:
        """The paths of data that lies outside of the task's directory, by their fields.

        Raises:
            InvalidPath: A path lies in the directory of another task, or cannot be used.
        """
        assert isinstance(task, MusicTask)
        own = f"{task.id}/"
        paths = [("upload_path", task.upload_path), ("preprocessed_path", task.preprocessed_path)]
        if task.upload_path is not None:
            # Else it lies in the Music Directory.
            paths.append(("artwork_source_path", task.artwork_source_path))
        return {
            field: path
            for field, path in paths
            if path is not None and not path.startswith(own) and self._is_flat(path)
        }

    def _is_flat(self, path: str) -> bool:
        """Whether what does not lie in the task's directory lies in none."""
        first, slash, _ = path.partition("/")
        if TASK_ID.fullmatch(first) and (slash or self.directories.root.is_directory(first)):
            raise InvalidPath(path, "it lies in the directory of another task")
        return True


def flat_leftovers(uploads: Directory, tasks: Iterable[MusicTask]) -> list[str]:
    """The data in the Upload Directory itself that no task names: files and unpacked archives.

    Hidden files are left out, and directories of others.
    """
    tasks = list(tasks)
    own = {task.id for task in tasks if task.upload_path is not None}
    names = [name for name in uploads.names() if name not in own]  # mostly none
    owned = {
        path.partition("/")[0]
        for task in (tasks if names else ())
        for path in (task.upload_path, task.preprocessed_path)
        if path is not None
    }
    return [name for name in names if name not in owned and _is_data(uploads, name)]


def remove_leftovers(uploads: Directory, tasks: Iterable[MusicTask]) -> list[str]:
    """Removes what `flat_leftovers` finds, and temporary files of ours; returns the names."""
    removed = uploads.remove_where("", lambda name: bool(_TEMPORARY.fullmatch(name)), ".")
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
