"""MusicDB's WebSocket: its browser client finds at `/musicdb` what it finds at MusicDB's server."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread
from attrs import define, field
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from ..errors import MusicTasksError
from ..music import CHUNK_REQUEST, MusicEngine
from .door import Door
from .musicdb_clients import Clients
from .musicdb_functions import Asked, Functions, SentAlready
from .musicdb_notices import Notices, largest_chunk
from .musicdb_packets import PacketIgnored, read, shown, written
from .musicdb_tasklist import TaskLists

_log = logging.getLogger(__name__)

_T = TypeVar("_T")

#: After so long a silence a client is told that we are there; by default it gives up after 5 s.
_HEARTBEAT_S = 1.0
_HEARTBEAT = written("notification", "sys:heartbeat", None, None)
#: Calls of functions that run at once; the clients that come later wait.
_CALLS = 40
#: So long a client that is too slow is given to take the reason.
_FAREWELL_S = 2.0
#: So long a client has for the bytes that it was asked for after some that are there already.
_ASK_AGAIN_S = 1.0
#: So many packets of one connection that are ignored are logged: it needs no token.
_LOGGED = 10

#: In place of a packet's method: its sender is one client too many.
_NOT_LET_IN = ""

_TOO_LARGE = (1009, "the packet is too large")
_TOO_SLOW = (1013, "too slow: start over")
_TOO_MANY = (1013, "too many clients")
_BROKEN = (1011, "an error of the server's own")
_NO_KEY = (1008, "no packet with the key has come")


def routes(door: Door) -> list[BaseRoute]:
    """`/musicdb`, where the engine is that of a music library."""
    if door.music is None:
        return []
    return [WebSocketRoute("/musicdb", _Hub.of(door, door.music).serve)]


class _Ended(Exception):
    """The connection ends; the client is told why, if it is still there."""

    def __init__(self, why: tuple[int, str] | None = None) -> None:
        self.why = why


@define(eq=False)
class _Hub:
    """All clients, and what they share."""

    door: Door
    functions: Functions
    notices: Notices
    limiter: CapacityLimiter = field(factory=lambda: CapacityLimiter(_CALLS), init=False)
    clients: Clients[_Client] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.clients = Clients(self.door.settings)

    @classmethod
    def of(cls, door: Door, engine: MusicEngine) -> _Hub:
        settings = door.settings
        lists = TaskLists(engine, settings.listed_tasks)
        chunk_bytes = largest_chunk(settings.packet_bytes)
        notices = Notices(engine, door.feed, lists, chunk_bytes)
        functions = Functions(engine, lists, door.annotating, door.removals, door.unfinished)
        return cls(door, functions, notices)

    async def serve(self, socket: WebSocket) -> None:
        """The life of one connection."""
        client = _Client(socket, self)
        if not self.clients.let_in(client):
            await socket.close()  # before it is accepted: 403
            return
        try:
            await client.run()
        finally:
            self.clients.discard(client)

    def broadcast(self, packet: str) -> None:
        for client in self.clients.known():
            client.put(packet)


@define(eq=False)
class _Client:
    """One connection: what comes in is done in its order, and what goes out is bounded."""

    socket: WebSocket
    hub: _Hub
    #: What all clients get from one of them, as far as this one has not taken it.
    _waiting: deque[str] = field(factory=deque, init=False)
    _waiting_bytes: int = field(default=0, init=False)
    _wake: asyncio.Event = field(factory=asyncio.Event, init=False)
    #: It has shown the token, and gets what all clients get, from this notification on.
    _trusted: asyncio.Event = field(factory=asyncio.Event, init=False)
    _since: int = field(default=0, init=False)
    _asked: Asked = field(factory=Asked, init=False)
    _ignored_packets: int = field(default=0, init=False)
    _asking: set[asyncio.Task[None]] = field(factory=set, init=False)
    _sending: asyncio.Lock = field(factory=asyncio.Lock, init=False)
    _sent_s: float = field(default=0.0, init=False)

    async def run(self) -> None:
        # Invariant: before it is accepted, so that no notification after that is missed.
        self._since = self.hub.door.feed.last
        await self.socket.accept()
        self._sent_s = asyncio.get_running_loop().time()
        if self.hub.door.settings.token is None:
            self._trusted.set()
        try:
            async with asyncio.TaskGroup() as group:
                parts = (self._read, self._notify, self._pass_on, self._beat, self._show_key)
                for part in parts:
                    group.create_task(part())
        except* _Ended as ended:
            await self._say_why(_reasons(ended))
        except* Exception:
            _log.exception("a client of MusicDB's WebSocket is let go")
            await self._say_why([_BROKEN])
        finally:
            for asking in self._asking:
                asking.cancel()

    async def _unless_gone(self, use: Awaitable[_T]) -> _T:
        """What a use of the socket gives, as long as the client is there."""
        try:
            return await use
        except (WebSocketDisconnect, RuntimeError) as error:
            _log.debug("a client of MusicDB's WebSocket has gone: %s", error)
            raise _Ended from None

    async def _show_key(self) -> None:
        """Who shows no token has no place for long."""
        try:
            async with asyncio.timeout(self.hub.door.settings.key_pause_s):
                await self._trusted.wait()
        except TimeoutError:
            raise _Ended(_NO_KEY) from None

    async def _say_why(self, reasons: list[tuple[int, str]]) -> None:
        for code, reason in reasons[:1]:
            try:
                async with asyncio.timeout(_FAREWELL_S):
                    await self.socket.close(code, reason)
            except (TimeoutError, WebSocketDisconnect, RuntimeError):
                return

    # -- what comes in ----------------------------------------------------------------------

    async def _read(self) -> None:
        while True:
            message = await self._unless_gone(self.socket.receive())
            if message["type"] != "websocket.receive":
                raise _Ended
            text = message.get("text")
            if text is None:
                self._ignored("it is not text")
            elif len(text) > self.hub.door.settings.packet_bytes:
                raise _Ended(_TOO_LARGE)
            else:
                await self._take(text)

    async def _take(self, text: str) -> None:
        loop = asyncio.get_running_loop()
        method, answer = await to_thread.run_sync(
            self._answer, text, loop, limiter=self.hub.limiter
        )
        if method == _NOT_LET_IN:
            raise _Ended(_TOO_MANY)
        if answer is None:
            return
        if method == "broadcast":
            self.hub.broadcast(answer)
        else:
            await self._send(answer)

    def _answer(self, text: str, loop: asyncio.AbstractEventLoop) -> tuple[str, str | None]:
        """The packet's method and its answer; in a thread, since it may wait for the disk."""
        try:
            packet = read(text, self.hub.door.settings.token)
            if not self._trusted.is_set():
                if not self.hub.clients.trust(self):
                    return _NOT_LET_IN, None
                self._since = self.hub.door.feed.last  # before the function notifies anybody
                loop.call_soon_threadsafe(self._trusted.set)
            value = self.hub.functions.call(packet.function, packet.arguments, self._asked)
            return packet.method, packet.answer(value)
        except SentAlready as error:
            loop.call_soon_threadsafe(self._ask_again_later, error.task_id, error.offset)
        except PacketIgnored as error:
            self._ignored(str(error))
        except (MusicTasksError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            self._ignored(f"{type(error).__name__} {shown(str(error))}")
        except Exception:
            _log.exception("a function of MusicDB's WebSocket failed")
        return "call", None

    def _ask_again_later(self, task_id: str, offset: int) -> None:
        """Unless more bytes come: the client may have left a request unanswered before."""
        again = asyncio.create_task(self._ask_again(task_id, offset))
        self._asking.add(again)
        again.add_done_callback(self._asking.discard)

    async def _ask_again(self, task_id: str, offset: int) -> None:
        await asyncio.sleep(_ASK_AGAIN_S)
        functions = self.hub.functions
        await to_thread.run_sync(functions.ask_again, task_id, offset, self._asked)

    def _ignored(self, why: str) -> None:
        self._ignored_packets += 1
        if self._ignored_packets <= _LOGGED:
            _log.warning("a packet on MusicDB's WebSocket from %s is ignored: %s", self._name, why)
        elif self._ignored_packets == _LOGGED + 1:
            _log.warning("what else is ignored of %s is not logged", self._name)

    @property
    def _name(self) -> str:
        client = self.socket.client
        return "a stranger" if client is None else shown(client.host)

    # -- what goes out ----------------------------------------------------------------------

    async def _notify(self) -> None:
        await self._trusted.wait()
        async for batch in self.hub.door.feed.events(self._since):
            if batch is None:
                raise _Ended(_TOO_SLOW)
            for event in batch:
                if event.name == CHUNK_REQUEST:
                    status = event.status
                    if status["taskid"] is not None:
                        self._asked.put(status["taskid"], status["offset"] or 0)
                for packet in await self.hub.notices.packets(event):
                    await self._send(packet)

    def put(self, packet: str) -> None:
        """Something that all clients get; who lets too much of it wait is let go."""
        if not self._trusted.is_set() or self._waiting_bytes > self._bound:
            return
        self._waiting.append(packet)
        self._waiting_bytes += len(packet)
        self._wake.set()

    @property
    def _bound(self) -> int:
        return 2 * self.hub.door.settings.packet_bytes

    async def _pass_on(self) -> None:
        while True:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
            if self._waiting_bytes > self._bound:  # from here on, something was lost
                raise _Ended(_TOO_SLOW)
            packet = self._waiting.popleft()
            await self._send(packet)
            self._waiting_bytes -= len(packet)

    async def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            rest_s = self._sent_s + _HEARTBEAT_S - loop.time()
            if rest_s > 0:
                await asyncio.sleep(rest_s)
            else:
                await self._send(_HEARTBEAT)

    async def _send(self, packet: str) -> None:
        async with self._sending:
            try:
                async with asyncio.timeout(self.hub.door.settings.body_pause_s):
                    await self._unless_gone(self.socket.send_text(packet))
            except TimeoutError:
                raise _Ended(_TOO_SLOW) from None
            self._sent_s = asyncio.get_running_loop().time()


def _reasons(ended: BaseExceptionGroup[Any]) -> list[tuple[int, str]]:
    return [e.why for e in ended.exceptions if isinstance(e, _Ended) and e.why is not None]
