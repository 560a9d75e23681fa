"""The door against what does less: a body in a file, an engine without a server, @tus/server.

Each server has a process of its own; the clients are here. Ratios are of runs that alternate.
"""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any

import uvicorn
from attrs import define, field
from figures import Figure, ratio
from musictasks.library import sample_album
from musictasks.music import Settings, open_library
from musictasks.server import ServerSettings, make_app
from musictasks.server.serving import DoorServer, bound_socket
from websockets.sync.client import ClientConnection, connect

MB = 1_000_000
BODY_MB = 1000
PIECE = bytes(range(256)) * 1024
ROUNDS = 3
SONGS = 1000
CLIENTS = 8
SOCKET_MB = 200
STREAMS = 200
TASKS = 10_000
PAGES = 5
IDLE_S = 10.0
TUS = {"Tus-Resumable": "1.0.0"}

_TUS_SERVER = """
const {Server} = require('@tus/server'), {FileStore} = require('@tus/file-store')
const datastore = new FileStore({directory: process.argv[1]})
const server = new Server({path: '/uploads', datastore})
const listener = server.listen({host: '127.0.0.1', port: 0})
listener.on('listening', () => console.log(listener.address().port))
"""


def measure(directory: Path) -> Iterator[Figure]:
    directory.mkdir(parents=True)
    with Served.engine(directory / "patches") as ours:
        has_tus, has_events = ours.offers("/uploads/"), ours.offers("/api/events")
    if has_tus:
        yield from _one_patch(directory)
        yield _many_songs(directory)
    yield _through_the_websocket(directory)
    if has_events:
        yield _to_all_streams(directory)
    yield _idle(directory, has_events=has_events)


# -- servers --------------------------------------------------------------------------------


@define
class Served:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    port: int
    address: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.address = f"127.0.0.1:{self.port}"

    @classmethod
    @contextmanager
    def of(cls, *command: str, cwd: Path | None = None) -> Iterator[Served]:
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=cwd) as process:
            assert process.stdout is not None
            try:
                yield cls(process, int(process.stdout.readline()))
            finally:
                process.terminate()

    @classmethod
    def engine(cls, directory: Path) -> Any:
        """A library's engine behind the door."""
        return cls.of(sys.executable, __file__, "engine", str(directory))

    @classmethod
    def file(cls, path: Path) -> Any:
        """uvicorn, with an application that writes every body to a file."""
        return cls.of(sys.executable, __file__, "file", str(path))

    def offers(self, path: str) -> bool:
        """Whether there is such a route."""
        connection = http.client.HTTPConnection(self.address, timeout=10)
        connection.request("GET", path, headers=TUS)
        status = connection.getresponse().status
        connection.close()
        return status != 404

    def memory_mb(self) -> float:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / MB

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _run(kind: str, place: Path) -> None:
    """What the process of a server does."""
    settings = ServerSettings(port=0)
    with ExitStack() as stack:
        if kind == "engine":
            engine = stack.enter_context(open_library(Settings.in_directory(place)))
            server = DoorServer(make_app(engine, settings), settings)
        else:
            server = uvicorn.Server(_config(_Writer(place)))
        listener = stack.enter_context(bound_socket(settings))
        print(listener.getsockname()[1], flush=True)
        server.run(sockets=[listener])


def _config(app: Any) -> uvicorn.Config:
    """As the door is served."""
    return uvicorn.Config(app, http="h11", lifespan="off", access_log=False, log_level="error")


@define
class _Writer:
    """The least that an ASGI application can do with a body."""

    path: Path

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        with self.path.open("wb") as file:
            more = True
            while more:
                message = await receive()
                file.write(message.get("body", b""))
                more = message.get("more_body", False)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})


