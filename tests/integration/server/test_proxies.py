"""A server behind nginx and Caddy, which are configured as docs/server.md says."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import ssl
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import httpx
import pytest
from musictasks.library import sample_album
from proxykit import NAME, PROXIES, Proxy, named, proxy
from rawhttp import BODY_TYPE, TUS, encoded, head
from serverkit import BEARER, TOKEN, Served, served_library, wait_until
from tusclient import client as tuspy
from websockets.sync.client import connect

MIB = 1024 * 1024
SONG = sample_album() / "01 Morgenroete.flac"
SAID = {**BEARER, **TUS}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings: dict[str, Any] = {"host_names": [NAME], "trusted_proxies": ["127.0.0.1"]}
    with served_library(tmp_path_factory.mktemp("library"), token=TOKEN, **settings) as served:
        yield served


@pytest.fixture(scope="module", params=PROXIES)
def before(
    request: pytest.FixtureRequest, served: Served, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    directory = tmp_path_factory.mktemp("proxy") / request.param
    with proxy(request.param, directory, served.port) as before, named():
        yield before


@pytest.fixture
def client(before: Proxy) -> Iterator[httpx.Client]:
    with before.client(headers=BEARER) as client:
        yield client


def create(client: httpx.Client, size: int, **metadata: Any) -> str:
    """The path of a new upload."""
    headers = {**TUS, "Upload-Length": str(size), "Upload-Metadata": encoded(metadata)}
    made = client.post("/uploads/", headers=headers)
    assert made.status_code == 201, made.text
    return httpx.URL(made.headers["location"]).path


def patch_head(before: Proxy, path: str, offset: int, size: int) -> bytes:
    host = f"{NAME}:{before.port}"
    said = {**SAID, "Host": host, "Content-Type": BODY_TYPE, "Upload-Offset": offset}
    return head("PATCH", path, said, size)


def reached(served: Served, path: str) -> int:
    """Bytes of an upload that are at the server."""
    return served.engine.get(path.rpartition("/")[2]).offset or 0


def answer_on(connection: ssl.SSLSocket) -> bytes:
    """The status line of the answer."""
    read = b""
    while b"\r\n" not in read:
        piece = connection.recv(65536)
        assert piece, "the connection ended"
        read += piece
    return read.partition(b"\r\n")[0]


@pytest.mark.parametrize(
    "lies",
    [
        {},
        {"X-Forwarded-Proto": "http", "X-Forwarded-Host": "localhost"},
        {"Forwarded": "for=1.2.3.4;host=localhost;proto=http"},
    ],
)
def test_an_upload_is_where_the_client_has_it_whatever_that_says_of_itself(
    client: httpx.Client, before: Proxy, lies: dict[str, str]
):
    """`Location` is absolute, with the scheme, the name and the port that the client sees."""
    made = client.post("/uploads/", headers={**TUS, **lies, "Upload-Length": "5"})
    assert made.headers["location"].startswith(f"{before.url}/uploads/")


def test_a_page_of_another_origin_and_another_name_are_refused(
    client: httpx.Client, before: Proxy, served: Served
):
    """Ours is that of the proxy; a name that leads there is none of the server's."""
    count, own = len(served.engine.tasks()), {"Origin": before.url}
    assert client.post("/api/imports", json={}, headers=own).status_code == 422
    for origin in ("https://evil.example", f"https://{NAME}", f"http://{NAME}:{before.port}"):
        assert client.post("/api/imports", headers={"Origin": origin}).status_code == 403
    # nginx asks the server, Caddy has no such site.
    strange = client.get("/api/tasks", headers={"Host": "evil.example"})
    assert (strange.status_code, strange.content) == (200, b"") or strange.status_code == 421
    assert len(served.engine.tasks()) == count


def test_a_browser_logs_in_and_gets_a_cookie_for_tls_alone(before: Proxy):
    with before.client(follow_redirects=True) as browser:
        assert browser.get("/api/tasks").status_code == 401
        assert browser.post("/login", data={"token": TOKEN}).status_code == 200
        (cookie,) = browser.cookies.jar
        assert cookie.secure
        assert browser.get("/api/tasks").status_code == 200


def test_the_tags_of_a_song_fit_into_the_head(client: httpx.Client, served: Served):
    path = create(client, 5, lyrics="la " * 7000)
    record = served.engine.get(path.rpartition("/")[2])
    assert record.annotations["lyrics"] == "la " * 7000
    given_back = client.head(path, headers=TUS).headers["upload-metadata"]
    assert given_back == encoded({"lyrics": "la " * 7000})


def test_bytes_are_at_the_server_while_the_body_is_sent(
    client: httpx.Client, before: Proxy, served: Served
):
    """Half of a body is on the disk while the other half is still at the client."""
    data = random.Random(1).randbytes(8 * MIB)
    path = create(client, len(data), filename="booklet.pdf")
    with before.connection() as connection:
        connection.sendall(patch_head(before, path, 0, len(data)) + data[: 4 * MIB])
        wait_until(lambda: reached(served, path) == 4 * MIB)
        connection.sendall(data[4 * MIB :])
        assert b" 204" in answer_on(connection)
    record = served.engine.get(path.rpartition("/")[2])
    assert record.source_checksum == hashlib.sha1(data).hexdigest()


