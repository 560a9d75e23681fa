"""What goes from the Music Directory with a task."""

from __future__ import annotations

from contextlib import suppress

from attrs import frozen

from ..errors import InvalidPath
from ..files import sweep, sweep_assembly
from ..library import MusicDirectory
from ..statemachine import MusicTask
from .leftovers import may_have_left_over


@frozen
class Removal:
    """Removes a task's temporary files from the Music Directory.

    Nothing else: what reached the Music Directory or the database stays, and the upload data is
    the engine's, which knows whether another task holds it by now. What is missing is fine, so
    it may run again at any time. The directory is listed only where the record does not tell that
    all work succeeded.

    Raises OSError where the disk refuses; then it is to be called again.
    """

    music: MusicDirectory

    def __call__(self, task: MusicTask) -> None:
        target = _target_directory(task)
        if target is not None:
            with suppress(InvalidPath):  # behind a link: not ours
                if may_have_left_over(task):
                    sweep(self.music.directory, target, task.id)
                if task.content_type == "album" and task.upload_path is not None:
                    sweep_assembly(self.music.directory, target, task.id)


def _target_directory(task: MusicTask) -> str | None:
    """The one directory of the Music Directory where the task may have temporary files."""
    target = task.album_file_path or task.video_path
    if target is None and task.upload_path is not None and task.content_type == "album":
        target = task.album_path
    # An album of which only files are made has them in its own directory.
    return task.album_path if target is None else target.rpartition("/")[0]