@contextmanager
def _tus_server(directory: Path) -> Iterator[Served | None]:
    """@tus/server, installed for this; None: there is no node, or it cannot be installed."""
    home = directory / "node"
    home.mkdir()
    install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "@tus/server@2"]
    installed = None
    if shutil.which("npm") and shutil.which("node"):
        with suppress(subprocess.TimeoutExpired):
            installed = subprocess.run([*install, "@tus/file-store@2"], cwd=home, timeout=120)
    if installed is None or installed.returncode != 0:
        yield None
        return
    data = home / "data"
    with Served.of("node", "-e", _TUS_SERVER, str(data), cwd=home) as served:
        yield served


# -- one large PATCH ------------------------------------------------------------------------


def _one_patch(directory: Path) -> Iterator[Figure]:
    size = BODY_MB * MB
    with (
        Served.file(directory / "body") as file,
        Served.engine(directory / "patches") as ours,
        _tus_server(directory) as theirs,
    ):
        subjects: dict[str, Callable[[int], float]] = {
            "file": lambda size: _patch_s(file, "/", size),
            "ours": lambda size: _upload_s(ours, "/uploads/", size),
        }
        if theirs is not None:
            subjects["theirs"] = lambda size: _upload_s(theirs, "/uploads", size)
        for subject in subjects.values():
            subject(10 * MB)  # warm
        before_mb, memory = ours.memory_mb(), _Memory(ours)
        times_s = {name: [] for name in subjects}
        with memory:
            for _ in range(ROUNDS):
                for name, subject in subjects.items():
                    times_s[name].append(subject(size))
    note = f"{BODY_MB} MB, {BODY_MB / min(times_s['ours']):,.0f} MB/s at best"
    value = ratio(times_s["ours"], times_s["file"])
    yield Figure("one PATCH, by uvicorn's time for the body in a file", value, "x", 1 / 0.8, note)
    if theirs is not None:
        value = ratio(times_s["ours"], times_s["theirs"])
        yield Figure("one PATCH, by the time of @tus/server", value, "x", 1, note)
    yield Figure("memory for it", memory.most_mb - before_mb, "MB", 30)


class _Memory(threading.Thread):
    """The most memory of a server inside a block."""

    def __init__(self, served: Served) -> None:
        super().__init__(daemon=True)
        self._served, self._over = served, threading.Event()
        self.most_mb = served.memory_mb()

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        while not self._over.wait(0.02):
            self.most_mb = max(self.most_mb, self._served.memory_mb())


def _upload_s(served: Served, path: str, size: int) -> float:
    """Seconds for the PATCH of an upload, to its answer."""
    connection = http.client.HTTPConnection(served.address, timeout=120)
    where = _create(connection, path, size, {"filename": "large.pdf"})
    connection.close()
    took_s = _patch_s(served, where, size)
    _request(served, "DELETE", where)
    return took_s


def _create(
    connection: http.client.HTTPConnection,
    path: str,
    size: int,
    metadata: dict[str, str],
    body: bytes | None = None,
) -> str:
    """Makes an upload, with its data if a body is given; where it is."""
    encoded = ",".join(f"{key} {b64encode(v.encode()).decode()}" for key, v in metadata.items())
    headers = {**TUS, "Upload-Length": str(size), "Upload-Metadata": encoded}
    if body is not None:
        headers["Content-Type"] = "application/offset+octet-stream"
    connection.request("POST", path, body=body, headers=headers)
    answer = connection.getresponse()
    said = answer.read()
    assert answer.status == 201, said
    assert body is None or answer.headers["Upload-Offset"] == str(size)
    location = answer.headers["Location"]
    return "/" + location.split("/", 3)[3] if "://" in location else location


def _patch_s(served: Served, path: str, size: int) -> float:
    connection = http.client.HTTPConnection(served.address, timeout=300)
    begun = time.perf_counter()
    connection.request("PATCH", path, body=_pieces(size), headers=_of_patch(size))
    answer = connection.getresponse()
    body = answer.read()
    took_s = time.perf_counter() - begun
    assert answer.status == 204, body
    connection.close()
    return took_s


