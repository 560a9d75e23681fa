"""Runs the door of an engine with uvicorn, in this process."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from os import PathLike
from types import FrameType
from typing import Any
from weakref import WeakSet

import uvicorn
from starlette.applications import Starlette

from ..engine import Engine
from ..uploads import Uploads
from .app import make_app
from .connections import Listener, watched
from .frames import BoundedFrames
from .settings import ServerSettings

_log = logging.getLogger(__name__)

#: So long requests under way may go on when the server stops.
GRACE_S = 5
#: And so long a connection on which nothing is under way, until the client has closed it, too.
QUIET_S = 0.5
#: So long a client has for reading that its request is cut off.
FAREWELL_S = 1


class DoorServer(uvicorn.Server):
    """A server of one app; it ends streams of events itself, which would otherwise never end.

    It stops at once, from when it calls `listening` on. Uvicorn looks ten times a second whether it
    shall, and then waits at least 0.1 s for its connections.
    """

    def __init__(
        self,
        app: Starlette,
        settings: ServerSettings,
        *,
        certificate: str | PathLike[str] | None = None,
        key: str | PathLike[str] | None = None,
        listening: Callable[[], object] | None = None,
    ) -> None:
        self._door = app.state.door
        self._listening = listening
        self._listeners: list[Listener] = []
        #: Those that know that the server stops.
        self._ending: WeakSet[Any] = WeakSet()
        self._wake: Callable[[], object] = int
        config = uvicorn.Config(
            app,
            http=watched(settings.body_pause_s, self._established),
            loop="asyncio",  # others take connections past the listener that counts them
            ws=BoundedFrames,
            ws_max_size=settings.packet_bytes,
            ws_per_message_deflate=False,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # the gate reads them, of proxies that are trusted
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
            ssl_certfile=certificate,
            ssl_keyfile=key,
        )
        try:
            config.load()
        except OSError as error:
            files = f"{certificate}{f' with the key {key}' if key else ''}"
            reason = error.strerror or error
            raise OSError(f"the certificate {files} cannot be used: {reason}") from error
        super().__init__(config)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._listeners = [one for one in sockets or () if isinstance(one, Listener)]
        await super().startup(sockets)
        if self._listening is not None:
            self._listening()

    def _established(self, fd: int) -> None:
        for listener in self._listeners:
            listener.established(fd)

    def stop(self) -> None:
        """Ends `run`, from any thread; requests under way have `GRACE_S`."""
        self.should_exit = True
        with suppress(RuntimeError):  # its loop has ended
            self._wake()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self.stop()

    async def main_loop(self) -> None:
        loop, woken = asyncio.get_running_loop(), asyncio.Event()
        self._wake = partial(loop.call_soon_threadsafe, woken.set)
        while not await self.on_tick(0):  # which makes the header `Date` anew, each second
            with suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), 1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._door.feed.close()
        for listener in self._listeners:
            asyncio.get_running_loop().remove_reader(listener.fileno())
        await asyncio.sleep(0)  # asyncio never closes a connection that it took, and has not set up
        for listening in (*self.servers, *(sockets or ())):
            listening.close()
        await self._wait(GRACE_S)
        if self._is_in_use():
            self._cut_off()
            await self._wait(FAREWELL_S)
            for connection in list(self.server_state.connections):
                connection.transport.abort()
            await self._wait(QUIET_S)

    def _is_in_use(self) -> bool:
        state = self.server_state
        return bool(state.connections or state.tasks or any(one.is_used for one in self._listeners))

    async def _wait(self, most_s: float) -> None:
        """Waits until all connections have ended, and ends those on which nothing is under way."""
        clock = asyncio.get_running_loop().time
        began_s = clock()
        quiet_since: dict[Any, float] = {}
        while self._is_in_use() and not self.force_exit and clock() < began_s + most_s:
            connection: Any
            for connection in list(self.server_state.connections):
                if connection not in self._ending:  # it may have been taken right before the stop
                    self._ending.add(connection)
                    connection.shutdown()
                if connection.is_busy:
                    quiet_since.pop(connection, None)
                elif clock() - quiet_since.setdefault(connection, clock()) > QUIET_S:
                    connection.transport.abort()
            if clock() > began_s + QUIET_S:  # who is in a handshake of TLS has asked for nothing
                for listener in self._listeners:
                    listener.end_pending()
            await asyncio.sleep(0.005)

    def _cut_off(self) -> None:
        """Answers that have begun end; the other requests are answered that the server stops."""
        tasks, connections = list(self.server_state.tasks), list[Any](self.server_state.connections)
        requests = max(len(tasks), sum(connection.is_busy for connection in connections))
        if requests:
            _log.warning("%d requests were cut off, as the server stops", requests)
        self._door.cut_off.set()
        for connection in connections:
            connection.cut_off()
        for task in tasks:
            task.cancel("the server stops")


def serve(
    engine: Engine[Any],
    settings: ServerSettings | None = None,
    *,
    uploads: Uploads | None = None,
    certificate: str | PathLike[str] | None = None,
    key: str | PathLike[str] | None = None,
    listening: Callable[[str], object] | None = None,
) -> None:
    """Serves an engine until SIGINT or SIGTERM; it is started and closed by the caller.

    Args:
        engine: The engine.
        settings: Where it listens, and who gets in.
        uploads: As for `make_app`.
        certificate: File with a certificate and its chain: then it speaks TLS.
        key: File with the key of the certificate, if that is another.
        listening: Called with the address, in the event loop, once connections are taken and the
            signals end it cleanly.

    Raises:
        OSError: The address cannot be listened on.
    """
    settings = settings or ServerSettings()
    app = make_app(engine, settings, uploads=uploads)
    with bound_socket(settings) as listener:
        said = address_of(listener, "https" if certificate else "http")
        started = None if listening is None else partial(listening, said)
        server = DoorServer(app, settings, certificate=certificate, key=key, listening=started)
        # Uvicorn stops cleanly and raises the signal again, which must not end the process: the
        # engine is still open.
        with suppress(KeyboardInterrupt), _terminates_as_interrupt():
            server.run(sockets=[listener])


@contextmanager
def _terminates_as_interrupt() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def bound_socket(settings: ServerSettings) -> Listener:
    """A socket that listens where the settings say, and takes so many connections as they say.

    Raises:
        OSError: It is in use, or no address of this machine.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=512)
    except OSError as error:
        where = f"{settings.host} port {settings.port}"
        raise OSError(f"{where} cannot be listened on: {error.strerror or error}") from error
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # Else a client that reads nothing keeps what it was sent, and its connection, for ever:
        # uvicorn waits for it even when it has closed the connection.
        pause_ms = int(settings.body_pause_s * 1000)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, pause_ms)
    return Listener(listener, settings.connections, settings.body_pause_s)


def address_of(listener: socket.socket, scheme: str = "http") -> str:
    """The URL of the page, as a browser on this machine reaches it.

    By the name of the machine it would be refused (421), unless that is a name of the server's.
    """
    host, port = listener.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        host = "::1" if listener.family == socket.AF_INET6 else "127.0.0.1"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/"
