"""One file's way into the Music Directory, one album's way into the database, step by step.

A job never blocks. It looks at what is there (the task, the library) and does the next thing,
so it goes on from wherever an earlier run was cut off.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Callable
from enum import StrEnum
from typing import BinaryIO

from attrs import define, field

from ..engine import Engine
from ..errors import MusicTasksError, TaskNotFound
from ..library import AlbumPath
from ..statemachine import MUSIC, Role, Task
from .planning import PlannedFile, present
from .shelf import Shelf


class Result(StrEnum):
    """How a job ended."""

    ADDED = "added"
    #: The library had it already; nothing was done.
    THERE = "there"
    FAILED = "failed"


@define(eq=False)
class Job:
    """Something to be done with a task, and how far it is."""

    engine: Engine
    shelf: Shelf
    task: Task | None = field(default=None, init=False)
    #: The ids of all tasks that worked for this job, in their order.
    task_ids: list[str] = field(factory=list, init=False)
    result: Result | None = field(default=None, init=False)
    #: Why it failed.
    reason: str | None = field(default=None, init=False)

    def step(self) -> bool:
        """Does the next thing; False if there is nothing to do but to wait."""
        try:
            if self.task is None:
                return self._begin()
            self.task = self.engine.get(self.task.id)
            return self._go_on(self.task)
        except TaskNotFound:
            # It is gone, or it went between two looks: the next step sees what that means.
            return self._gone() if self.task is not None else True
        except (MusicTasksError, OSError) as error:
            return self._fail(str(error))

    @property
    def subject(self) -> str:
        """What it is about, for people."""
        raise NotImplementedError

    def _begin(self) -> bool:
        raise NotImplementedError

    def _go_on(self, task: Task) -> bool:
        raise NotImplementedError

    def _gone(self) -> bool:
        raise NotImplementedError

    def _take(self, task: Task) -> bool:
        """This task works for the job from now on."""
        self.task = task
        if task.id not in self.task_ids:
            self.task_ids.append(task.id)
        return True

    def _end(self, result: Result) -> bool:
        self.result = result
        return True

    def _fail(self, reason: str) -> bool:
        self.reason = reason
        return self._end(Result.FAILED)

    def _failed_as(self, task: Task) -> bool:
        return self._fail(f"{task.message or 'no reason given'} (task {task.id}, {task.state})")


@define(eq=False)
class FileJob(Job):
    """Uploads a file and puts it at its place."""

    file: PlannedFile
    #: The ids of tasks that jobs of this run work with.
    claimed: set[str]
    _retried: bool = field(default=False, init=False)

    @property
    def subject(self) -> str:
        return self.file.target.rpartition("/")[2]

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
            there = present(self.shelf.settings, self.file)
            if isinstance(there, str):
                return self._fail(there)
            return self._end(Result.THERE) if there else self._upload()
        if not self._is_elsewhere(task):
            self.claimed.add(task.id)
            return self._take(task)
        if MUSIC.role(task.state) is Role.FAILED:
            return self._fail(f"task {task.id} ({task.state}) has the same bytes: remove it first")
        return False

    def _earlier_task(self) -> Task | None:
        """A task with the same bytes: of an earlier run, of another client, of a copy."""
        found = [task for task in self.engine.tasks() if self._has_my_bytes(task)]
        # One that is at work holds the bytes; one that failed holds nothing up.
        found.sort(key=lambda task: MUSIC.role(task.state) is Role.FAILED)
        return found[0] if found else None

    def _has_my_bytes(self, task: Task) -> bool:
        return (
            task.content_type == "albumfile"
            and (task.source_checksum or "").lower() == self.file.checksum
            and task.file_size == self.file.size_bytes
            and MUSIC.role(task.state) is not Role.FINISHED
        )

    def _is_elsewhere(self, task: Task) -> bool:
        """It is another job's, or on its way to another path: it has to end first."""
        if task.id in self.claimed or MUSIC.role(task.state) in {Role.PASSING, Role.REMOVING}:
            return True
        settled = task.state not in {"readyforintegration", "integrationfailed"}
        return settled and task.album_file_path not in {None, self.file.target}

    def _upload(self) -> bool:
        name = self.file.target.rpartition("/")[2]
        task = self.engine.begin_upload(
            content_type="albumfile",
            mime_type=mimetypes.guess_type(name)[0],
            file_size=self.file.size_bytes,
            checksum=self.file.checksum,
            source_filename=name,
        )
        self._retried = True  # what fails now has failed in this run
        self.claimed.add(task.id)
        return self._take(task)

    def _go_on(self, task: Task) -> bool:
        if task.state == "waitforchunk":
            return self._send_chunk(task)
        if task.state == "readyforintegration":
            return self._take(self.engine.integrate(task.id, self.file.target))
        if MUSIC.role(task.state) is Role.FINISHED:
            return self._end(Result.ADDED)
        if MUSIC.role(task.state) is Role.FAILED:
            return self._retry(task)
        return False

    def _send_chunk(self, task: Task) -> bool:
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

    def _retry(self, task: Task) -> bool:
        """Once, and only what failed in an earlier run: its reason may be gone."""
        if self._retried or task.state == "invalidcontent":
            return self._failed_as(task)
        self._retried = True
        if task.state == "integrationfailed":
            return self._take(self.engine.retry(task.id, target=self.file.target))
        return self._take(self.engine.retry(task.id))

    def _end(self, result: Result) -> bool:
        if self.task is not None:
            self.claimed.discard(self.task.id)
        return super()._end(result)

    def _gone(self) -> bool:
        if present(self.shelf.settings, self.file) is True:
            return self._end(Result.ADDED)
        return self._fail("its task was removed before the file was at its place: add it again")


def _read_at(file: BinaryIO, offset: int, size_bytes: int) -> bytes:
    file.seek(offset)
    return file.read(size_bytes)


@define(eq=False)
class AlbumJob(Job):
    """Brings an album's songs into the database, then makes its artwork."""

    album: AlbumPath
    #: What was done in this run, in words, each at most once.
    achieved: list[str] = field(factory=list, init=False)

    @property
    def subject(self) -> str:
        return self.album.path

    def _begin(self) -> bool:
        path = self.album.path
        task = self._earlier_task()
        if task is not None:
            return self._take_over(task)
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
        return self._end(Result.ADDED if self.achieved else Result.THERE)

    def _work(self, what: str, start: Callable[[], Task]) -> bool:
        if what in self.achieved:
            return self._fail("its task was removed before it was done: add it again")
        self.achieved.append(what)
        return self._take(start())

    def _earlier_task(self) -> Task | None:
        """An import of this album that is under way or has ended."""
        for task in self.engine.tasks():
            imports = task.content_type == "album" or (
                task.content_type == "artwork" and task.upload_path is None
            )
            if imports and task.album_path == self.album.path:
                return task
        return None

    def _take_over(self, task: Task) -> bool:
        """Waits for it, or clears away what an earlier run left behind."""
        if MUSIC.role(task.state) in {Role.FINISHED, Role.FAILED}:
            self.engine.remove(task.id)
        elif task.id not in self.task_ids:
            self.achieved.append("an earlier import went on")
        return self._take(task)

    def _go_on(self, task: Task) -> bool:
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
