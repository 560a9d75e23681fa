"""Connections on which nothing happens: they need no token, so there are only so many."""

from __future__ import annotations

import re
import select
import socket
import ssl
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from serverkit import Served, make_certificate, served_library, wait_until


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
            with opened(served) as connection, suppress(ConnectionResetError):
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                return connection.recv(15) == b"HTTP/1.1 200 OK"
            return False

        wait_until(has_room)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls") / "cert.pem")


def asked(served: Served, certificate: Path) -> bytes:
    """The beginning of an answer, by TLS."""
    context = ssl.create_default_context(cafile=certificate)
    with opened(served) as raw, context.wrap_socket(raw, server_hostname="localhost") as secure:
        secure.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return secure.recv(15)


def test_handshakes_of_tls_are_connections(tmp_path: Path, certificate: Path):
    """Who opens connections and says nothing takes up no more of them than allowed."""
    with (
        served_library(tmp_path, connections=5, certificate=certificate) as served,
        ExitStack() as stack,
    ):
        silent = [stack.enter_context(opened(served)) for _ in range(5)]
        with opened(served) as sixth:
            assert is_closed(sixth)
        silent.pop().close()

        def has_room() -> bool:
            try:
                return asked(served, certificate) == b"HTTP/1.1 200 OK"
            except OSError:
                return False

        wait_until(has_room)
        for _ in range(10):  # what has ended counts no more
            wait_until(has_room)


def test_a_handshake_of_tls_that_does_not_come_ends(tmp_path: Path, certificate: Path):
    """Also one that trickles; the others have their time for the head of a request, as ever."""
    with served_library(tmp_path, body_pause_s=0.5, certificate=certificate) as served:
        with opened(served) as silent:
            assert is_closed(silent)
        with opened(served) as slow:
            slow.sendall(b"\x16\x03\x01")
            assert is_closed(slow)
        assert asked(served, certificate) == b"HTTP/1.1 200 OK"


def test_a_connection_that_was_taken_may_go_on(tmp_path: Path, certificate: Path):
    """The time for the handshake is over when there was one."""
    context = ssl.create_default_context(cafile=certificate)
    with (
        served_library(tmp_path, body_pause_s=0.5, certificate=certificate) as served,
        opened(served) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as stream,
    ):
        stream.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(1.2)
        served.engine.begin_upload(content_type="albumfile", file_size=3)
        read = b""
        while b"event: task" not in read:
            piece = stream.recv(65536)
            assert piece, read
            read += piece


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


def test_who_is_answered_in_the_middle_of_a_body_may_send_on_and_hears_it(tmp_path: Path):
    """A reset would make a proxy say 502 in place of the answer."""
    with served_library(tmp_path, token="a-token-for-tests") as served, opened(served) as client:
        client.sendall(b"PATCH /uploads/x HTTP/1.1\r\nHost: localhost\r\n")
        client.sendall(b"Content-Length: 100000000\r\n\r\n")
        assert select.select([client], [], [], 10)[0], "it is not answered"
        for _ in range(20):
            client.sendall(bytes(100_000))
            time.sleep(0.01)  # a reset has arrived by now
        answer = b""
        while b"TokenMissing" not in answer:
            piece = client.recv(65536)
            assert piece, answer
            answer += piece
        assert answer.startswith(b"HTTP/1.1 401 ")


# -- what the parser would take in by itself ------------------------------------------------


GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


def read_to_end(connection: socket.socket) -> bytes:
    answer = b""
    with suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            answer += piece
    return answer


def statuses_of(answers: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d\d\d) ", answers)]


