"""How large an upload may be, how many may be unfinished, and how large together: of all routes."""

from __future__ import annotations

import threading
from typing import Any

from attrs import define, field

from ..engine import Engine, Notification
from ..errors import InvalidTaskFile, TaskNotFound
from ..music import MusicEngine
from ..statemachine import UploadTask
from ..uploads import Uploads
from .feed import Feed
from .problems import Problem
from .settings import ServerSettings


@define(eq=False)
class Unfinished:
    """The uploads that still wait for bytes, with their sizes, and the limits of them."""

    _engine: Engine[Any]
    _uploads: Uploads
    _settings: ServerSettings
    _feed: Feed
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    _sizes: dict[str, int] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._feed.listen(self._noted)
        for task in self._engine.tasks():
            if task.state == self._uploads.state and isinstance(task, UploadTask):
                self._sizes[task.id] = task.file_size or 0
        # Some may have got all bytes, or gone, since they were listed, and nobody tells again.
        for task_id in list(self._sizes):
            self.forget_unless_waiting(task_id)

    def _noted(self, notification: Notification) -> None:
        record = notification.record
        if not isinstance(record, UploadTask):
            return  # a program says something of a task
        with self._lock:
            if record.state == self._uploads.state:
                self._sizes[record.id] = record.file_size or 0
            else:
                self._sizes.pop(record.id, None)

    @property
    def most_bytes(self) -> int:
        """The most bytes of one upload."""
        music = self._engine if isinstance(self._engine, MusicEngine) else None
        limits = [
            self._settings.upload_bytes,
            self._uploads.max_size_bytes,
            music and music.settings.max_upload_size_bytes,
        ]
        return min(limit for limit in limits if limit is not None)

    def check_size(self, size: int) -> None:
        """Refuses an upload that is too large by itself.

        Raises:
            Problem: 413, it is.
        """
        if size > self.most_bytes:
            detail = f"{size} bytes are more than the {self.most_bytes} that are allowed"
            said = {"Tus-Max-Size": str(self.most_bytes)}
            raise Problem(413, "UploadTooLarge", detail, headers=said)

    def reserve(self, task_id: str, size: int) -> bool:
        """Counts an upload that is about to be made; False where it counts already.

        Raises:
            Problem: 413, it is too large; 429, there are too many; 507, they are too large
                together.
        """
        settings = self._settings
        with self._lock:
            if task_id in self._sizes:
                return False
            self.check_size(size)
            if len(self._sizes) >= settings.unfinished_uploads:
                detail = f"{len(self._sizes)} uploads are unfinished: finish or remove some"
                raise Problem(429, "TooManyUploads", detail, headers={"Retry-After": "60"})
            if sum(self._sizes.values()) + size > settings.unfinished_bytes:
                detail = "the unfinished uploads have no room for this one: finish or remove some"
                raise Problem(507, "NoRoomForUpload", detail, headers={"Retry-After": "60"})
            self._sizes[task_id] = size
            return True

    def forget_unless_waiting(self, task_id: str) -> None:
        """It may have been refused: the id is nobody's, or a task's that has all bytes."""
        try:
            waits = self._engine.get(task_id).state == self._uploads.state
        except (TaskNotFound, InvalidTaskFile):
            waits = False
        if not waits:
            self.forget(task_id)

    def forget(self, task_id: str) -> None:
        """The upload was not made, or is gone."""
        with self._lock:
            self._sizes.pop(task_id, None)
