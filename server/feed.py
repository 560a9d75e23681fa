"""The engine's notifications, numbered, kept for a while, and handed to asyncio."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

import orjson
from attrs import define, field, frozen

from ..engine import Engine


@frozen
class Event:
    """One notification: what it is called, and the status that callbacks of the engine get."""

    #: Only grows, from 1, as long as the feed is there.
    number: int
    name: str
    #: The documented dictionary; nobody changes it.
    status: dict[str, Any]
    #: About how much it is, as JSON.
    size_bytes: int = 0


@define(eq=False)
class Feed:
    """The notifications of an engine, for any number of readers in any event loop.

    Readers share one ring: one that is slow holds up nobody and costs no memory; what it has
    missed when it comes back is said.
    """

    _kept: int
    _kept_bytes: int
    #: Tells this feed from one of an earlier process, whose numbers mean something else.
    run: str = field(factory=lambda: uuid4().hex[:12], init=False)
    _ring: deque[Event] = field(init=False)
    _bytes: int = field(default=0, init=False)
    _last: int = field(default=0, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    _wakes: set[Callable[[], None]] = field(factory=set, init=False)
    _listeners: list[Callable[[Event], object]] = field(factory=list, init=False)
    _closed: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._ring = deque()

    def follow(self, engine: Engine[Any]) -> Callable[[], None]:
        """Takes in the notifications of `engine` from now on; the returned function ends it."""
        return engine.subscribe(self._take)

    def listen(self, listener: Callable[[Event], object]) -> None:
        """Calls `listener(event)` for each notification, in the feed's own thread."""
        self._listeners.append(listener)

    def _take(self, name: str, status: dict[str, Any]) -> None:
        size = _size(status)
        event = Event(self._last + 1, name, status, size)  # by the one thread of the subscription
        # Invariant: before the readers, so that what clients hear of is counted already.
        for listener in self._listeners:
            listener(event)
        with self._lock:
            self._last = event.number
            self._ring.append(event)
            self._bytes += size
            while len(self._ring) > self._kept or self._bytes > self._kept_bytes:
                self._bytes -= self._ring.popleft().size_bytes
            wakes = list(self._wakes)
        for wake in wakes:
            wake()

    def close(self) -> None:
        """Ends all readers, once they have what is there."""
        with self._lock:
            self._closed = True
            wakes = list(self._wakes)
        for wake in wakes:
            wake()

    @property
    def last(self) -> int:
        """The number of the newest notification; 0 before the first."""
        return self._last

    def since(self, number: int) -> list[Event] | None:
        """The notifications after `number`; None where some of them are kept no more."""
        with self._lock:
            if number > self._last or self._last - number > len(self._ring):
                return None
            missing = self._last - number
            return [self._ring[i] for i in range(len(self._ring) - missing, len(self._ring))]

    async def events(
        self, since: int | None = None, *, pause_s: float | None = None
    ) -> AsyncGenerator[list[Event] | None, None]:
        """Waits for notifications, and yields them in batches, in order.

        Args:
            since: The number of the last one that the reader has; None: those from now on.
            pause_s: After so many seconds without one, an empty batch is yielded.

        Yields:
            A batch; or None where some were missed, and the reader has to read all tasks anew.
        """
        loop, woken = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(woken.set)

        with self._lock:
            self._wakes.add(wake)
            at = self._last if since is None else since
        try:
            while True:
                woken.clear()
                batch = self.since(at)
                if batch is None:
                    at = self._last
                    yield None
                elif batch:
                    at = batch[-1].number
                    yield batch
                elif self._closed:
                    return
                else:
                    try:
                        await asyncio.wait_for(woken.wait(), pause_s)
                    except TimeoutError:
                        yield []
        finally:
            with self._lock:
                self._wakes.discard(wake)


def _size(status: dict[str, Any]) -> int:
    try:
        return len(orjson.dumps(status))
    except TypeError:  # a program told of something that JSON cannot hold
        return 0
