"""Bodies that come past the parser arrive as they do through it, whatever is around them."""

from __future__ import annotations

import asyncio
import queue
import random
import re
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha1
from typing import Any

import pytest
import uvicorn
from musictasks.server import parsing
from musictasks.server.connections import watched
from musictasks.server.parsing import BoundedRequests
from rawhttp import chunked

#: Through the parser, and past it from the first byte on that comes in another read.
THROUGH, PAST = 1 << 60, 1


#: What came of bodies whose connection ended before them.
cut: queue.Queue[int] = queue.Queue()
servers: list[uvicorn.Server] = []


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with what was asked; of `/early` before the body has come, of `/half` when half of it
    has, of `/gone` when its client has gone.
    """
    path, headers = scope["path"], dict(scope["headers"])
    most = int(headers.get(b"content-length", 0)) // 2 if path == "/half" else sys.maxsize
    while path == "/gone" and servers[-1].server_state.connections:
        await asyncio.sleep(0.01)
    hashed, size, messages, more = sha1(), 0, 0, path != "/early"
    while more and size < most:
        message = await receive()
        if message["type"] == "http.disconnect":
            cut.put(size)
            return
        more = message["more_body"]
        hashed.update(message["body"])
        size += len(message["body"])
        messages += 1
    said = f"{scope['method']} {path} {size} {hashed.hexdigest()};".encode()
    said += f" {messages} messages".encode() if path == "/messages" else b""
    headers = [(b"content-length", str(len(said)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": said})


@pytest.fixture(
    scope="module",
    params=[BoundedRequests, watched(60, lambda fd: None)],
    ids=["read-as-it-comes", "collected"],
)
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    listening = socket.create_server(("127.0.0.1", 0))
    options: Any = {"http": request.param, "lifespan": "off", "log_config": None}
    server = uvicorn.Server(uvicorn.Config(echo, **options))
    servers.append(server)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])))
    thread.start()
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


def request(path: str, body: bytes, *headers: str, in_chunks: bool = False) -> bytes:
    length = "Transfer-Encoding: chunked" if in_chunks else f"Content-Length: {len(body)}"
    lines = [f"POST {path} HTTP/1.1", "Host: x", length, *headers, "", ""]
    middle = len(body) // 2
    sent = chunked(body[:middle], body[middle:]) if in_chunks else body
    return "\r\n".join(lines).encode() + sent


def answers(port: int, sent: bytes, cuts: list[int]) -> bytes:
    """All that comes back to bytes that are sent in pieces, without the date.

    The last request has to end the connection.
    """
    with closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def send() -> None:
            for begin, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
                connection.sendall(sent[begin:end])

        sending = threading.Thread(target=send)
        sending.start()
        came = b""
        while piece := connection.recv(65536):
            came += piece
        sending.join(20)
    return b"\n".join(one for one in came.split(b"\r\n") if not one.lower().startswith(b"date"))


END = request("/end", b"", "Connection: close")


def conversation(seed: int) -> tuple[bytes, list[int], int]:
    """Requests one after the other, where they are cut, and how many there are."""
    chosen = random.Random(seed)
    sizes = [0, 1, 2, 100, 70_000, 400_000]
    requests = [
        request(
            f"/{number}",
            chosen.randbytes(chosen.choice(sizes)),
            *chosen.sample(["X-Some: header", "Connection: keep-alive"], chosen.randint(0, 2)),
            in_chunks=chosen.random() < 0.2,
        )
        for number in range(chosen.randint(1, 6))
    ]
    sent = b"".join([*requests, END])
    return sent, sorted(chosen.sample(range(len(sent)), chosen.randint(0, 8))), len(requests) + 1


@pytest.mark.parametrize("seed", range(40))
def test_past_the_parser_is_as_through_it(port: int, seed: int, monkeypatch: pytest.MonkeyPatch):
    sent, cuts, number = conversation(seed)
    monkeypatch.setattr(parsing, "UNPARSED_BYTES", THROUGH)
    through = answers(port, sent, cuts)
    monkeypatch.setattr(parsing, "UNPARSED_BYTES", PAST)
    assert answers(port, sent, cuts) == through
    assert through.count(b"HTTP/1.1 200 OK") == number


@pytest.mark.parametrize("unparsed_bytes", [THROUGH, PAST])
@pytest.mark.parametrize("last", ["Connection: close", "Upgrade: nothing"])
def test_what_a_head_says_of_the_connection_counts(
    port: int, last: str, unparsed_bytes: int, monkeypatch: pytest.MonkeyPatch
):
    """After `Connection: close` nothing is asked any more; an unknown upgrade is none."""
    monkeypatch.setattr(parsing, "UNPARSED_BYTES", unparsed_bytes)
    body = bytes(200_000)
    sent = request("/a", body, last) + request("/b", b"abc") + END
    # All that is behind the body comes with its end: to close on unread bytes would be a reset.
    came = answers(port, sent, [100_000, 199_000])
    assert f"POST /a {len(body)} {sha1(body).hexdigest()};".encode() in came
    assert (b"POST /b" in came) is (last != "Connection: close")


@pytest.mark.parametrize("unparsed_bytes", [THROUGH, PAST])
def test_a_body_that_nobody_waits_for_is_passed_over(
    port: int, unparsed_bytes: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(parsing, "UNPARSED_BYTES", unparsed_bytes)
    sent = request("/early", bytes(300_000)) + request("/next", b"abc") + END
    came = answers(port, sent, [1000, 150_000, 300_000])
    assert b"POST /early 0 " in came
    assert f"POST /next 3 {sha1(b'abc').hexdigest()};".encode() in came


def test_garbage_behind_a_body_is_refused(port: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(parsing, "UNPARSED_BYTES", PAST)
    came = answers(port, request("/a", bytes(100_000)) + b"no request\r\n\r\n", [50_000, 99_900])
    assert b"POST /a 100000 " in came
    assert b"HTTP/1.1 400 Bad Request" in came


def test_chunks_of_a_byte_are_joined(port: int):
    """Each would take as much of the event loop's time as a piece of a MiB."""
    chunks = chunked(*[b"x"] * 20_000)
    lines = ["POST /messages HTTP/1.1", "Host: x", "Transfer-Encoding: chunked", "", ""]
    came = answers(port, "\r\n".join(lines).encode() + chunks + END, [])
    assert f"POST /messages 20000 {sha1(b'x' * 20_000).hexdigest()};".encode() in came
    match = re.search(rb"; (\d+) messages", came)
    assert match is not None
    assert int(match[1]) < 1000


@pytest.fixture
def half(port: int) -> Iterator[socket.socket]:
    """A connection whose client sends no more than half of a body."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as connection:
        yield connection


def send_half(connection: socket.socket, path: str, size: int) -> None:
    connection.sendall(request(path, bytes(2 * size))[:-size])


def test_what_comes_slowly_does_not_wait_for_the_rest(half: socket.socket):
    send_half(half, "/half", 700_000)  # more than comes with the first read
    assert half.recv(15, socket.MSG_WAITALL) == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize(("path", "size"), [("/cut", 700_000), ("/gone", 10_000)])
def test_what_came_before_a_cut_is_passed_on(half: socket.socket, path: str, size: int):
    """Also to an application that takes it only after the cut."""
    send_half(half, path, size)
    half.close()
    assert cut.get(timeout=20) == size
