"""A relay between a client and a server: slow, and to be cut at any moment."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

from attrs import define, field

_PIECE_BYTES = 16 * 1024


@define(eq=False)
class Relay:
    """Forwards TCP connections to a port of this machine."""

    target_port: int
    #: Towards the server, of each connection; None: as fast as it goes.
    bytes_per_s: float | None = None
    #: The answer to the first request that begins so is lost, and the connection with it.
    lose_answer_to: bytes | None = None
    #: So many were lost.
    lost: int = 0
    #: Nothing more comes from the server, and no connection ends: a line that has gone silent.
    is_silent: bool = False
    #: Nobody gets through: new connections are closed at once.
    is_cut: bool = False
    _listener: socket.socket = field(init=False)
    #: The connections to the server on which an answer gets lost.
    _losing: set[socket.socket] = field(factory=set, init=False)
    _open: set[socket.socket] = field(factory=set, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def __attrs_post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def cut(self) -> None:
        """Ends all connections, and lets no new one through until `mend`."""
        self.is_cut = True
        with self._lock:
            connections, self._open = self._open, set()
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def mend(self) -> None:
        self.is_cut = False

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                if self.is_cut:
                    raise ConnectionRefusedError
                server = socket.create_connection(("127.0.0.1", self.target_port))
            except OSError:
                client.close()
                continue
            with self._lock:
                self._open |= {client, server}
            for one, other, slow in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pump, args=(one, other, slow), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, slow: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(_PIECE_BYTES):
                if slow and self.lose_answer_to and piece.startswith(self.lose_answer_to):
                    self.lose_answer_to = None
                    self._losing.add(sink)
                if not slow and source in self._losing:
                    self.lost += 1
                    break
                while not slow and self.is_silent and not self.is_cut:
                    time.sleep(0.01)
                sink.sendall(piece)
                if slow and self.bytes_per_s:
                    time.sleep(len(piece) / self.bytes_per_s)
        for connection in (source, sink):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        with self._lock:
            self._open -= {source, sink}


@contextlib.contextmanager
def relay(target_port: int, bytes_per_s: float | None = None) -> Iterator[Relay]:
    made = Relay(target_port, bytes_per_s)
    try:
        yield made
    finally:
        made.close()
