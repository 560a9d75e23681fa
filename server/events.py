"""Notifications as server-sent events."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any

import anyio.lowlevel
import orjson
from attrs import define, frozen
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from ..statemachine import Lifecycle
from .bodies import query
from .door import Door
from .feed import Event
from .problems import Problem
from .views import view_of

#: How often a comment says that the stream is alive.
PAUSE_S = 15.0
#: A comment for programs, and an event for pages: browsers tell scripts of no comment. It has no
#: id, so that what a client has is what it had before.
_ALIVE = b": still here\nevent: alive\ndata: {}\n\n"
_CURSOR = re.compile(r"(?:([0-9a-f]{12})-)?([0-9]{1,15})")


def written(lifecycle: Lifecycle, name: str, status: dict[str, Any]) -> bytes:
    """The data of a notification.

    Raises:
        TypeError: JSON cannot hold it.
    """
    task = status["task"]
    data: dict[str, Any] = {
        "notification": name,
        "message": status["message"],
        "task": None if task is None else view_of(lifecycle, task),
        "gone": task is None or task.get("state") == lifecycle.gone,
    }
    return orjson.dumps(data)


@define(eq=False)
class Streams:
    """All event streams of one door."""

    door: Door
    open: int = 0

    async def endpoint(self, request: Request) -> Response:
        """Opens a stream, from where the client has been, or from now on."""
        asked = query(request, "since")
        # Invariant: before the answer begins, so that nothing after that is missed.
        newest = self.id(self.door.feed.last).decode()
        cursor = request.headers.get("last-event-id") or asked.get("since") or newest
        if self.open >= self.door.settings.event_streams:
            detail = f"{self.open} event streams are open, and no more are allowed"
            raise Problem(503, "TooManyStreams", detail, headers={"Retry-After": "10"})
        return _Stream(self, cursor)

    def since(self, cursor: str) -> tuple[int, bool]:
        """The number after which a reader goes on, and whether it has to start over."""
        match = _CURSOR.fullmatch(cursor)
        feed = self.door.feed
        if match is None or match[1] not in (None, feed.run):
            return feed.last, True
        return int(match[2]), False

    def text(self, event: Event) -> bytes:
        """An event as it is sent; empty where JSON cannot hold it."""
        data = self.door.feed.written(event)
        return data and b"event: task\nid: %s\ndata: %s\n\n" % (self.id(event.number), data)

    def id(self, number: int) -> bytes:
        return f"{self.door.feed.run}-{number}".encode()

    async def pieces(self, cursor: str) -> AsyncGenerator[bytes, None]:
        """What one stream is sent."""
        feed = self.door.feed
        number, start_over = self.since(cursor)
        yield b"retry: 1000\n\n"
        if start_over:
            yield self._reset(number)
        async with aclosing(feed.events(number, pause_s=PAUSE_S)) as batches:
            async for batch in batches:
                if batch is None:
                    yield self._reset(feed.last)
                elif not batch:
                    yield _ALIVE
                else:
                    # One by one: of what a stream is behind, only this waits for its client.
                    for event in batch:
                        if text := self.text(event):
                            yield text
                        await anyio.lowlevel.checkpoint()  # ends it for a client that has gone

    def _reset(self, number: int) -> bytes:
        return b"event: reset\nid: %s\ndata: {}\n\n" % self.id(number)


@frozen(eq=False)
class _Stream(Response):
    """The answer that does not end until the client, or the server, goes."""

    streams: Streams
    cursor: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream"), (b"x-accel-buffering", b"no")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return
        self.streams.open += 1
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._until_gone, receive, group.cancel_scope)
                async with aclosing(self.streams.pieces(self.cursor)) as pieces:
                    async for piece in pieces:
                        await send({"type": "http.response.body", "body": piece, "more_body": True})
                group.cancel_scope.cancel()
            await send({"type": "http.response.body", "body": b""})
        finally:
            self.streams.open -= 1

    async def _until_gone(self, receive: Receive, scope: anyio.CancelScope) -> None:
        with suppress(Problem):  # whose body does not come is gone, too
            while (await receive())["type"] != "http.disconnect":
                pass
        scope.cancel()


def routes(door: Door) -> list[BaseRoute]:
    """`/api/events`."""
    return [Route("/api/events", Streams(door).endpoint, methods=["GET"])]