def _of_patch(size: int) -> dict[str, str]:
    of_body = {"Content-Type": "application/offset+octet-stream", "Content-Length": str(size)}
    return {**TUS, **of_body, "Upload-Offset": "0"}


def _pieces(size: int) -> Iterator[bytes]:
    # Each upload has other bytes: the same would be refused.
    head = os.urandom(16)
    yield head
    size -= len(head)
    while size > 0:
        yield PIECE[:size]
        size -= len(PIECE)


def _request(served: Served, method: str, path: str) -> None:
    connection = http.client.HTTPConnection(served.address, timeout=60)
    connection.request(method, path, headers=TUS)
    connection.getresponse().read()
    connection.close()


# -- many songs -----------------------------------------------------------------------------


def _many_songs(directory: Path) -> Figure:
    song = (sample_album() / "01 Morgenroete.flac").read_bytes()
    songs = [song + os.urandom(MB - len(song)) for _ in range(SONGS)]
    checksums = [hashlib.sha1(data).hexdigest() for data in songs]
    alone_s = _songs_alone_s(directory / "alone", songs, checksums)
    with Served.engine(directory / "served") as served:
        behind_s = _songs_by_tus_s(served, songs, checksums)
    note = f"{SONGS} songs of 1 MB, {CLIENTS} clients, {SONGS / behind_s:,.0f} songs/s"
    what = "songs by tus, by the time of the engine alone"
    return Figure(what, behind_s / alone_s, "x", 1 / 0.7, note)


def _songs_alone_s(directory: Path, songs: list[bytes], checksums: list[str]) -> float:
    """Seconds until the engine has all of them, uploaded by threads of its own process."""
    with open_library(Settings.in_directory(directory)) as engine:

        def bring(number: int) -> None:
            task = engine.begin_upload(
                content_type="albumfile",
                file_size=MB,
                checksum=checksums[number],
                source_filename="song.flac",
            )
            engine.receive_chunk(task.id, songs[number], offset=0)

        begun = time.perf_counter()
        with ThreadPoolExecutor(CLIENTS) as clients:
            list(clients.map(bring, range(len(songs))))
        return time.perf_counter() - begun


def _songs_by_tus_s(served: Served, songs: list[bytes], checksums: list[str]) -> float:
    kept = threading.local()

    def bring(number: int) -> None:
        if not hasattr(kept, "connection"):
            kept.connection = http.client.HTTPConnection(served.address, timeout=60)
        connection = kept.connection
        metadata = {"filename": "song.flac", "checksum": f"sha1 {checksums[number]}"}
        _create(connection, "/uploads/", MB, metadata, songs[number])

    begun = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(bring, range(len(songs))))
    return time.perf_counter() - begun


# -- MusicDB's WebSocket --------------------------------------------------------------------


def _through_the_websocket(directory: Path) -> Figure:
    data = os.urandom(MB) * SOCKET_MB
    times_s: list[float] = []
    with Served.engine(directory / "socket") as served, _listener(served) as client:
        for number in range(ROUNDS):
            upload = bytes([number]) + data
            sha1 = hashlib.sha1(upload).hexdigest()
            begun = time.perf_counter()
            _send_by_chunks(client, upload, sha1)
            times_s.append(time.perf_counter() - begun)
            _call(client, "RemoveUpload", {"taskid": sha1})
    took_s = median(times_s)
    note = f"{SOCKET_MB} MB, {SOCKET_MB / took_s:,.0f} MB/s; MusicDB: 0.8 MB/s, 1,250 ms"
    return Figure("1 MB by MusicDB's WebSocket", took_s / SOCKET_MB * 1000, "ms", 1000 / 40, note)


def _listener(served: Served) -> Any:
    """A client that is connected, and takes whatever comes."""
    address = f"ws://{served.address}/musicdb"
    return connect(address, max_size=None, max_queue=None, compression=None)


