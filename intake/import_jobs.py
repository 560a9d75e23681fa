"""Albums and videos on their way from the Music Directory into the database."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

from ..library import AlbumPath
from ..statemachine import MusicTask, Role
from .job import Job, Result
from .shelf import Wanted


@define(eq=False)
class ImportJob(Job):
    """Brings what is in the Music Directory into the database, and makes its pictures."""

    #: What was done in this run, in words, each at most once.
    achieved: list[str] = field(factory=list, init=False)
    #: What was wanted, each time that something was done.
    _wishes: list[Wanted] = field(factory=list, init=False)

    def _imports_mine(self, task: MusicTask) -> bool:
        """Whether the task imports what this job is for."""
        raise NotImplementedError

    def _next(self) -> bool:
        """Starts what the library lacks, or ends."""
        raise NotImplementedError

    def _begin(self) -> bool:
        if not self.session.claims.take(self.subject, self):
            return False  # another job imports it
        for task in self.session.tasks.imports(self.subject):
            if task.upload_path is None and self._imports_mine(task):
                rests = self._role(task) in {Role.FINISHED, Role.FAILED}
                if not rests or self.session.may_remove(task):
                    return self._take_over(task, rests)
        return self._next()

    def _take_over(self, task: MusicTask, rests: bool) -> bool:
        """Waits for it, or clears away what an earlier run left behind."""
        if rests:
            self.engine.remove(task.id)
        elif task.id not in self.task_ids:
            self.achieved.append("an earlier import went on")
        return self._take(task)

    def _work(self, what: str, wanted: Wanted, start: Callable[[], MusicTask]) -> bool:
        if wanted in self._wishes:
            return self._fail("its task was removed before it was done: add it again")
        self._wishes.append(wanted)
        if what not in self.achieved:  # another may have added songs since
            self.achieved.append(what)
        task = start()
        self.session.made.add(task.id)
        return self._take(task)

    def _nothing_left(self) -> bool:
        return self._end(Result.ADDED if self.achieved else Result.THERE)

    def _go_on(self, task: MusicTask) -> bool:
        if self._role(task) is Role.FINISHED:
            if not self.session.may_remove(task):
                return self._gone()  # whoever made it may want to see it
            self.engine.remove(task.id)
            return True
        if self._role(task) is Role.FAILED:
            return self._failed_as(task)
        return False

    def _gone(self) -> bool:
        # What is still missing is seen in the library, not in what the task went through.
        self.task = None
        return True


@define(eq=False)
class AlbumJob(ImportJob):
    """Brings an album's songs into the database, then makes its artwork."""

    album: AlbumPath

    @property
    def subject(self) -> str:
        return self.album.path

    def _imports_mine(self, task: MusicTask) -> bool:
        return task.content_type in {"album", "artwork"} and task.album_path == self.album.path

    def _next(self) -> bool:
        path = self.album.path
        wanted = self.session.shelf.wanted(path)
        if wanted.import_music:
            return self._work(
                "imported, with artwork" if wanted.artwork else "imported",
                wanted,
                lambda: self.engine.import_music("album", path, with_artwork=wanted.artwork),
            )
        if wanted.cover is not None:
            cover = wanted.cover
            return self._work(
                "artwork made of the cover",
                wanted,
                lambda: self.engine.import_artwork(source=cover, target=path),
            )
        return self._nothing_left()


@define(eq=False)
class VideoImportJob(ImportJob):
    """Brings a video into the database, then makes its frames."""

    #: Relative to the Music Directory.
    path: str

    @property
    def subject(self) -> str:
        return self.path

    def _imports_mine(self, task: MusicTask) -> bool:
        return task.content_type in {"video", "artwork"} and task.video_path == self.path

    def _next(self) -> bool:
        wanted = self.session.shelf.wanted_of_video(self.path)
        if not wanted.import_music:
            return self._nothing_left()
        return self._work(
            "imported, with frames" if wanted.artwork else "imported",
            wanted,
            lambda: self.engine.import_music("video", self.path, with_artwork=wanted.artwork),
        )
