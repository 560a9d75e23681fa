"""One request at a time brings bytes for an upload; how many uploads may be unfinished."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from attrs import define, field, frozen

from ...statemachine import UploadTask
from ...uploads import Uploads
from ..door import Door
from ..feed import Event
from ..problems import Problem
from .bodies import Body

#: So long the end of a request is waited for, whose connection may have dropped just now.
GRACE_S = 0.3
#: A request from which nothing has come for so long is dead for the next one that comes.
SILENT_S = 5.0


@frozen(eq=False)
class _Turn:
    body: Body
    over: asyncio.Event = field(factory=asyncio.Event, init=False)


@define(eq=False)
class Running:
    """The requests that bring bytes, by the id of the upload. For one event loop."""

    _turns: dict[str, _Turn] = field(factory=dict, init=False)

    @asynccontextmanager
    async def turn(self, task_id: str, body: Body) -> AsyncIterator[None]:
        """Lets one request bring bytes while a block lasts; a dead one before it is ended.

        Raises:
            Problem: 423, another one does.
        """
        if task_id in self._turns:
            await self.end_dead(task_id)
        if task_id in self._turns:
            detail = "another request brings bytes for this upload: wait for its end"
            raise Problem(423, "UploadLocked", detail, headers={"Retry-After": "1"})
        turn = self._turns[task_id] = _Turn(body)
        try:
            yield
        finally:
            del self._turns[task_id]
            turn.over.set()

    async def end_dead(self, task_id: str) -> None:
        """Ends the request under way, if its connection has dropped, so that its bytes count."""
        turn = self._turns.get(task_id)
        if turn is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S):
                await turn.over.wait()
        if not turn.over.is_set() and turn.body.silent_s >= SILENT_S:
            turn.body.end()
            await turn.over.wait()

    async def end(self, task_id: str) -> None:
        """Ends the request under way, whatever it does."""
        turn = self._turns.get(task_id)
        if turn is not None:
            turn.body.end()
            await turn.over.wait()


@define(eq=False)
class Unfinished:
    """The uploads that still wait for bytes, with their sizes, and the limits of them."""

    _door: Door
    _uploads: Uploads
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    _sizes: dict[str, int] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._door.feed.listen(self._noted)
        for task in self._door.engine.tasks():
            if task.state == self._uploads.state and isinstance(task, UploadTask):
                self._sizes[task.id] = task.file_size or 0

    def _noted(self, event: Event) -> None:
        task = event.status.get("task")
        if task is None:
            return
        with self._lock:
            if task.get("state") == self._uploads.state:
                self._sizes[task["id"]] = task.get("filesize") or 0
            else:
                self._sizes.pop(task.get("id"), None)

    def reserve(self, task_id: str, size: int) -> bool:
        """Counts an upload that is about to be made; False where it counts already.

        Raises:
            Problem: 429, there are too many; 507, they are too large together.
        """
        settings = self._door.settings
        with self._lock:
            if task_id in self._sizes:
                return False
            if len(self._sizes) >= settings.unfinished_uploads:
                detail = f"{len(self._sizes)} uploads are unfinished: finish or remove some"
                raise Problem(429, "TooManyUploads", detail, headers={"Retry-After": "60"})
            if sum(self._sizes.values()) + size > settings.unfinished_bytes:
                detail = "the unfinished uploads have no room for this one: finish or remove some"
                raise Problem(507, "NoRoomForUpload", detail, headers={"Retry-After": "60"})
            self._sizes[task_id] = size
            return True

    def forget(self, task_id: str) -> None:
        with self._lock:
            self._sizes.pop(task_id, None)
