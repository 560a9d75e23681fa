"""Frames of WebSockets: what a client makes the server keep by them is bounded."""

from __future__ import annotations

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame

#: So many bytes of answers to pings are kept for a client that takes nothing of what it is sent.
PONG_BYTES = 64 * 1024
#: A message may come in so many frames; each takes memory, also an empty one.
FRAMES = 10_000


class BoundedFrames(WebSocketsSansIOProtocol):
    """A WebSocket whose client cannot fill the memory by pings, or by frames without bytes.

    Uvicorn answers each ping at once, also where the client reads no answers, and bounds a message
    by its bytes alone. Both methods replace uvicorn's own, which are no public interface.
    """

    #: What is under way when the server stops has been told so, and is not waited for.
    is_busy = False
    #: Bytes of answers to pings, since the client takes no more.
    _pong_bytes = 0

    def handle_ping(self) -> None:
        pongs = b"".join(self.conn.data_to_send())
        # Not whatever waits: a packet under way to a slow client may be larger than the bound.
        self._pong_bytes = 0 if self.writable.is_set() else self._pong_bytes + len(pongs)
        if self._pong_bytes > PONG_BYTES:
            self.transport.abort()
        else:
            self.transport.write(pongs)

    def cut_off(self) -> None:
        self.transport.abort()

    def handle_cont(self, event: Frame) -> None:
        if self.close_sent:
            return
        super().handle_cont(event)
        if len(self.frames) > FRAMES:
            self.frames = []
            self.conn.fail(CloseCode.MESSAGE_TOO_BIG, "too many frames")
            self.handle_parser_exception()
