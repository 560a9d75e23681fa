"""WebSockets whose clients send frames that cost them nothing: what the server keeps is bounded."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from musictasks.music import MusicEngine
from musictasks.server.frames import FRAMES, PONG_BYTES, BoundedFrames
from serverkit import wait_until
from socketkit import Client, socket_of
from websockets.sync.client import connect

TOKEN = "correct horse battery staple"
#: Masked by zeros, as a client's frames have to be masked.
PING = b"\x89\xfd" + bytes(4) + b"x" * 125
TEXT_WITHOUT_END = b"\x01\x80" + bytes(4)
EMPTY = b"\x00\x80" + bytes(4)
LAST = b"\x80\x80" + bytes(4)


@pytest.fixture
def protocols(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The server's ends of the WebSockets that are made."""
    made: list[Any] = []

    def connection_made(self: BoundedFrames, transport: Any) -> None:
        made.append(self)
        super(BoundedFrames, self).connection_made(transport)

    monkeypatch.setattr(BoundedFrames, "connection_made", connection_made, raising=False)
    return made


def small(address: str) -> socket.socket:
    """A connection with a small buffer at its end."""
    host, _, port = address.split("/")[2].partition(":")
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.settimeout(20)
    made.connect((host, int(port)))
    return made


@contextmanager
def opened(address: str) -> Iterator[socket.socket]:
    """A WebSocket that reads no more than the answer to its head."""
    with small(address) as deaf:
        head = [
            "GET /musicdb HTTP/1.1",
            "Host: localhost",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
        ]
        deaf.sendall("\r\n".join([*head, "", ""]).encode())
        assert deaf.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 101"
        yield deaf


def test_pings_of_a_client_that_reads_nothing_end_the_connection(
    engine: MusicEngine, protocols: list[Any]
):
    """Without the token, and before many answers are kept for it."""
    with socket_of(engine, token=TOKEN, key_pause_s=60) as address:
        with opened(address) as deaf:
            kept = []
            with pytest.raises(OSError):  # noqa: PT011, PT012
                for _ in range(200):
                    deaf.sendall(PING * 2000)
                    kept.append(protocols[0].transport.get_write_buffer_size())
            assert max(kept) < 2 * 1024 * 1024
            wait_until(lambda: protocols[0].disconnected)
        with Client(address, TOKEN) as client:
            assert client.request("Bounce", {}) == {}


def test_pings_of_a_client_that_reads_are_answered(address: str):
    """However many there are."""
    with connect(address, compression=None) as connection:
        pings = [connection.ping() for _ in range(3000)]
        assert all(ping.wait(20) for ping in pings)


def test_a_ping_behind_a_large_packet_does_not_end_the_connection(
    engine: MusicEngine, protocols: list[Any]
):
    """A client that is slow to take a packet may ask whether the server is still there."""
    with (
        socket_of(engine) as address,
        small(address) as below,
        connect(address, sock=below, max_queue=1, max_size=None) as slow,
    ):
        text = "x" * 3_000_000
        for number in range(5):
            engine.notify("StateUpdate", None, f"{number}{text}")
        wait_until(lambda: protocols[0].transport.get_write_buffer_size() > PONG_BYTES)
        ping = slow.ping(b"there?")
        wait_until(lambda: protocols[0]._pong_bytes)
        seen = 0
        while seen < 5:
            seen += b"StateUpdate" in slow.recv(20, decode=False)
        assert ping.wait(20)


def test_a_message_of_too_many_frames_ends_the_connection(
    engine: MusicEngine, protocols: list[Any]
):
    """With the reason, and nothing of it is kept."""
    with socket_of(engine, token=TOKEN, key_pause_s=60) as address, Client(address) as client:
        with client.connection.socket.dup() as below:
            below.sendall(TEXT_WITHOUT_END + EMPTY * FRAMES)
        assert client.wait_until_closed() == 1009
        assert protocols[0].frames == []


def test_frames_without_end_end_the_connection(address: str, protocols: list[Any]):
    with opened(address) as below:
        below.sendall(TEXT_WITHOUT_END)
        with pytest.raises(OSError):  # noqa: PT011, PT012
            for _ in range(1000):
                below.sendall(EMPTY * FRAMES)
        wait_until(lambda: protocols[0].disconnected)
        assert len(protocols[0].frames) <= FRAMES


def test_as_many_frames_as_allowed_are_one_message(client: Client):
    """And the next one is counted anew."""
    for _ in range(2):
        with client.connection.socket.dup() as below:
            below.sendall(TEXT_WITHOUT_END + EMPTY * (FRAMES - 2) + LAST)
    assert client.request("Bounce", {"a": 1}) == {"a": 1}
