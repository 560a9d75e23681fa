"""What goes from the Music Directory with a task."""

from __future__ import annotations

from contextlib import suppress

from attrs import frozen

from ..errors import InvalidPath
from ..files import sweep
from ..library import MusicDirectory
from ..statemachine import Task


@frozen
class Removal:
    """Removes a task's temporary files from the Music Directory.

    Nothing else: what reached the Music Directory or the database stays, and the upload data is
    the engine's, which knows whether another task holds it by now. What is missing is fine, so
    it may run again at any time.

    Raises OSError where the disk refuses; then it is to be called again.
    """

    music: MusicDirectory

    def __call__(self, task: Task) -> None:
        target = _target_directory(task)
        if target is not None:
            with suppress(InvalidPath):  # behind a link: not ours
                sweep(self.music.directory, target, task.id)


def _target_directory(task: Task) -> str | None:
    """The one directory of the Music Directory where the task may have temporary files."""
    if task.album_file_path is not None:
        return task.album_file_path.rpartition("/")[0]
    return task.album_path
