"""The body of a request, in pieces: some come in while others are written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from time import monotonic
from types import TracebackType
from typing import Self

from attrs import define, field
from starlette.types import Receive

from ..pauses import Pauses
from ..problems import Problem

#: So many bytes are written at once.
PIECE_BYTES = 1024 * 1024
#: So many may wait, if nobody waits for more; then the client has to.
_MOST_WAITING = 2 * PIECE_BYTES
#: Bytes of a slow client are written after so long.
_PATIENCE_S = 0.5


@define(eq=False)
class Body:
    """What comes in, inside `async with`.

    Taken from the connection as soon as it is there: what waits there when the connection drops
    would be lost. Only a client that asks first (`Expect: 100-continue`) is let wait until
    somebody wants the body.
    """

    _receive: Receive
    _asks_first: bool
    #: The connection dropped before the end.
    dropped: bool = field(default=False, init=False)
    #: Another request of the same upload has taken over.
    superseded: bool = field(default=False, init=False)
    #: Why nothing more comes, if that is an error.
    error: Exception | None = field(default=None, init=False)
    #: When bytes came last, by the clock `time.monotonic`.
    _heard_s: float = field(factory=monotonic, init=False)
    #: Nothing is taken from the connection, until there is room for it.
    _is_full: bool = field(default=False, init=False)
    _parts: list[bytes] = field(factory=list, init=False)
    _size: int = field(default=0, init=False)
    #: So many somebody waits for.
    _wanted: int = field(default=1, init=False)
    _ended: bool = field(default=False, init=False)
    _changed: asyncio.Event = field(factory=asyncio.Event, init=False)
    _room: asyncio.Event = field(factory=asyncio.Event, init=False)
    _pump: asyncio.Task[None] | None = field(default=None, init=False)
    _patience: Pauses = field(factory=lambda: Pauses(_PATIENCE_S), init=False)

    async def __aenter__(self) -> Self:
        if not self._asks_first:
            self._start()
        return self

    def _start(self) -> None:
        if self._pump is None and not self._ended:
            self._pump = asyncio.create_task(self._take())

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._patience.close()
        if self._pump is not None:
            self._pump.cancel()
            with suppress(asyncio.CancelledError):
                await self._pump

    @property
    def silent_s(self) -> float:
        """For how long nothing has come; 0 while there is no room for what would come."""
        return 0.0 if self._is_full else monotonic() - self._heard_s

    def end(self) -> None:
        """Takes nothing more from a connection that is dead; what came still counts."""
        if self._ended:
            return
        self.superseded = True
        if self._pump is None:
            self._ended = True
        else:
            self._pump.cancel()

    async def is_empty(self) -> bool:
        """Waits for the first byte, or for the end."""
        await self._wait_for(1)
        return not self._size

    async def comes_soon(self, most_bytes: int) -> bool:
        """Waits for a little while; whether all of it is there then, and no more than wanted."""
        if not self._asks_first:
            await self._wait_a_while(PIECE_BYTES)
        is_whole = self._ended and not (self.dropped or self.superseded or self.error)
        return is_whole and 0 < self._size <= most_bytes

    def take(self) -> list[bytes]:
        """What is there."""
        parts, self._parts, self._size = self._parts, [], 0
        self._room.set()
        return parts

    async def pieces(self, most_bytes: int) -> AsyncIterator[list[bytes]]:
        """Its bytes, about 1 MiB at once, in as many parts as they came in; the last that may come
        only when the end has come, too.

        Raises:
            Problem: 413, there are more; those of them that were not yielded are dropped.
        """
        while True:
            await self._wait_for(1)
            await self._wait_a_while(PIECE_BYTES)
            if self._size == most_bytes and not self._ended:
                await self._wait_for(most_bytes + 1)
            if self._size > most_bytes:
                raise Problem(413, "TooLong", "the body is longer than what is left of the upload")
            if not self._size:
                if self._ended:
                    return
                continue
            most_bytes -= self._size
            yield self.take()

    async def _wait_for(self, size: int) -> None:
        """Waits until so many bytes are there, or until the end."""
        self._start()
        await self._until(size)

    async def _wait_a_while(self, size: int) -> None:
        """As `_wait_for`, but not for long."""
        with suppress(TimeoutError):
            await self._patience.bound(self._wait_for(size))

    async def _until(self, size: int) -> None:
        while not self._ended and self._size < size:
            self._wanted = size
            self._room.set()
            self._changed.clear()
            await self._changed.wait()

    async def _take(self) -> None:
        try:
            while True:
                message = await self._receive()
                if message["type"] == "http.disconnect":
                    self.dropped = True
                    return
                if data := message.get("body", b""):
                    self._parts.append(data)
                    self._size += len(data)
                    self._heard_s = monotonic()
                if not message.get("more_body", False):
                    return
                if self._size >= self._wanted:
                    self._changed.set()
                await self._wait_for_room()
        except Exception as error:
            self.error = error
        finally:
            self._ended = True
            self._changed.set()

    async def _wait_for_room(self) -> None:
        while self._size >= max(_MOST_WAITING, self._wanted):
            self._is_full = True
            self._room.clear()
            await self._room.wait()
        if self._is_full:
            self._is_full, self._heard_s = False, monotonic()
