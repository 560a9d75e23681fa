"""One file's way into the Music Directory, one album's way into the database, step by step.

A job never blocks. It looks at what is there (the task, the library) and does the next thing,
so it goes on from wherever an earlier run was cut off.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Callable
from typing import BinaryIO, Generic, TypeVar

from attrs import define, field

from ..library import AlbumPath
from ..statemachine import MUSIC, MusicTask, Role
from .job import Job, Result
from .planned import PlannedFile, PlannedUpload, present

_Planned = TypeVar("_Planned", bound=PlannedUpload)


@define(eq=False)
class UploadJob(Job, Generic[_Planned]):
    """Uploads a file and puts what it holds at its place."""

    file: _Planned
    #: The ids of tasks that jobs of this run work with.
    claimed: set[str]
    _retried: bool = field(default=False, init=False)

    @property
    def file_name(self) -> str:
        """What the engine is told that the file is called."""
        raise NotImplementedError

    def target(self, task: MusicTask) -> str:
        """Where the upload goes, in the Music Directory; InvalidPath where nothing tells."""
        raise NotImplementedError

    def _is_there(self) -> bool | str:
        """Whether it is at its place; a text says what is there instead."""
        raise NotImplementedError

    @property
    def subject(self) -> str:
        return self.file_name

    @property
    def done_bytes(self) -> int:
        if self.result is not None and self.result is not Result.FAILED:
            return self.file.size_bytes
        return (self.task.offset or 0) if self.task else 0

    @property
    def is_uploading(self) -> bool:
        return self.task is not None and self.task.state == "waitforchunk"

    def _begin(self) -> bool:
        task = self._earlier_task()
        if task is None:
            there = self._is_there()
            if isinstance(there, str):
                return self._fail(there)
            return self._end(Result.THERE) if there else self._upload()
        if not self._is_elsewhere(task):
            self.claimed.add(task.id)
            return self._take(task)
        if MUSIC.role(task.state) is Role.FAILED:
            return self._fail(f"task {task.id} ({task.state}) has the same bytes: remove it first")
        return False

    def _earlier_task(self) -> MusicTask | None:
        """A task with the same bytes: of an earlier run, of another client, of a copy."""
        found = [task for task in self.engine.tasks() if self._has_my_bytes(task)]
        # One that is at work holds the bytes; one that failed holds nothing up.
        found.sort(key=lambda task: MUSIC.role(task.state) is Role.FAILED)
        return found[0] if found else None

    def _has_my_bytes(self, task: MusicTask) -> bool:
        return (
            task.content_type == self.file.content_type
            and (task.source_checksum or "").lower() == self.file.checksum
            and task.file_size == self.file.size_bytes
            and MUSIC.role(task.state) is not Role.FINISHED
        )

    def _is_elsewhere(self, task: MusicTask) -> bool:
        """It is another job's, or on its way to another path: it has to end first."""
        if task.id in self.claimed or MUSIC.role(task.state) in {Role.PASSING, Role.REMOVING}:
            return True
        if task.state in {"readyforintegration", "integrationfailed"}:
            return False
        path = _integrated_path(task)
        return path is not None and path != self.target(task)

    def _upload(self) -> bool:
        task = self.engine.begin_upload(
            content_type=self.file.content_type,
            mime_type=mimetypes.guess_type(self.file_name)[0],
            file_size=self.file.size_bytes,
            checksum=self.file.checksum,
            source_filename=self.file_name,
        )
        self._retried = True  # what fails now has failed in this run
        self.claimed.add(task.id)
        return self._take(task)

    def _go_on(self, task: MusicTask) -> bool:
        if task.state == "waitforchunk":
            return self._send_chunk(task)
        if task.state == "readyforintegration":
            return self._take(self.engine.integrate(task.id, self.target(task)))
        if MUSIC.role(task.state) is Role.FINISHED:
            return self._end(Result.ADDED)
        if MUSIC.role(task.state) is Role.FAILED:
            return self._retry(task)
        return False

    def _send_chunk(self, task: MusicTask) -> bool:
        offset = task.offset or 0
        missing = (task.file_size or 0) - offset
        if missing <= 0:
            return False  # an earlier run sent all of it: the engine ends the upload by itself
        with self.file.source.open("rb") as file:
            data = _read_at(file, offset, self.engine.settings.chunk_size)
        if not data:
            self.engine.remove(task.id)
            return self._fail("the file got shorter while it was read: add it again")
        return self._take(self.engine.receive_chunk(task.id, data[:missing], offset=offset))

    def _retry(self, task: MusicTask) -> bool:
        """Once, and only what failed in an earlier run: its reason may be gone."""
        if self._retried:
            return self._failed_as(task)
        self._retried = True
        if task.state == "invalidcontent":
            # Its data is gone; what was refused by the settings of then may be let in now.
            self.engine.remove(task.id)
            self.claimed.discard(task.id)
            self.task = None
            return True
        if task.state == "integrationfailed":
            return self._take(self.engine.retry(task.id, target=self.target(task)))
        return self._take(self.engine.retry(task.id))

    def _end(self, result: Result) -> bool:
        if self.task is not None:
            self.claimed.discard(self.task.id)
        return super()._end(result)

    def _gone(self) -> bool:
        if self._is_there() is True:
            return self._end(Result.ADDED)
        return self._fail("its task was removed before the file was at its place: add it again")


