"""A server that stops: who is cut off is told, and nobody else is waited for."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from musictasks.server import serving as server
from rawhttp import BODY_TYPE, TUS, Connection, Tus, head
from serverkit import TOKEN, Served, make_certificate, served_library, wait_until

SIZE = 5_000_000
ASKED = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests under way have little time."""
    monkeypatch.setattr(server, "GRACE_S", 0.2)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests under way have more time than the test."""
    monkeypatch.setattr(server, "GRACE_S", 600)


@contextmanager
def uploading(served: Served, headers: dict[str, Any], body: bytes) -> Iterator[Connection]:
    """A connection with an upload of which this much has come."""
    said = {**TUS, "Upload-Length": SIZE, "Content-Type": BODY_TYPE, **headers}
    with Tus(served.port).connection() as connection:
        connection.send(head("POST", "/uploads/", said, SIZE) + body)
        yield connection


def is_under_way(served: Served) -> bool:
    return bool(served.engine.tasks())


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("headers", "body"),
    [({}, b"x" * 100_000), ({"Expect": "100-continue"}, b"")],
    ids=["in the middle", "before its body"],
)
def test_an_upload_that_is_cut_off_is_answered(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    headers: dict[str, str],
    body: bytes,
):
    """With the reason, as all errors are; the log has one line."""
    with ExitStack() as serving:
        served = serving.enter_context(served_library(tmp_path))
        with uploading(served, headers, body) as connection:
            wait_until(lambda: is_under_way(served))
            if headers:
                assert connection.answer().status == 100
            serving.close()
            answer = connection.answer()
            assert connection.at_end()
    assert answer.status == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(answer.body)["type"] == "ServerStops"
    assert int(answer.headers["retry-after"]) > 0
    assert answer.headers["connection"] == "close"
    assert answer.headers["tus-resumable"] == "1.0.0"
    assert answer.headers["x-frame-options"] == "DENY"
    assert warnings(caplog) == ["1 requests were cut off, as the server stops"]
    assert "Traceback" not in caplog.text


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelname != "INFO"]


@pytest.mark.usefixtures("impatient")
def test_an_answer_that_has_begun_is_cut_off(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """It ends where it is, with no other answer in its middle."""
    with ExitStack() as serving, small_connection() as slow:
        served = serving.enter_context(served_library(tmp_path))
        slow.connect(("127.0.0.1", served.port))
        slow.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert slow.recv(15, socket.MSG_WAITALL) == b"HTTP/1.1 200 OK"
        fill(served)
        serving.close()
        seen = b""
        while piece := received(slow):
            seen += piece
    assert seen
    assert b"HTTP/1.1" not in seen
    assert not seen.endswith(b"\r\n0\r\n\r\n")
    assert warnings(caplog) == ["1 requests were cut off, as the server stops"]
    assert "Traceback" not in caplog.text


def fill(served: Served) -> None:
    """More events than fit on the way to a client that reads nothing; another reads them all."""
    with served.client() as client, client.stream("GET", "/api/events") as stream:
        pieces = stream.iter_bytes()
        assert next(pieces)
        for number in range(200):
            served.engine.notify("StateUpdate", None, f"<{number}>" + "x" * 100_000)
        last = b""
        while b"<199>" not in last:
            last = last[-10:] + next(pieces)


def small_connection() -> socket.socket:
    """A socket whose client reads little of what it is sent."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.settimeout(20)
    return made


def received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except ConnectionResetError:
        return b""


@pytest.mark.usefixtures("impatient")
def test_a_refusal_whose_body_still_comes_is_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """Its client has the answer, and is waited for no longer than others."""
    with ExitStack() as serving:
        served = serving.enter_context(served_library(tmp_path, token=TOKEN))
        with Tus(served.port).connection() as connection:
            connection.send(head("POST", "/uploads/", TUS, SIZE) + b"x" * 1000)
            assert connection.answer().status == 401
            serving.close()
    assert warnings(caplog) == ["1 requests were cut off, as the server stops"]
    assert "Traceback" not in caplog.text


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls") / "cert.pem")


def by_tls(served: Served, certificate: Path) -> ssl.SSLSocket:
    """A connection that says no word of its own, also none when the server closes it."""
    context = ssl.create_default_context(cafile=certificate)
    raw = socket.create_connection(("127.0.0.1", served.port), timeout=20)
    return context.wrap_socket(raw, server_hostname="localhost")


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize(
    ("sent", "said"),
    [(ASKED, b"HTTP/1.1 200 OK"), (ASKED[:10], b""), (b"?\r\n\r\n", b"HTTP/1.1 400 Ba")],
    ids=["idle", "half a head", "refused"],
)
def test_a_client_of_tls_that_does_not_close_is_not_waited_for(
    tmp_path: Path, certificate: Path, caplog: pytest.LogCaptureFixture, sent: bytes, said: bytes
):
    with ExitStack() as serving:
        served = serving.enter_context(served_library(tmp_path, certificate=certificate))
        with by_tls(served, certificate) as quiet:
            quiet.sendall(sent)
            if said:
                assert quiet.recv(len(said)) == said
            caplog.clear()
            serving.close()
    assert warnings(caplog) == []


@pytest.mark.usefixtures("patient")
def test_a_websocket_that_reads_nothing_is_not_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    with ExitStack() as serving, small_connection() as deaf:
        served = serving.enter_context(served_library(tmp_path))
        deaf.connect(("127.0.0.1", served.port))
        deaf.sendall(head("GET", "/musicdb", UPGRADE, None))
        assert deaf.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 101"
        fill(served)
        serving.close()
    assert warnings(caplog) == []


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("by_tls", [False, True])
def test_who_came_right_before_the_stop_is_not_left_open(
    tmp_path: Path,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    by_tls: bool,
):
    """Their connections were taken in the same turn of the event loop."""
    unclosed, clients = [], []
    monkeypatch.setattr(sys, "unraisablehook", lambda found: unclosed.append(found.exc_value))
    shut_down = server.DoorServer.shutdown

    async def shut_down_then(self: server.DoorServer, sockets: Any = None) -> None:
        address = sockets[0].getsockname()
        clients.extend(socket.create_connection(address, timeout=20) for _ in range(5))
        for _ in range(2):  # until they are taken, and nothing else is done
            await asyncio.sleep(0)
        await shut_down(self, sockets)

    monkeypatch.setattr(server.DoorServer, "shutdown", shut_down_then)
    with served_library(tmp_path, certificate=certificate if by_tls else None):
        pass
    gc.collect()
    for client in clients:
        with client:
            assert received(client) == b""
    assert unclosed == []
    assert warnings(caplog) == []


@pytest.mark.usefixtures("patient")
def test_an_upload_under_way_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """While the server stops, and as long as it has time."""
    with ExitStack() as serving:
        served = serving.enter_context(served_library(tmp_path))
        with uploading(served, {}, b"x" * 100_000) as connection:
            wait_until(lambda: is_under_way(served))
            stopping = threading.Thread(target=serving.close)
            stopping.start()
            wait_until(lambda: is_refused(served.port))
            connection.send(b"x" * (SIZE - 100_000))
            assert connection.answer().status == 201
            stopping.join()
    assert warnings(caplog) == []


def is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=20).close()
    except (ConnectionRefusedError, ConnectionResetError):  # it came right before the end
        return True
    return False
