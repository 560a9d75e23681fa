"""Requests as they come in: httptools parses them, and what it leaves open is bounded here."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from attrs import define, field
from httptools import HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from .reads import Reads

#: The head of a request may be so large; of tus it holds the tags of a song, lyrics among them.
HEAD_BYTES = 64 * 1024
#: For so many bytes each header counts besides: in memory even an empty one takes more than that.
HEADER_BYTES = 32
#: So many requests a client may send before the first of them is answered.
PIPELINED = 100
#: The heads of all that wait may together be so large.
WAITING_BYTES = 4 * HEAD_BYTES
#: Pieces of a body that wait are joined up to so many bytes: chunks may be of one byte each.
JOINED_BYTES = 64 * 1024
#: Where so much of a body is still to come, it is not parsed.
UNPARSED_BYTES = 64 * 1024


class BoundedRequests(HttpToolsProtocol):
    """Requests whose heads are bounded; by itself the parser takes in whatever comes.

    What is too much raises ValueError inside the parser, which the server answers by 400.
    """

    #: A head has begun, and is not over.
    _in_head = False
    #: Bytes of the request line and of the headers, trailers among them.
    _head_bytes = 0
    #: The parser has made something of this read.
    _has_moved = False
    #: Bytes since then, which it keeps until there is something to make of them.
    _kept_bytes = 0
    #: What is said to a request that is none, before the connection is closed.
    _refusal: str | None = None
    #: The request that the application has; later ones wait for its answer.
    _running: RequestResponseCycle | None = None
    #: The body of the request that came last.
    _arriving: _Arriving | None = None
    #: Bytes that are missing of a body whose length is known.
    _missing_bytes = 0
    #: The rest of this body comes past the parser, which would copy it.
    _is_unparsed = False
    #: Is told how much is still to come; None: whatever is there is read.
    reads: Reads | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._begin_parsing()
        #: The sizes of the heads that are in `pipeline`, in its order.
        self._waiting: deque[int] = deque()

    def connection_lost(self, exc: Exception | None) -> None:
        running = self._running
        if running is not None and not running.response_complete:
            # Uvicorn tells the last request only, which may be one that waits.
            running.disconnected = True
            running.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None:
            return
        if self._is_unparsed:
            data = self._take_body(data)
        if data:
            self._parse(data)
        if self.reads is not None:
            self.reads.expect(self._missing_bytes if self._is_unparsed else 0)

    def _parse(self, data: bytes) -> None:
        self._has_moved = False
        super().data_received(data)
        self._kept_bytes = 0 if self._has_moved else self._kept_bytes + len(data)
        if self._kept_bytes > HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")
        if self._missing_bytes >= UNPARSED_BYTES and self.parser is not None:
            # After a request with `Connection: close` the parser takes in whatever comes: a new one
            # would find a request there.
            self._is_unparsed = self.parser.should_keep_alive()

    def _take_body(self, data: bytes) -> bytes:
        """Passes on what belongs to the body; the rest is the next request's."""
        self._unset_keepalive_if_required()
        rest = data[self._missing_bytes :]
        self.on_body(data[: self._missing_bytes] if rest else data)
        if not self._missing_bytes:
            self._is_unparsed = False
            self._begin_parsing()
            self.on_message_complete()
        return rest

    def _begin_parsing(self) -> None:
        self.parser = _Parser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it

    def send_400_response(self, msg: str) -> None:
        self._refusal = msg
        self._refuse()

    def _refuse(self) -> None:
        """Ends the connection, once all that was asked before has its answer."""
        cycle = self.cycle
        is_answered = cycle is None or cycle.response_complete
        if self._refusal is None or self.pipeline or not (is_answered or cycle.more_body):
            return
        if not is_answered:  # it is this one's body: whoever reads it hears of no more
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:  # a second answer would be in the middle of the first
                self.transport.close()
                return
        super().send_400_response(self._refusal)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        while len(self._waiting) > len(self.pipeline):
            self._waiting.pop()
        if not self.transport.is_closing():
            self._refuse()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + HEADER_BYTES)
        if self._in_head:  # a trailer would change the head of a request that is under way
            super().on_header(name, value)

    def _count(self, size: int) -> None:
        self._has_moved = True
        self._head_bytes += size
        if self._head_bytes > HEAD_BYTES:
            raise ValueError(f"a head of more than {HEAD_BYTES} bytes")

    def on_headers_complete(self) -> None:
        self._in_head = False
        if len(self.pipeline) >= PIPELINED:
            raise ValueError(f"more than {PIPELINED} requests at once")
        if sum(self._waiting) + self._head_bytes > WAITING_BYTES:
            raise ValueError(f"heads of more than {WAITING_BYTES} bytes at once")
        if self.parser.should_upgrade():
            self._check_upgrade()
            if not self._should_upgrade():
                return  # it comes again as a request without an upgrade
        super().on_headers_complete()
        if not self.parser.should_upgrade():
            self._arriving = _Arriving.of(self.cycle)
        lengths = [value for name, value in self.headers if name == b"content-length"]
        self._missing_bytes = int(lengths[0]) if lengths else 0  # the parser has checked it
        if len(self.pipeline) > len(self._waiting):
            self._waiting.appendleft(self._head_bytes)

    def _check_upgrade(self) -> None:
        if self.parser.get_method() == b"CONNECT":
            raise ValueError("this is no proxy")
        is_answered = self.cycle is None or self.cycle.response_complete
        if self._should_upgrade() and not is_answered:
            raise ValueError("the answers to earlier requests would be sent into the WebSocket")

    def on_message_complete(self) -> None:
        self._missing_bytes = 0
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def head_without_upgrade(self) -> bytes:
        """The head that came last, but without its header Upgrade."""
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        lines += [b"%s: %s" % one for one in self.headers if one[0] != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def handle_websocket_upgrade(self) -> None:
        super().handle_websocket_upgrade()
        protocol: Any = self.transport.get_protocol()
        if not protocol.handshake_initiated:
            # It cannot read this head, and would keep the connection for ever, without a word.
            self.connections.discard(protocol)
            self.connections.add(self)
            self.transport.set_protocol(self)
            self.send_400_response("Invalid WebSocket request received.")

    def on_body(self, body: bytes) -> None:
        self._has_moved = True
        self._missing_bytes -= len(body)
        arriving = self._arriving
        if arriving is None or arriving.is_unwanted:
            return
        arriving.append(body)
        is_whole = self._is_unparsed and not self._missing_bytes
        if arriving.size > HIGH_WATER_LIMIT and not is_whole:
            self.flow.pause_reading()


@define(eq=False)
class _Arriving:
    """The body of a request, for its application: in the pieces in which it came.

    Uvicorn joins all that waits, and copies it twice for that.
    """

    _cycle: RequestResponseCycle
    #: Of uvicorn: waits until there is more, or the connection has ended.
    _wait: Callable[[], Awaitable[Any]]
    #: Bytes that wait.
    size: int = field(default=0, init=False)
    _pieces: deque[bytes | bytearray] = field(factory=deque, init=False)

    @classmethod
    def of(cls, cycle: Any) -> _Arriving:
        """Takes the place of what the request would receive else."""
        arriving = cls(cycle, cycle.receive)
        cycle.receive = arriving.receive
        return arriving

    @property
    def is_unwanted(self) -> bool:
        """The request is answered already."""
        return self._cycle.response_complete

    def append(self, piece: bytes) -> None:
        last = self._pieces[-1] if self._pieces else None
        if last is None or len(last) + len(piece) > JOINED_BYTES:
            self._pieces.append(piece)
        elif isinstance(last, bytearray):
            last += piece
        else:
            self._pieces[-1] = bytearray(last) + piece
        self.size += len(piece)
        self._cycle.message_event.set()

    async def receive(self) -> Any:
        cycle = self._cycle
        # What came before the connection ended still counts.
        if not self._pieces or self.is_unwanted:
            message = await self._wait()
            if message["type"] != "http.request":
                return message
        piece = self._pieces.popleft() if self._pieces else b""
        self.size -= len(piece)
        if not self._pieces:
            cycle.message_event.clear()
        more = cycle.more_body or bool(self._pieces)
        return {"type": "http.request", "body": bytes(piece), "more_body": more}


class _Parser(HttpRequestParser):
    """A parser to which an upgrade that its protocol does not know is no upgrade.

    By itself it stops after the head of one: its body would be taken for the next request.
    """

    _protocol: BoundedRequests

    def __init__(self, protocol: BoundedRequests) -> None:
        super().__init__(protocol)
        self._protocol = protocol

    def feed_data(self, data: Any) -> None:
        while True:
            try:
                super().feed_data(data)
            except HttpParserUpgrade as upgrade:
                if self._protocol._should_upgrade():
                    raise
                data = self._protocol.head_without_upgrade() + data[upgrade.args[0] :]
            else:
                return
