"""Connections on which nothing happens: they need no token, so there are only so many."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from pathlib import Path

from serverkit import Served, served_library, wait_until


def opened(served: Served) -> socket.socket:
    return socket.create_connection(("127.0.0.1", served.port), timeout=10)


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_there_are_no_more_connections_than_allowed(tmp_path: Path):
    with served_library(tmp_path, connections=5) as served, ExitStack() as stack:
        first = [stack.enter_context(opened(served)) for _ in range(5)]
        first[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert first[0].recv(15, socket.MSG_WAITALL) == b"HTTP/1.1 200 OK"
        with opened(served) as sixth:
            assert is_closed(sixth)
        first.pop().close()

        def has_room() -> bool:
            with opened(served) as connection:
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                return connection.recv(15) == b"HTTP/1.1 200 OK"

        wait_until(has_room)


def test_a_connection_without_a_request_ends(tmp_path: Path):
    with served_library(tmp_path, body_pause_s=0.5) as served, opened(served) as silent:
        assert is_closed(silent)


def test_a_head_that_trickles_in_ends(tmp_path: Path):
    """Also that of a second request; each byte is no reason to wait longer."""
    with served_library(tmp_path, body_pause_s=0.5) as served, opened(served) as slow:
        slow.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert slow.recv(15, socket.MSG_WAITALL) == b"HTTP/1.1 200 OK"
        until_s = time.monotonic() + 10
        try:
            while time.monotonic() < until_s:
                slow.sendall(b"G")
                time.sleep(0.1)
        except OSError:
            return
        raise AssertionError("it is still open")


def test_streams_and_websockets_may_be_quiet(tmp_path: Path):
    with served_library(tmp_path, body_pause_s=0.5) as served, opened(served) as stream:
        stream.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with opened(served) as other:
            other.sendall(
                b"GET /musicdb HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            )
            assert other.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 101"
            time.sleep(1.2)
            other.setblocking(False)
            other.recv(65536)
            time.sleep(1.2)
            assert other.recv(65536), "no heartbeat comes any more"
        stream.recv(65536)
        served.engine.begin_upload(content_type="albumfile", file_size=3)
        assert b"event: task" in stream.recv(65536)