def _integrated_path(task: MusicTask) -> str | None:
    """Where an upload is to go, or went."""
    paths = {
        "albumfile": task.album_file_path,
        "album": task.album_path,
        "video": task.video_path,
    }
    return paths.get(task.content_type or "")


def _read_at(file: BinaryIO, offset: int, size_bytes: int) -> bytes:
    file.seek(offset)
    return file.read(size_bytes)


@define(eq=False)
class FileJob(UploadJob[PlannedFile]):
    """Uploads a file of an album, or a video, and puts it at its place."""

    @property
    def file_name(self) -> str:
        return self.file.target.rpartition("/")[2]

    def target(self, task: MusicTask) -> str:
        return self.file.target

    def _is_there(self) -> bool | str:
        return present(self.shelf.settings, self.file)


@define(eq=False)
class ImportJob(Job):
    """Brings what is in the Music Directory into the database, and makes its pictures."""

    #: What was done in this run, in words, each at most once.
    achieved: list[str] = field(factory=list, init=False)

    def _imports_mine(self, task: MusicTask) -> bool:
        """Whether it is the import that this job is for, and no upload."""
        raise NotImplementedError

    def _next(self) -> bool:
        """Starts what the library lacks, or ends."""
        raise NotImplementedError

    def _begin(self) -> bool:
        for task in self.engine.tasks():
            if task.upload_path is None and self._imports_mine(task):
                return self._take_over(task)
        return self._next()

    def _take_over(self, task: MusicTask) -> bool:
        """Waits for it, or clears away what an earlier run left behind."""
        if MUSIC.role(task.state) in {Role.FINISHED, Role.FAILED}:
            self.engine.remove(task.id)
        elif task.id not in self.task_ids:
            self.achieved.append("an earlier import went on")
        return self._take(task)

    def _work(self, what: str, start: Callable[[], MusicTask]) -> bool:
        if what in self.achieved:
            return self._fail("its task was removed before it was done: add it again")
        self.achieved.append(what)
        return self._take(start())

    def _nothing_left(self) -> bool:
        return self._end(Result.ADDED if self.achieved else Result.THERE)

    def _go_on(self, task: MusicTask) -> bool:
        if MUSIC.role(task.state) is Role.FINISHED:
            self.engine.remove(task.id)
            return True
        if MUSIC.role(task.state) is Role.FAILED:
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
        wanted = self.shelf.wanted(path)
        if wanted.import_music:
            return self._work(
                "imported, with artwork" if wanted.artwork else "imported",
                lambda: self.engine.import_music("album", path, with_artwork=wanted.artwork),
            )
        if wanted.cover is not None:
            cover = wanted.cover
            return self._work(
                "artwork made of the cover",
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
        wanted = self.shelf.wanted_of_video(self.path)
        if not wanted.import_music:
            return self._nothing_left()
        return self._work(
            "imported, with frames" if wanted.artwork else "imported",
            lambda: self.engine.import_music("video", self.path, with_artwork=wanted.artwork),
        )
