"""Integration: an uploaded file goes to its place in the Music Directory."""

from __future__ import annotations

from pathlib import PurePath

from attrs import frozen

from ..errors import InvalidPath, TargetExists
from ..files import Directory, place, sweep
from ..library import MusicDirectory, check_album_file
from ..statemachine import Outcome, Task, Work, fail, reject, succeed
from .reasons import disk_reason

FILE_MODE = 0o664
DIRECTORY_MODE = 0o775


@frozen
class Integration:
    """The handler of the stage `integration`.

    The data goes to the task's `album_file_path`, never over another file. The same bytes at the
    target count as done, so a second run changes nothing. Temporary files begin with
    `.{task id}.`; what a killed run left of them in the target's directory goes first.
    """

    uploads: Directory
    music: MusicDirectory
    #: False leaves every fsync out.
    durable: bool = True

    def __call__(self, task: Task, work: Work) -> Outcome:
        source, target = task.preprocessed_path or task.upload_path, task.album_file_path
        if task.content_type != "albumfile":
            return reject(f"no upload of type {task.content_type!r} can be integrated yet")
        if source is None:
            return fail("the task has no uploaded data")
        if target is None:
            return fail("the task has no target path: name one and try again")
        try:
            return self._integrate(task, work, source, target)
        except TargetExists as error:
            # The one in the error is the server's; its name may differ in case from the target's.
            there = f"{target.rpartition('/')[0]}/{PurePath(error.path).name}"
            return fail(str(TargetExists(there)))
        except InvalidPath as error:
            return fail(str(error))
        except OSError as error:
            return fail(disk_reason(error, target))

    def _integrate(self, task: Task, work: Work, source: str, target: str) -> Outcome:
        album = check_album_file(target)
        directory = self.music.directory
        sweep(directory, target.rpartition("/")[0], task.id)

        def progress(done: int, total: int) -> None:
            work.check()
            work.progress(done, total, target)

        try:
            file = self.uploads.open(source)
        except FileNotFoundError:
            return fail("the uploaded data is missing; upload it again")
        with file:
            work.check()
            placed = place(
                file,
                directory,
                target,
                owner=task.id,
                mode=FILE_MODE,
                dir_mode=DIRECTORY_MODE,
                progress=progress,
                durable=self.durable,
            )
        message = f"{target} was there already, with the same bytes" if placed.existed else None
        return succeed(changes={"album_path": album.path}, message=message)