def test_an_upload_that_is_cut_goes_on_where_it_stood(
    client: httpx.Client, before: Proxy, served: Served
):
    data = random.Random(2).randbytes(3 * MIB)
    path = create(client, len(data), filename="booklet.pdf")
    with before.connection() as connection:
        connection.sendall(patch_head(before, path, 0, len(data)) + data[:MIB])
        wait_until(lambda: reached(served, path) == MIB)
    assert client.head(path, headers=TUS).headers["upload-offset"] == str(MIB)
    headers = {**TUS, "Content-Type": BODY_TYPE, "Upload-Offset": str(MIB)}
    assert client.patch(path, headers=headers, content=data[MIB:]).status_code == 204
    record = served.engine.get(path.rpartition("/")[2])
    assert record.source_checksum == hashlib.sha1(data).hexdigest()


def test_a_refusal_in_the_middle_of_a_large_body_is_heard(client: httpx.Client, before: Proxy):
    """Not 502: the client would try again for ever."""
    path = create(client, 100 * MIB)
    for _ in range(5):
        with before.connection() as connection:
            connection.sendall(patch_head(before, path, 7, 100 * MIB - 7))
            assert b" 409" in sent_until_answered(connection)


def sent_until_answered(connection: ssl.SSLSocket) -> bytes:
    """The status line of the answer, which a client gets that looks for it while it sends."""
    read = b""
    while b"\r\n" not in read:
        connection.settimeout(10)
        with contextlib.suppress(ConnectionError):  # what was answered can still be read
            connection.sendall(bytes(64 * 1024))
        connection.settimeout(0)
        with contextlib.suppress(ssl.SSLWantReadError):
            read += connection.recv(65536)
    return read.partition(b"\r\n")[0]


def test_events_come_at_once(client: httpx.Client, served: Served):
    """Each is read before the next one happens, while the stream stays open."""
    with client.stream("GET", "/api/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        for _ in range(3):
            task = served.engine.begin_upload(content_type="albumfile", file_size=3)
            assert any(task.id in line for line in lines)


def test_musicdb_s_websocket_passes(before: Proxy, served: Served):
    """A song by a plain client, with the token in each packet."""
    data = SONG.read_bytes() + before.kind.encode()
    sha1 = hashlib.sha1(data).hexdigest()
    arguments = {"taskid": sha1, "mimetype": "", "contenttype": "albumfile"}
    arguments |= {"filesize": len(data), "checksum": sha1, "filename": "01.flac"}
    address = before.url.replace("https", "wss") + "/musicdb"
    with connect(address, ssl=before.trust, origin=before.url, proxy=None) as socket:  # type: ignore[arg-type]

        def call(function: str, **arguments: Any) -> None:
            packet = {"method": "call", "fncname": function, "fncsig": "", "pass": None}
            socket.send(json.dumps({**packet, "arguments": arguments, "key": TOKEN}))

        call("InitiateUpload", **arguments)
        while True:
            packet = json.loads(socket.recv(timeout=20))
            status = packet["arguments"]
            if packet["fncname"] != "MusicDB:Task" or status["taskid"] != sha1:
                continue
            if packet["fncsig"] == "ChunkRequest":
                chunk = data[status["offset"] : status["offset"] + status["chunksize"]]
                call("UploadChunk", taskid=sha1, chunkdata=chunk.hex())
            elif status["state"] == "readyforintegration":
                break
    assert served.engine.get(sha1).source_checksum == sha1


def test_tuspy_uploads_with_a_checksum_for_each_chunk(
    before: Proxy, served: Served, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(before.certificate))
    monkeypatch.setenv("NO_PROXY", NAME)
    data = SONG.read_bytes() + f"tuspy {before.kind}".encode()
    uploader = tuspy.TusClient(f"{before.url}/uploads/", headers=BEARER).uploader(
        file_stream=BytesIO(data),
        chunk_size=20_000,
        metadata={"filename": "01.flac"},
        upload_checksum=True,
    )
    uploader.upload()
    assert uploader.url is not None
    assert uploader.url.startswith(before.url)
    record = served.engine.get(uploader.url.rpartition("/")[2])
    assert record.source_checksum == hashlib.sha1(data).hexdigest()


@pytest.mark.long
def test_a_gigabyte_passes(client: httpx.Client, before: Proxy, served: Served):
    """In one request; the offset grows at the server while it is sent, and all of it arrives."""
    size, piece, seen = 1000 * MIB, random.Random(3).randbytes(MIB), list[int]()
    hashed = hashlib.sha1()
    path = create(client, size, filename="large.pdf")

    def pieces() -> Iterator[bytes]:
        for number in range(1000):
            if number % 100 == 99:
                sent = number * MIB
                wait_until(lambda sent=sent: reached(served, path) > sent - 50 * MIB)
                seen.append(reached(served, path))
            hashed.update(piece)
            yield piece

    headers = {**TUS, "Content-Type": BODY_TYPE, "Upload-Offset": "0", "Content-Length": str(size)}
    answer = client.patch(path, headers=headers, content=pieces(), timeout=300)
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, str(size))
    assert len(set(seen)) == 10
    record = served.engine.get(path.rpartition("/")[2])
    assert record.source_checksum == hashed.hexdigest()
    served.engine.remove(record.id)
    assert not list(before.log.parent.glob("client_body/*")), "it was buffered"
