"""The engine's notifications, numbered, kept for a while, and handed to asyncio."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

import orjson
from attrs import define, field, frozen

from ..engine import Engine

_log = logging.getLogger(__name__)


@frozen
class Event:
    """One notification: what it is called, and the status that callbacks of the engine get."""

    #: Only grows, from 1, as long as the feed is there.
    number: int
    name: str
    #: The documented dictionary; nobody changes it.
    status: dict[str, Any]
    #: How much it is as readers get it.
    size_bytes: int = 0


#: What readers get of a notification with this name and status, as JSON.
Written = Callable[[str, dict[str, Any]], bytes]
#: So many bytes of what was written are kept, for the readers that are not far behind.
_WRITTEN_BYTES = 8 * 1024 * 1024


def _plain(name: str, status: dict[str, Any]) -> bytes:
    return orjson.dumps([name, status])


@define(eq=False)
class Feed:
    """The notifications of an engine, for any number of readers in any event loop.

    Readers share one ring: one that is slow holds up nobody and costs no memory; what it has
    missed when it comes back is said.
    """

    _kept: int
    _kept_bytes: int
    #: Called once for each notification, and again for one that is long past.
    _write: Written = _plain
    #: Tells this feed from one of an earlier process, whose numbers mean something else.
    run: str = field(factory=lambda: uuid4().hex[:12], init=False)
    _ring: deque[Event] = field(init=False)
    #: What was written of the newest ones, by number.
    _written: OrderedDict[int, bytes] = field(factory=OrderedDict, init=False)
    _written_bytes: int = field(default=0, init=False)
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
        number = self._last + 1  # by the one thread of the subscription
        written = self._written_of(name, status)
        event = Event(number, name, status, len(written))
        # Invariant: before the readers, so that what clients hear of is counted already.
        for listener in self._listeners:
            listener(event)
        with self._lock:
            self._last = event.number
            self._ring.append(event)
            self._bytes += event.size_bytes
            self._keep(number, written)
            while len(self._ring) > self._kept or self._bytes > self._kept_bytes:
                self._bytes -= self._ring.popleft().size_bytes
            wakes = list(self._wakes)
        for wake in wakes:
            wake()

    def _written_of(self, name: str, status: dict[str, Any]) -> bytes:
        try:
            return self._write(name, status)
        except TypeError:  # a program told of something that JSON cannot hold
            _log.exception("a notification %s cannot be sent", name)
            return b""

    def _keep(self, number: int, written: bytes) -> None:
        self._written[number] = written
        self._written_bytes += len(written)
        while self._written_bytes > _WRITTEN_BYTES and len(self._written) > 1:
            self._written_bytes -= len(self._written.popitem(last=False)[1])

    def written(self, event: Event) -> bytes:
        """An event as readers get it; empty where JSON cannot hold it."""
        with self._lock:
            written = self._written.get(event.number)
        if written is None:
            written = self._written_of(event.name, event.status)
        return written

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
