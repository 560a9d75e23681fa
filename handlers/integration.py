"""Integration: an uploaded file or album goes to its place in the Music Directory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath

from attrs import frozen

from ..errors import InvalidPath, TargetExists
from ..files import Directory, Placed, assemble, place, sweep
from ..library import Ledger, MusicDirectory, check_album_file, parse_album, parse_video
from ..statemachine import MusicTask, Outcome, Work, fail, reject, succeed
from .leftovers import may_have_left_over
from .reasons import disk_reason
from .recording import Recording

FILE_MODE = 0o664
DIRECTORY_MODE = 0o775
_MISSING = "the uploaded data is missing; upload it again"
#: What says where an upload of each content type goes.
_TARGETS: dict[str | None, Callable[[MusicTask], str | None]] = {
    "albumfile": lambda task: task.album_file_path,
    "album": lambda task: task.album_path,
    "video": lambda task: task.video_path,
}


@frozen
class Integration:
    """The handler of the stage `integration`.

    The data goes to the task's `album_file_path`, `album_path` or `video_path`, never over another
    file. The same bytes at the target count as done, so a second run changes nothing. Temporary
    files begin with `.{task id}.`; what a run that was cut off left of them beside the target goes
    first: only then the directory is listed for them.
    What is at its place is taken down in the ledger.
    """

    uploads: Directory
    music: MusicDirectory
    #: False leaves every fsync out.
    durable: bool = True
    #: None: nothing is taken down.
    ledger: Ledger | None = None

    def __call__(self, task: MusicTask, work: Work) -> Outcome:
        source = task.preprocessed_path or task.upload_path
        if task.content_type not in _TARGETS:
            return reject(f"an upload of type {task.content_type!r} is not integrated")
        target = _TARGETS[task.content_type](task)
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

    def _integrate(self, task: MusicTask, work: Work, source: str, target: str) -> Outcome:
        if task.content_type == "album":
            return self._album(task, work, source, target)
        changes = {}
        if task.content_type == "video":
            parse_video(target)
        else:
            changes["album_path"] = check_album_file(target, self.music.formats).path
        directory = self.music.directory
        if may_have_left_over(task):
            sweep(directory, target.rpartition("/")[0], task.id)

        def progress(done: int, total: int) -> None:
            work.check()
            work.progress(done, total, target)

        try:
            file = self.uploads.open(source)
        except FileNotFoundError:
            return fail(_MISSING)
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
        if self.ledger is not None:
            Recording(self.ledger, self.music).file(task, target, work, placed)
        return succeed(changes=changes, message=_said(placed, target))

    def _album(self, task: MusicTask, work: Work, source: str, target: str) -> Outcome:
        parse_album(target)
        if not self.uploads.is_directory(source):
            return fail(_MISSING)

        def progress(done: int, total: int, name: str) -> None:
            work.check()
            work.progress(done, total, f"{target}/{name}")

        placed = assemble(
            self.uploads,
            source,
            Directory(self.music.root, self.durable),
            target,
            owner=task.id,
            mode=FILE_MODE,
            dir_mode=DIRECTORY_MODE,
            ignored=self.music.ignore_songs,
            progress=progress,
        )
        if self.ledger is not None:
            paths = [f"{target}/{name}" for name in self.uploads.names(source)]
            Recording(self.ledger, self.music).album(task, paths, work)
        return succeed(message=_said(placed, target))


def _said(placed: Placed, target: str) -> str | None:
    return f"{target} was there already, with the same bytes" if placed.existed else None
