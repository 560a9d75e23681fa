"""One request at a time brings bytes for an upload."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from attrs import define, field, frozen

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
