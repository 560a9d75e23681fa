"""The engine's notifications as packets of MusicDB's WebSocket, made once for all clients."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import orjson
from anyio import to_thread
from attrs import define, field

from ..music import CHUNK_REQUEST, MusicEngine, Status
from ..musicdb import as_told
from .feed import Event, Feed
from .musicdb_packets import written
from .musicdb_tasklist import TaskList, TaskLists

_log = logging.getLogger(__name__)

#: Clients drop what they hold of the library, and read it anew.
_REFRESH = written("broadcast", "sys:refresh", "UpdateCaches", None)
#: So many characters of packets are kept for the clients that come to them next.
_KEPT = 16 * 1024 * 1024
#: What a chunk's packet has besides the chunk.
_AROUND_CHUNK = 64 * 1024


def largest_chunk(packet_bytes: int) -> int:
    """How many bytes fit, in hex digits, into a packet of this size."""
    return max((packet_bytes - _AROUND_CHUNK) // 2, 1)


@define(eq=False)
class Notices:
    """What clients are sent for each notification of the engine."""

    _engine: MusicEngine
    _feed: Feed
    _lists: TaskLists
    #: The most bytes of a chunk, so that its packet is let in.
    _chunk_bytes: int
    _made: OrderedDict[int, list[str]] = field(factory=OrderedDict, init=False)
    _kept: int = field(default=0, init=False)
    _lock: asyncio.Lock = field(factory=asyncio.Lock, init=False)
    #: By content type, the list of tasks, and the notification that was the newest then.
    _listed: dict[str | None, tuple[TaskList, int]] = field(factory=dict, init=False)

    async def packets(self, event: Event) -> list[str]:
        """The packets of a notification, in their order."""
        if event.number in self._made:
            return self._made[event.number]
        async with self._lock:
            if event.number not in self._made:
                make: Callable[[Event], list[str]] = self._make
                if event.name == CHUNK_REQUEST:  # nothing that takes time
                    self._keep(event, make(event))
                else:
                    self._keep(event, await to_thread.run_sync(make, event))
            return self._made[event.number]

    def _keep(self, event: Event, packets: list[str]) -> None:
        self._made[event.number] = packets
        self._kept += sum(map(len, packets))
        while self._kept > _KEPT and len(self._made) > 1:
            _, oldest = self._made.popitem(last=False)
            self._kept -= sum(map(len, oldest))

    def _make(self, event: Event) -> list[str]:
        try:
            packets = [self._packet(*one) for one in as_told(event.name, event.status)]
        except TypeError:  # a program told of something that JSON cannot hold
            _log.exception("a notification %s cannot be sent", event.name)
            return []
        return [*packets, _REFRESH] if self._refreshes(event) else packets

    def _packet(self, name: str, status: dict[str, Any]) -> str:
        status = dict(status)
        if status["chunksize"] is not None:
            status["chunksize"] = min(status["chunksize"], self._chunk_bytes)
        if name != CHUNK_REQUEST:
            task = status["task"] or {}
            status["tasklist"] = self._list(task.get("contenttype"), task.get("id"))
        return written("notification", "MusicDB:Task", name, status)

    def _list(self, content_type: str | None, task_id: str | None) -> orjson.Fragment:
        """The list as it is now: one for all notifications that have come until now."""
        newest = self._feed.last
        known, then = self._listed.get(content_type, (None, 0))
        if known is None or then != newest or not known.has(task_id):
            known = self._lists.bounded(content_type, task_id)
            self._listed[content_type] = (known, newest)
        return known.json

    def _refreshes(self, event: Event) -> bool:
        status = event.status
        if not (isinstance(status, Status) and status.entered):
            return False
        return self._engine.lifecycle.state(status["state"]).refreshes
