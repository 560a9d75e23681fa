"""A wire on which one byte is damaged: a client talks to a server through it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from attrs import define, field


@define(eq=False)
class DamagingWire:
    """Listens on a port of its own and passes on what comes, both ways, inside `with`."""

    server_port: int
    #: Of what clients send, this byte is damaged: the heads of their requests count, too.
    at: int
    #: How many bytes were damaged.
    damaged: int = field(default=0, init=False)
    _passed: int = field(default=0, init=False)
    _listener: socket.socket = field(init=False)
    _threads: list[threading.Thread] = field(factory=list, init=False)

    @property
    def port(self) -> int:
        return self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._begin(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def _begin(self, target: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.server_port))
                self._begin(self._pass_on, client, server, True)
                self._begin(self._pass_on, server, client, False)

    def _pass_on(self, source: socket.socket, target: socket.socket, damages: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(self._damage(data) if damages else data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        if not damages:
            source.close()
            target.close()

    def _damage(self, data: bytes) -> bytes:
        at, self._passed = self.at - self._passed, self._passed + len(data)
        if not 0 <= at < len(data):
            return data
        self.damaged += 1
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