def _send_by_chunks(client: ClientConnection, data: bytes, sha1: str) -> None:
    """An upload as MusicDB's page does it, until all of it is there."""
    arguments = {
        "taskid": sha1,
        "mimetype": "",
        "contenttype": "albumfile",
        "filesize": len(data),
        "checksum": sha1,
        "filename": "large.pdf",
    }
    _call(client, "InitiateUpload", arguments)
    for text in client:
        packet = json.loads(text)
        status = packet["arguments"]
        if packet["fncname"] != "MusicDB:Task" or status["taskid"] != sha1:
            continue
        if packet["fncsig"] == "ChunkRequest":
            chunk = data[status["offset"] : status["offset"] + status["chunksize"]]
            _call(client, "UploadChunk", {"taskid": sha1, "chunkdata": chunk.hex()})
        elif status["state"] != "waitforchunk":
            assert status["state"] == "uploadcomplete", status["message"]
            return


def _call(client: ClientConnection, function: str, arguments: dict[str, Any]) -> None:
    packet = {
        "method": "call",
        "fncname": function,
        "fncsig": "",
        "arguments": arguments,
        "pass": None,
        "key": None,
    }
    client.send(json.dumps(packet))


# -- event streams --------------------------------------------------------------------------


def _to_all_streams(directory: Path) -> Figure:
    with Served.engine(directory / "streams") as served:
        times_ms = asyncio.run(_until_all_heard_ms(served))
    what = f"a call until {STREAMS} event streams have heard"
    return Figure(what, median(times_ms), "ms", note=f"median of {len(times_ms)}")


async def _until_all_heard_ms(served: Served) -> list[float]:
    streams = [await _open_stream(served) for _ in range(STREAMS)]
    times_ms: list[float] = []
    with _listener(served) as client:
        for number in range(20):
            await asyncio.sleep(0.2)
            begun = time.perf_counter()
            sha1 = hashlib.sha1(bytes([number])).hexdigest()
            arguments = {"taskid": sha1, "mimetype": "", "contenttype": "albumfile"}
            more = {"filesize": 9, "checksum": sha1, "filename": "a.pdf"}
            _call(client, "InitiateUpload", arguments | more)
            await asyncio.gather(*(_heard(reader, sha1.encode()) for reader, _ in streams))
            times_ms.append((time.perf_counter() - begun) * 1000)
    for _, writer in streams:
        writer.close()
    return times_ms


async def _open_stream(served: Served) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=1 << 20)
    request = f"GET /api/events HTTP/1.1\r\nHost: {served.address}\r\n\r\n"
    writer.write(request.encode())
    assert b"200" in await reader.readline()
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def _heard(reader: asyncio.StreamReader, task_id: bytes) -> None:
    while task_id not in await reader.readline():
        pass


# -- at rest --------------------------------------------------------------------------------


def _idle(directory: Path, *, has_events: bool) -> Figure:
    """With pages that listen: an event stream each, or, where there is none, a WebSocket."""
    place = directory / "idle"
    with open_library(Settings.in_directory(place, durability="none")) as engine:
        for number in range(TASKS):
            checksum = hashlib.sha1(str(number).encode()).hexdigest()
            engine.begin_upload(content_type="albumfile", file_size=10, checksum=checksum)
    with Served.engine(place) as served, ExitStack() as stack:
        for _ in range(PAGES):
            if has_events:
                page = stack.enter_context(socket.create_connection(("127.0.0.1", served.port)))
                page.sendall(f"GET /api/events HTTP/1.1\r\nHost: {served.address}\r\n\r\n".encode())
            else:
                stack.enter_context(_listener(served))
        time.sleep(5)
        before_s = served.cpu_s()
        time.sleep(IDLE_S)
        percent = (served.cpu_s() - before_s) / IDLE_S * 100
    note = (
        f"{TASKS:,} tasks, {PAGES} {'event streams' if has_events else 'WebSockets'}, {IDLE_S:g} s"
    )
    return Figure("CPU of a server at rest", percent, "%", 1, note)


if __name__ == "__main__":
    _run(sys.argv[1], Path(sys.argv[2]))
