"""One file's way into the Music Directory."""

from __future__ import annotations

import mimetypes
import os
import uuid
from typing import BinaryIO, Generic, TypeVar

from attrs import define, field

from ..errors import UploadRefused
from ..library import note_tags
from ..statemachine import MusicTask, Role
from .job import Job, Result
from .plans import PlannedFile, PlannedUpload, present

_Planned = TypeVar("_Planned", bound=PlannedUpload)


@define(eq=False)
class UploadJob(Job, Generic[_Planned]):
    """Uploads a file and puts what it holds at its place."""

    file: _Planned
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

    def _place(self) -> str | None:
        """Where in the library the bytes are; None where that is not known."""
        return self.engine.preflight(
            content_type=self.file.content_type,
            checksum=self.file.checksum,
            file_size=self.file.size_bytes,
        ).path

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
        if self.session.claims.is_taken(task.id):
            return False
        if not self._is_elsewhere(task):
            return self.session.claims.take(task.id, self) and self._take(task)
        if self._role(task) is Role.FAILED:
            return self._fail(f"task {task.id} ({task.state}) has the same bytes: remove it first")
        return False

    def _earlier_task(self) -> MusicTask | None:
        """A task with the same bytes: of an earlier run, of another client, of a copy."""
        found = [t for t in self.session.tasks.uploads(self.file.checksum) if self._is_mine(t)]
        # One that is at work holds the bytes; one that failed holds nothing up.
        found.sort(key=lambda task: self._role(task) is Role.FAILED)
        return found[0] if found else None

    def _is_mine(self, task: MusicTask) -> bool:
        """Whether it is the upload that this job is for, or one whose bytes are in its way."""
        if task.state == "invalidcontent" and not self.session.may_remove(task):
            return False  # its data is gone: it is in nobody's way
        return (
            task.content_type == self.file.content_type
            and (task.source_checksum or "").lower() == self.file.checksum
            and task.file_size == self.file.size_bytes
            and self._role(task) is not Role.FINISHED
        )

    def _is_elsewhere(self, task: MusicTask) -> bool:
        """It is on its way out, or to another path: it has to end first."""
        if self._role(task) in {Role.PASSING, Role.REMOVING}:
            return True
        if task.state in {"readyforintegration", "integrationfailed"}:
            return False
        path = _integrated_path(task)
        return path is not None and path != self.target(task)

    def _upload(self) -> bool:
        task_id = str(uuid.uuid4())
        # Invariant: claimed before it is there, so that no other job takes it for a left one.
        self.session.claims.take(task_id, self)
        try:
            task = self.engine.begin_upload(
                content_type=self.file.content_type,
                mime_type=mimetypes.guess_type(self.file_name)[0],
                file_size=self.file.size_bytes,
                checksum=self.file.checksum,
                source_filename=self.file_name,
                task_id=task_id,
            )
        except UploadRefused as error:
            self.session.claims.release(self)
            if error.task_id is None or not self._is_mine(self.engine.get(error.task_id)):
                raise
            self.session.tasks.read(error.task_id)
            return True  # another client was first just now
        self.session.made.add(task.id)
        self._retried = True  # what fails now has failed in this run
        return self._take(task)

    def _go_on(self, task: MusicTask) -> bool:
        if task.state == "waitforchunk":
            return self._send_chunk(task)
        if task.state == "readyforintegration":
            return self._take(self.engine.integrate(task.id, self.target(task)))
        if self._role(task) is Role.FINISHED:
            return self._end(Result.ADDED)
        if self._role(task) is Role.FAILED:
            return self._retry(task)
        return False

    def _send_chunk(self, task: MusicTask) -> bool:
        offset = task.offset or 0
        missing = (task.file_size or 0) - offset
        if missing <= 0:
            return False  # an earlier run sent all of it: the engine ends the upload by itself
        with self.file.source.open("rb") as file:
            data = _read_at(file, offset, self.engine.settings.chunk_size)
            longer = os.fstat(file.fileno()).st_size > self.file.size_bytes
        if longer or not data:
            if self.session.may_remove(task):
                self.engine.remove(task.id)
            what = "longer" if longer else "shorter"
            return self._fail(f"the file got {what} while it was read: add it again")
        return self._take(self.engine.receive_chunk(task.id, data[:missing], offset=offset))

    def _retry(self, task: MusicTask) -> bool:
        """Once, and only what failed in an earlier run: its reason may be gone."""
        if self._retried:
            return self._failed_as(task)
        self._retried = True
        if task.state == "invalidcontent":
            # Its data is gone; what was refused by the settings of then may be let in now.
            if self.session.may_remove(task):
                self.engine.remove(task.id)
            self.session.claims.release(self)
            self.task = None
            return True
        if task.state == "integrationfailed":
            return self._take(self.engine.retry(task.id, target=self.target(task)))
        return self._take(self.engine.retry(task.id))

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

    def _upload(self) -> bool:
        if self.file.tags is not None:  # the preprocessing asks for them next
            note_tags(self.file.checksum, self.file_name, self.file.tags)
        return super()._upload()

    def _is_there(self) -> bool | str:
        shelf = self.session.shelf
        return present(shelf.settings, self.file, shelf.known)
