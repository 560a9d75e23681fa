"""How much is read from a connection at once: the system collects a body until it is worth it."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Any

from attrs import define, field

#: So many bytes of a body are read at once.
READ_BYTES = 1024 * 1024
#: Of a body that comes slowly what is there is read after so long.
PATIENCE_S = 0.25


@define(eq=False)
class Reads:
    """The reads of one connection; for its event loop.

    After each read the event loop has to get the interpreter lock back from the engine's threads,
    which takes longer than the read. So it is not told of bytes before there are many.
    """

    #: One of asyncio's own: only its size of a read can be set.
    _transport: Any
    _usual_bytes: int = field(init=False)
    #: So many bytes have to be there until the event loop is told (`SO_RCVLOWAT`).
    _least_bytes: int = field(default=1, init=False)
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._usual_bytes = self._transport.max_size

    def expect(self, size: int) -> None:
        """At least so many bytes will come, unless the connection ends; 0: nobody knows."""
        size = min(size, READ_BYTES)
        # Not more than there will be: memory that is taken for nothing is taken anew each time.
        self._transport.max_size = size or self._usual_bytes
        self._collect(size or 1)
        if size and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PATIENCE_S, self._be_told)

    def _be_told(self) -> None:
        self._timer = None
        self._collect(1)

    def _collect(self, least_bytes: int) -> None:
        if least_bytes != self._least_bytes:
            self._least_bytes = least_bytes
            with suppress(OSError):  # it is closed, or the system has no such option
                connection = self._transport.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, least_bytes)
