"""The engine's notifications, numbered, kept for a while, and handed to asyncio."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Callable
from typing import Any
from uuid import uuid4

import orjson
from attrs import define, field, frozen

from ..engine import Engine, Notification, as_dictionary
from ..statemachine import JSONObject

_log = logging.getLogger(__name__)


@frozen(eq=False)
class Event:
    """One notification, by its number."""

    #: Only grows, from 1, as long as the feed is there.
    number: int
    notification: Notification
    #: How much it is as JSON.
    size_bytes: int = 0

    @property
    def name(self) -> str:
        return self.notification.name

    @property
    def status(self) -> dict[str, Any]:
        """What callbacks of the engine get; a new one each time."""
        return self.notification.status()


#: What readers get of a notification with this name and status, as JSON.
Written = Callable[[str, dict[str, Any]], bytes]
#: So many bytes of what was written are kept, for the readers that are not far behind.
_WRITTEN_BYTES = 8 * 1024 * 1024
#: What a notification has besides its record and its message.
_ENVELOPE_BYTES = 200


def _plain(name: str, status: dict[str, Any]) -> bytes:
    return orjson.dumps([name, status])


@define(eq=False)
class _Readers:
    """Those of one event loop: they are woken together."""

    loop: asyncio.AbstractEventLoop
    waiting: set[asyncio.Event] = field(factory=set)
    #: They will be woken.
    is_called: bool = False

    def wake(self) -> None:
        self.is_called = False
        for woken in self.waiting:
            woken.set()


@define(eq=False)
class Feed:
    """The notifications of an engine, for any number of readers in any event loop.

    Readers share one ring: one that is slow holds up nobody and costs no memory; what it has
    missed when it comes back is said. A notification is taken in by the thread that changes its
    task, in microseconds, and written for the first who reads it.
    """

    _kept: int
    _kept_bytes: int
    #: Called when a notification is first read, and again for one that is long past.
    _write: Written = _plain
    #: Tells this feed from one of an earlier process, whose numbers mean something else.
    run: str = field(factory=lambda: uuid4().hex[:12], init=False)
    _ring: deque[Event] = field(factory=deque, init=False)
    #: What was written of those that were read last, by number.
    _written: OrderedDict[int, bytes] = field(factory=OrderedDict, init=False)
    _written_bytes: int = field(default=0, init=False)
    _bytes: int = field(default=0, init=False)
    _last: int = field(default=0, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    _readers: dict[asyncio.AbstractEventLoop, _Readers] = field(factory=dict, init=False)
    _listeners: list[Callable[[Notification], object]] = field(factory=list, init=False)
    _closed: bool = field(default=False, init=False)

    def observe(self, engine: Engine[Any]) -> Callable[[], None]:
        """Takes in the notifications of `engine` from now on; the returned function ends it."""
        return engine.observe(self._take)

    def listen(self, listener: Callable[[Notification], object]) -> None:
        """Calls `listener(notification)` for each, as `Engine.observe` does."""
        self._listeners.append(listener)

    def _take(self, notification: Notification) -> None:
        # Invariant: before the readers, so that what clients hear of is counted already.
        for listener in self._listeners:
            listener(notification)
        size_bytes = _size_of(notification)
        with self._lock:
            self._last += 1
            self._ring.append(Event(self._last, notification, size_bytes))
            self._bytes += size_bytes
            while len(self._ring) > self._kept or self._bytes > self._kept_bytes:
                self._bytes -= self._ring.popleft().size_bytes
            if self._readers:
                self._wake()

    def _wake(self) -> None:
        """Wakes all readers soon; the lock is taken."""
        for readers in list(self._readers.values()):
            # One that ended before it has woken them is still called.
            if readers.is_called and not readers.loop.is_closed():
                continue
            readers.is_called = True
            try:
                readers.loop.call_soon_threadsafe(readers.wake)
            except RuntimeError:  # the loop has ended
                del self._readers[readers.loop]

    def _keep(self, number: int, written: bytes) -> None:
        with self._lock:
            if number in self._written:
                return
            self._written[number] = written
            self._written_bytes += len(written)
            while self._written_bytes > _WRITTEN_BYTES and len(self._written) > 1:
                self._written_bytes -= len(self._written.popitem(last=False)[1])

    def written(self, event: Event) -> bytes:
        """An event as readers get it; empty where JSON cannot hold it."""
        written = self._written.get(event.number)
        if written is None:
            try:
                written = self._write(event.name, event.status)
            except TypeError:  # a program told of something that JSON cannot hold
                _log.exception("a notification %s cannot be sent", event.name)
                written = b""
            self._keep(event.number, written)
        return written

    def close(self) -> None:
        """Ends all readers, once they have what is there."""
        with self._lock:
            self._closed = True
            self._wake()

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
        with self._lock:
            readers = self._readers.setdefault(loop, _Readers(loop))
            readers.waiting.add(woken)
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
                readers.waiting.discard(woken)
                if not readers.waiting:
                    self._readers.pop(loop, None)


def _size_of(notification: Notification) -> int:
    record = notification.record
    size = len(notification.message or "") + _ENVELOPE_BYTES
    if record is None:
        return size
    task = record.copy() if isinstance(record, JSONObject) else as_dictionary(record)
    try:
        return size + len(orjson.dumps(task))
    except TypeError:  # JSON cannot hold it: nobody will read it
        return size
