"""Connections: only so many, none on which no request comes, and none that is cut off unheard."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from attrs import define, field
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .parsing import BoundedRequests
from .reads import Reads

#: So long a client that was answered in the middle of its body has for reading that.
LINGER_S = 2.0
#: So much more it may send meanwhile; then it is read from no more.
LINGER_BYTES = 4 * 1024 * 1024


class _Connection(socket.socket):
    """A connection that was taken; tells its listener when it is closed."""

    on_close: Callable[[_Connection], None] | None = None
    #: Ends it, unless the server has it by then.
    deadline: asyncio.TimerHandle | None = None

    def close(self) -> None:
        on_close, self.on_close = self.on_close, None
        if on_close is not None:
            on_close(self)
        super().close()


class Listener(socket.socket):
    """A socket that takes only so many connections at once, those in a handshake of TLS, too.

    Each of them is a file descriptor, which the engine would lack for its files, and needs no
    token. One more is closed at once.
    """

    #: The most connections.
    most: int = 1
    #: Seconds until a connection has to be the server's: the handshake of TLS is before it.
    handshake_s: float = 60.0

    def __init__(self, listening: socket.socket, most: int, handshake_s: float) -> None:
        """Takes the place of `listening`."""
        super().__init__(fileno=listening.detach())
        self.most, self.handshake_s = most, handshake_s
        self._open: dict[int, _Connection] = {}

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection; called in the event loop.

        Raises:
            ConnectionAbortedError: There are too many.
        """
        taken, address = super().accept()
        connection = _Connection(taken.family, taken.type, taken.proto, taken.detach())
        if len(self._open) >= self.most:
            connection.close()
            raise ConnectionAbortedError("there are too many connections")
        self._open[connection.fileno()] = connection
        connection.on_close = self._forget
        loop = asyncio.get_running_loop()
        connection.deadline = loop.call_later(self.handshake_s, _end, connection)
        return connection, address

    def established(self, fd: int) -> None:
        """The server has the connection with this file descriptor."""
        _end_deadline(self._open.get(fd))

    @property
    def is_used(self) -> bool:
        """Whether a connection is open, or in a handshake of TLS."""
        return bool(self._open)

    def end_pending(self) -> None:
        """Ends the connections that are not yet the server's."""
        for connection in list(self._open.values()):
            if connection.deadline is not None:
                _end(connection)

    def _forget(self, connection: _Connection) -> None:
        self._open.pop(connection.fileno(), None)
        _end_deadline(connection)


def _end(connection: _Connection) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it has ended by itself


def _end_deadline(connection: _Connection | None) -> None:
    if connection is not None and connection.deadline is not None:
        connection.deadline.cancel()
        connection.deadline = None


def watched(pause_s: float, established: Callable[[int], None]) -> type[asyncio.Protocol]:
    """The protocol of a server.

    Args:
        pause_s: So long the head of a request may take, from its connection or its first byte on.
        established: Called with the file descriptor of each connection.
    """

    class WatchedConnection(BoundedRequests):
        _deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            self.lingering: Any = _Lingering(transport, self)
            super().connection_made(self.lingering)
            self.flow = _Flow(self.lingering)
            if transport.get_extra_info("sslcontext") is None:  # else the system counts other bytes
                self.reads = Reads(transport)
            established(transport.get_extra_info("socket").fileno())
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            self._end_watch()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self.transport.is_closing():
                self.lingering.discard(len(data))
                return
            super().data_received(data)
            self._watch()

        @property
        def is_busy(self) -> bool:
            """A request is under way, or its answer is."""
            unsent = self.transport.get_write_buffer_size() > 0
            return not self._is_idle or unsent or self.lingering.lingers

        def cut_off(self) -> None:
            """Ends an answer that has begun, where it is; who writes it is told nothing."""
            running = self._running
            if running is not None and running.response_started and not running.response_complete:
                running.disconnected = True
                self.transport.abort()

        @property
        def _is_idle(self) -> bool:
            return self.cycle is None or self.cycle.response_complete

        def _watch(self) -> None:
            if not self._is_idle or self.transport.get_protocol() is not self:
                self._end_watch()
            elif self._deadline is None:
                self._deadline = self.loop.call_later(pause_s, self.transport.abort)

        def _end_watch(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

    return WatchedConnection


class _Flow(FlowControl):
    """Lets one more read come before the client has to wait.

    Each read is more than uvicorn keeps: the application mostly has it before the next, and to
    stop and go on each time would cost as much as to parse it.
    """

    _is_asked = False

    def pause_reading(self) -> None:
        if self._is_asked:
            super().pause_reading()
        self._is_asked = True

    def resume_reading(self) -> None:
        self._is_asked = False
        super().resume_reading()


@define(eq=False)
class _Lingering:
    """A transport that is closed only when the client has had time to read its answer.

    Where bytes are unread, closing a socket resets the connection: a client that still sends, or
    the proxy in its place, meets an error instead of the answer.
    """

    _transport: Any
    _protocol: HttpToolsProtocol
    #: The client has its time.
    lingers: bool = field(default=False, init=False)
    _left: int = field(default=LINGER_BYTES, init=False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        return self.lingers or self._transport.is_closing()

    def close(self) -> None:
        if self._transport.is_closing():
            return  # a second time, asyncio forgets what else could end a connection by TLS
        is_ours = self._transport.get_protocol() is self._protocol
        cycle = self._protocol.cycle
        is_sending = cycle is not None and cycle.more_body
        if self.lingers or not (is_ours and is_sending):
            self._transport.close()
            return
        self.lingers = True
        self._transport.resume_reading()
        if self._transport.can_write_eof():
            with suppress(OSError):  # the client has gone
                self._transport.write_eof()
        asyncio.get_running_loop().call_later(LINGER_S, self.close)

    def discard(self, size: int) -> None:
        """Takes so many bytes that nobody wants; a client that cannot send more looks up."""
        self._left -= size
        if self._left < 0:
            self._transport.pause_reading()