@pytest.mark.parametrize(
    "endless",
    [
        pytest.param([b"GET /", b"x" * 1000], id="target"),
        pytest.param([GET, b"X-Long: 1\r\n" * 100], id="headers"),
        pytest.param([GET + b"X-Long: ", b"x" * 1000], id="header"),
        pytest.param([GET + b"X", b"-" * 1000], id="name"),
        pytest.param([b"", b"\r\n" * 500], id="empty lines"),
        pytest.param(
            [GET + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-Long: 1\r\n" * 100],
            id="trailers",
        ),
        pytest.param(
            [GET + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: ", b"x" * 1000], id="trailer"
        ),
        pytest.param([GET + b"Transfer-Encoding: chunked\r\n\r\n3;", b"x" * 1000], id="extension"),
    ],
)
def test_a_head_has_an_end(tmp_path: Path, endless: list[bytes]):
    """Whatever of it grows and grows, in small pieces: the server keeps 64 KiB, and no more."""
    begin, more = endless
    with served_library(tmp_path) as served, opened(served) as client:
        client.sendall(begin)
        with suppress(ConnectionError):
            for _ in range(200):
                client.sendall(more)
                time.sleep(0.001)  # else they would come as one
        statuses = statuses_of(read_to_end(client))
        assert statuses[-1:] in ([], [400])  # a reset takes it along


def test_only_so_many_requests_wait_for_the_first_answer(tmp_path: Path):
    with served_library(tmp_path) as served:
        with opened(served) as client:
            client.sendall((GET + b"\r\n") * 100)
            read = b""
            while read.count(b"HTTP/1.1 200 OK") < 100:
                read += client.recv(65536)
        with opened(served) as client:
            client.sendall((GET + b"\r\n") * 5000)
            statuses = statuses_of(read_to_end(client))
            assert len(statuses) <= 102
            assert statuses[-1] == 400


def test_what_was_asked_before_garbage_is_answered(tmp_path: Path):
    with served_library(tmp_path) as served, opened(served) as client:
        client.sendall((GET + b"\r\n") * 3 + b"garbage\r\n\r\n")
        assert statuses_of(read_to_end(client)) == [200, 200, 200, 400]


def test_a_trailer_is_no_header(tmp_path: Path):
    """A request is what its head says: here no token is in it."""
    with served_library(tmp_path, token="a-token-for-tests") as served, opened(served) as client:
        client.sendall(b"POST /api/scans HTTP/1.1\r\nHost: localhost\r\n")
        client.sendall(b"Transfer-Encoding: chunked\r\n\r\n0\r\n")
        client.sendall(b"Authorization: Bearer a-token-for-tests\r\n\r\n")
        assert client.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 401"


def test_an_upgrade_that_is_not_known_is_no_upgrade(tmp_path: Path):
    """As curl asks for HTTP/2; the next request is another one."""
    with served_library(tmp_path) as served, opened(served) as client:
        for _ in range(2):
            client.sendall(b"POST /api/scans HTTP/1.1\r\nHost: localhost\r\n")
            client.sendall(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n")
            client.sendall(b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n")
            client.sendall(b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
            answer = b""
            while not answer.endswith(b"}"):
                answer += client.recv(65536)
            assert statuses_of(answer) == [201]


@pytest.mark.parametrize("apart", [False, True], ids=["at once", "apart"])
def test_the_body_of_an_upgrade_that_is_not_known_is_its_body(tmp_path: Path, apart: bool):
    """Neither it nor the request that comes next is lost, or taken for another."""
    with served_library(tmp_path) as served, opened(served) as client:
        hidden = GET + b"\r\n"
        head = b"POST /api/scans HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        upgrade = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
        first = head + upgrade + b"Content-Length: %d\r\n\r\n" % len(hidden)
        last = b"GET /no HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        for part in (first, hidden, last) if apart else (first + hidden + last,):
            client.sendall(part)
            time.sleep(0.05)
        assert statuses_of(read_to_end(client)) == [400, 404]


def test_there_is_no_tunnel(tmp_path: Path):
    with served_library(tmp_path) as served, opened(served) as client:
        client.sendall(b"CONNECT /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert statuses_of(read_to_end(client)) == [400]


UPGRADE = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def test_a_websocket_waits_for_no_answer(tmp_path: Path):
    """Else the answer to the request before it would be sent into it."""
    with served_library(tmp_path) as served, opened(served) as client:
        client.sendall(GET + b"\r\nGET /musicdb HTTP/1.1\r\nHost: localhost\r\n" + UPGRADE)
        assert statuses_of(read_to_end(client)) == [200, 400]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(b"X: 1\r\n" * 200, id="many"),
        pytest.param(b"X: " + b"1" * 20_000 + b"\r\n", id="long"),
        pytest.param(b"Content-Length: 5\r\n", id="body"),
    ],
)
def test_a_websocket_whose_head_cannot_be_read_ends(tmp_path: Path, headers: bytes):
    with served_library(tmp_path) as served, opened(served) as client:
        client.sendall(b"GET /musicdb HTTP/1.1\r\nHost: localhost\r\n" + headers + UPGRADE)
        assert statuses_of(read_to_end(client)) == [400]


def test_such_a_websocket_does_not_disturb_the_end(tmp_path: Path, certificate: Path):
    """By TLS it is there until its client has said good-bye."""
    context = ssl.create_default_context(cafile=certificate)
    with ExitStack() as stack, served_library(tmp_path, certificate=certificate) as served:
        raw = stack.enter_context(opened(served))
        client = stack.enter_context(context.wrap_socket(raw, server_hostname="localhost"))
        client.sendall(
            b"GET /musicdb HTTP/1.1\r\nHost: localhost\r\n" + b"X: 1\r\n" * 200 + UPGRADE
        )
        assert client.recv(12) == b"HTTP/1.1 400"
        threading.Timer(0.3, client.close).start()


STREAM = b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n"


def test_an_answer_under_way_ends_with_its_connection(tmp_path: Path):
    """Also when a further request waits behind it."""
    with served_library(tmp_path, event_streams=1) as served:
        for _ in range(3):
            with opened(served) as client:
                client.sendall(STREAM + b"\r\n" + GET + b"\r\n")

                def is_open(client: socket.socket = client) -> bool:
                    return b"retry: 1000" in client.recv(65536, socket.MSG_PEEK)

                wait_until(is_open, 5)
                time.sleep(0.05)
            time.sleep(0.1)


def test_a_bad_chunk_after_the_begin_of_the_answer_is_no_second_answer(tmp_path: Path):
    with served_library(tmp_path) as served, opened(served) as client:
        client.sendall(STREAM + b"Transfer-Encoding: chunked\r\n\r\n")
        answer = b""
        while b"retry: 1000" not in answer:
            answer += client.recv(65536)
        client.sendall(b"garbage\r\n")
        assert statuses_of(answer + read_to_end(client)) == [200]


def test_each_header_counts_for_more_than_its_bytes(tmp_path: Path):
    """In memory it takes up a hundred, however short it is."""
    with served_library(tmp_path) as served, opened(served) as client:
        with suppress(ConnectionError):
            client.sendall(GET + b"a:\r\n" * 3000)
        assert statuses_of(read_to_end(client)) in ([], [400])


def test_heads_that_wait_are_bounded_together(tmp_path: Path):
    with served_library(tmp_path) as served, opened(served) as client:
        with suppress(ConnectionError):
            client.sendall((GET + b"a:\r\n" * 1000 + b"\r\n") * 20)
        statuses = statuses_of(read_to_end(client))
        assert statuses == [] or (statuses[-1] == 400 and len(statuses) < 12)
