"""Connections of HTTP: only so many, and none on which no request comes."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


def bounded(most: int, pause_s: float) -> type[asyncio.Protocol]:
    """The protocol of a server.

    Each connection is a file descriptor, which the engine would lack for its files, and needs no
    token.

    Args:
        most: So many connections, WebSockets too; one more is closed at once.
        pause_s: So long the head of a request may take, from its connection or its first byte on.
    """

    class BoundedConnection(H11Protocol):
        _deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > most:
                transport.abort()
            else:
                self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            self._end_watch()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def _watch(self) -> None:
            is_idle = self.cycle is None or self.cycle.response_complete
            if not is_idle or self.transport.get_protocol() is not self:
                self._end_watch()
            elif self._deadline is None:
                self._deadline = self.loop.call_later(pause_s, self.transport.abort)

        def _end_watch(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

    return BoundedConnection
