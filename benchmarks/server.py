"""The door against what does less: a body in a file, an engine without a server, @tus/server.

Each server has a process of its own; the clients are here. Ratios are of runs that alternate.
"""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
import os
import re
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
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import uvicorn
from attrs import define, field, frozen
from figures import Figure
from musictasks.library import sample_album
from musictasks.music import Settings, open_library
from musictasks.server import ServerSettings, make_app
from musictasks.server.serving import DoorServer, bound_socket
from mutagen.flac import FLAC
from websockets.sync.client import ClientConnection, connect

MB = 1_000_000
BODY_MB = 1000
PIECE = bytes(range(256)) * 1024
ROUNDS = 3
SONGS = 1000
CLIENTS = 8
SOCKET_MB = 200
STREAMS = 200
NOTIFICATIONS = 50
TASKS = 10_000
PAGES = 5
IDLE_S = 30.0
TUS = {"Tus-Resumable": "1.0.0"}

_READY = re.compile(r'^musictasks_tasks{state="readyforintegration"} (\d+)', re.MULTILINE)
#: For each song that is missing; half of the time that it takes.
_LOOK_AGAIN_S = 0.002

_TUS_SERVER = """
const {Server} = require('@tus/server'), {FileStore} = require('@tus/file-store')
const datastore = new FileStore({directory: process.argv[1]})
const server = new Server({path: '/uploads', datastore})
const listener = server.listen({host: '127.0.0.1', port: 0})
listener.on('listening', () => console.log(listener.address().port))
"""


def measure(directory: Path) -> Iterator[Figure]:
    directory.mkdir(parents=True)
    yield from _one_patch(directory)
    yield _many_songs(directory)
    yield _through_the_websocket(directory)
    yield _to_all_streams(directory)
    yield _idle(directory)


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
    quiet: Any = {"access_log": False, "log_level": "error"}
    return uvicorn.Config(app, http="httptools", lifespan="off", **quiet)


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


# -- runs that alternate --------------------------------------------------------------------


@frozen
class Took:
    """What a run took: seconds by the clock, and of CPU by the server (or the engine alone)."""

    wall_s: float
    cpu_s: float


def _timed(run: Callable[[], object], cpu_s: Callable[[], float]) -> Took:
    begun, before_s = time.perf_counter(), cpu_s()
    run()
    return Took(time.perf_counter() - begun, cpu_s() - before_s)


def _alternating(rounds: int, **subjects: Callable[[], Took]) -> dict[str, list[Took]]:
    """Round by round, so that noise hits all of them alike."""
    runs: dict[str, list[Took]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, subject in subjects.items():
            runs[name].append(subject())
    return runs


def _ratios(ours: list[Took], theirs: list[Took]) -> tuple[float, str]:
    """The median of the ratios of the rounds, by the clock; and a note of that of CPU."""
    pairs = list(zip(ours, theirs, strict=True))
    wall = median(one.wall_s / other.wall_s for one, other in pairs)
    cpu = median(one.cpu_s / other.cpu_s for one, other in pairs)
    return wall, f"CPU {cpu:.2f} x"


# -- one large PATCH ------------------------------------------------------------------------


def _one_patch(directory: Path) -> Iterator[Figure]:
    size = BODY_MB * MB
    with (
        Served.file(directory / "body") as file,
        Served.engine(directory / "patches") as ours,
        _tus_server(directory) as theirs,
    ):
        subjects = {
            "file": partial(_timed, partial(_patch, file, "/", size), file.cpu_s),
            "ours": partial(_timed, partial(_upload, ours, "/uploads/", size), ours.cpu_s),
        }
        if theirs is not None:
            upload = partial(_upload, theirs, "/uploads", size)
            subjects["theirs"] = partial(_timed, upload, theirs.cpu_s)
        _upload(ours, "/uploads/", 10 * MB)  # warm
        before_mb, memory = ours.memory_mb(), _Memory(ours)
        with memory:
            runs = _alternating(ROUNDS, **subjects)
    best_s = min(run.wall_s for run in runs["ours"])
    note = f"{BODY_MB} MB, {BODY_MB / best_s:,.0f} MB/s at best"
    value, cpu = _ratios(runs["ours"], runs["file"])
    what = "one PATCH, by uvicorn's time for the body in a file"
    yield Figure(what, value, "x", 1 / 0.8, f"{note}; {cpu}")
    if theirs is not None:
        value, cpu = _ratios(runs["ours"], runs["theirs"])
        yield Figure("one PATCH, by the time of @tus/server", value, "x", 1, f"{note}; {cpu}")
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


def _upload(served: Served, path: str, size: int) -> None:
    """The PATCH of an upload, to its answer; it is made before, and removed."""
    connection = http.client.HTTPConnection(served.address, timeout=120)
    where = _create(connection, path, size, {"filename": "large.pdf"})
    connection.close()
    _patch(served, where, size)
    _request(served, "DELETE", where)


def _create(
    connection: http.client.HTTPConnection, path: str, size: int, metadata: dict[str, str]
) -> str:
    """Makes an upload; where it is."""
    connection.request("POST", path, headers=_of_upload(size, metadata))
    answer = connection.getresponse()
    said = answer.read()
    assert answer.status == 201, said
    location = answer.headers["Location"]
    return "/" + location.split("/", 3)[3] if "://" in location else location


def _of_upload(size: int, metadata: dict[str, str]) -> dict[str, str]:
    encoded = ",".join(f"{key} {b64encode(v.encode()).decode()}" for key, v in metadata.items())
    return {**TUS, "Upload-Length": str(size), "Upload-Metadata": encoded}


def _patch(served: Served, path: str, size: int) -> None:
    connection = http.client.HTTPConnection(served.address, timeout=300)
    connection.request("PATCH", path, body=_pieces(size), headers=_of_patch(size))
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 204, body
    connection.close()


def _of_patch(size: int) -> dict[str, str]:
    return {**TUS, **_of_body(size), "Upload-Offset": "0"}


def _of_body(size: int) -> dict[str, str]:
    return {"Content-Type": "application/offset+octet-stream", "Content-Length": str(size)}


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
    """Until all of them are checked and wait to be put at their places.

    What a run has made stays until the end: ext4 takes longer for new files for a while after many
    were removed, which would count against whoever comes next.
    """
    directory.mkdir(exist_ok=True)
    places = (directory / f"songs-{number}" for number in count())
    songs = list(_songs(directory / "song.flac"))
    checksums = [hashlib.sha1(data).hexdigest() for data in songs]
    runs = _alternating(
        ROUNDS,
        alone=lambda: _songs_alone(next(places), songs, checksums),
        served=lambda: _songs_served(next(places), songs, checksums),
    )
    value, cpu = _ratios(runs["served"], runs["alone"])
    rate = SONGS / min(run.wall_s for run in runs["served"])
    note = f"{SONGS} songs of 1 MB, {CLIENTS} clients, {rate:,.0f} songs/s at best; {cpu}"
    return Figure("songs by tus, by the time of the engine alone", value, "x", 1 / 0.7, note)


def _songs(scratch: Path) -> Iterator[bytes]:
    """Each of about 1 MB, valid, and another one."""
    shutil.copyfile(sample_album() / "01 Morgenroete.flac", scratch)
    FLAC(scratch).save(padding=lambda info: MB - info.size - info.padding)
    data = scratch.read_bytes()
    at = data.index(bytes(MB // 2))
    for _ in range(SONGS):
        yield data[:at] + os.urandom(MB // 2) + data[at + MB // 2 :]


def _songs_alone(directory: Path, songs: list[bytes], checksums: list[str]) -> Took:
    """By threads of the engine's own process."""
    with open_library(Settings.in_directory(directory)) as engine:

        def bring(number: int) -> str:
            task = engine.begin_upload(
                content_type="albumfile",
                file_size=len(songs[number]),
                checksum=checksums[number],
                source_filename="song.flac",
            )
            return engine.receive_chunk(task.id, songs[number], offset=0).id

        def bring_all() -> None:
            with ThreadPoolExecutor(CLIENTS) as clients:
                ids = list(clients.map(bring, range(len(songs))))
            for task_id in ids:
                engine.wait(task_id, "readyforintegration", timeout=120)

        return _timed(bring_all, time.process_time)


def _songs_served(directory: Path, songs: list[bytes], checksums: list[str]) -> Took:
    kept = threading.local()
    with Served.engine(directory) as served:
        heads = [_song_head(len(song), sha1) for song, sha1 in zip(songs, checksums, strict=True)]

        def bring(number: int) -> None:
            if not hasattr(kept, "connection"):
                kept.connection = socket.create_connection(("127.0.0.1", served.port), timeout=60)
            _bring_song(kept.connection, heads[number], songs[number])

        def bring_all() -> None:
            with ThreadPoolExecutor(CLIENTS) as clients:
                list(clients.map(bring, range(len(songs))))
            while missing := len(songs) - _ready_songs(served):
                # Few looks: each takes the server as long as a song does.
                time.sleep(missing * _LOOK_AGAIN_S)

        return _timed(bring_all, served.cpu_s)


def _song_head(size: int, checksum: str) -> bytes:
    """Made before, as the work of a client is none of the server's, but shares its cores."""
    metadata = {"filename": "song.flac", "checksum": f"sha1 {checksum}"}
    headers = {"Host": "127.0.0.1", **_of_upload(size, metadata), **_of_body(size)}
    lines = ["POST /uploads/ HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def _bring_song(connection: socket.socket, head: bytes, song: bytes) -> None:
    connection.send(head, socket.MSG_MORE)
    connection.sendall(song)
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = connection.recv(65536)
        assert piece, answer
        answer += piece
    assert answer.startswith(b"HTTP/1.1 201 "), answer
    assert f"\r\nupload-offset: {len(song)}\r\n".encode() in answer.lower(), answer


def _ready_songs(served: Served) -> int:
    match = _READY.search(_text_at(served, "/metrics"))
    return int(match[1]) if match else 0


def _text_at(served: Served, path: str) -> str:
    connection = http.client.HTTPConnection(served.address, timeout=60)
    connection.request("GET", path)
    text = connection.getresponse().read().decode()
    connection.close()
    return text


# -- MusicDB's WebSocket --------------------------------------------------------------------


def _through_the_websocket(directory: Path) -> Figure:
    data = os.urandom(MB) * SOCKET_MB
    runs: list[Took] = []
    with Served.engine(directory / "socket") as served, _listener(served) as client:
        for number in range(ROUNDS):
            upload = bytes([number]) + data
            sha1 = hashlib.sha1(upload).hexdigest()
            packets = _chunk_packets(upload, sha1)
            send = partial(_send_by_chunks, client, len(upload), sha1, packets)
            runs.append(_timed(send, served.cpu_s))
            _call(client, "RemoveUpload", {"taskid": sha1})
    took_s, cpu_s = (median(getattr(run, name) for run in runs) for name in ("wall_s", "cpu_s"))
    note = f"{SOCKET_MB} MB, {SOCKET_MB / took_s:,.0f} MB/s; CPU {cpu_s / SOCKET_MB * 1000:.1f} ms"
    what = "1 MB by MusicDB's WebSocket"
    return Figure(what, took_s / SOCKET_MB * 1000, "ms", 1000 / 40, f"{note}; MusicDB 1,250 ms")


def _chunk_packets(data: bytes, sha1: str) -> dict[int, str]:
    """By offset; made before, as the work of a client is none of the server's."""
    size = Settings.in_directory("any").chunk_size
    return {
        at: _packet("UploadChunk", {"taskid": sha1, "chunkdata": data[at : at + size].hex()})
        for at in range(0, len(data), size)
    }


def _listener(served: Served) -> Any:
    """A client that is connected, and takes whatever comes."""
    address = f"ws://{served.address}/musicdb"
    return connect(address, max_size=None, max_queue=None, compression=None)


def _send_by_chunks(
    client: ClientConnection, size: int, sha1: str, packets: dict[int, str]
) -> None:
    """An upload as MusicDB's page does it, until all of it is there."""
    arguments = {
        "taskid": sha1,
        "mimetype": "",
        "contenttype": "albumfile",
        "filesize": size,
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
            client.send(packets[status["offset"]])
        elif status["state"] != "waitforchunk":
            assert status["state"] == "uploadcomplete", status["message"]
            return


def _call(client: ClientConnection, function: str, arguments: dict[str, Any]) -> None:
    client.send(_packet(function, arguments))


def _packet(function: str, arguments: dict[str, Any]) -> str:
    packet = {
        "method": "call",
        "fncname": function,
        "fncsig": "",
        "arguments": arguments,
        "pass": None,
        "key": None,
    }
    return json.dumps(packet)


# -- event streams --------------------------------------------------------------------------


def _to_all_streams(directory: Path) -> Figure:
    with Served.engine(directory / "streams") as served:
        times_ms, cpu_s = asyncio.run(_until_all_heard_ms(served))
    what = f"a call until {STREAMS} event streams have heard"
    note = f"median of {len(times_ms)}; CPU {cpu_s / len(times_ms) * 1000:.1f} ms"
    return Figure(what, median(times_ms), "ms", note=note)


async def _until_all_heard_ms(served: Served) -> tuple[list[float], float]:
    """Of each call, and the server's CPU for all of them."""
    streams = [await _open_stream(served) for _ in range(STREAMS)]
    times_ms: list[float] = []
    before_s = served.cpu_s()
    with _listener(served) as client:
        for number in range(NOTIFICATIONS):
            await asyncio.sleep(0.2)
            begun = time.perf_counter()
            sha1 = hashlib.sha1(bytes([number])).hexdigest()
            arguments = {"taskid": sha1, "mimetype": "", "contenttype": "albumfile"}
            more = {"filesize": 9, "checksum": sha1, "filename": "a.pdf"}
            _call(client, "InitiateUpload", arguments | more)
            await asyncio.gather(*(_heard(reader, sha1.encode()) for reader, _ in streams))
            times_ms.append((time.perf_counter() - begun) * 1000)
    cpu_s = served.cpu_s() - before_s
    for _, writer in streams:
        writer.close()
    return times_ms, cpu_s


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


def _idle(directory: Path) -> Figure:
    """With pages that have read what they show and listen, as the page does."""
    place = directory / "idle"
    with open_library(Settings.in_directory(place, durability="none")) as engine:
        for number in range(TASKS):
            checksum = hashlib.sha1(str(number).encode()).hexdigest()
            engine.begin_upload(content_type="albumfile", file_size=10, checksum=checksum)
    with Served.engine(place) as served, ExitStack() as stack:
        for _ in range(PAGES):
            last = _read_all(served)
            page = stack.enter_context(socket.create_connection(("127.0.0.1", served.port)))
            page.sendall(f"GET /api/events?since={last} HTTP/1.1\r\n".encode())
            page.sendall(f"Host: {served.address}\r\n\r\n".encode())
            threading.Thread(target=_drain, args=(page,), daemon=True).start()
        _wait_until_calm(served)
        before_s = served.cpu_s()
        time.sleep(IDLE_S)
        percent = (served.cpu_s() - before_s) / IDLE_S * 100
    note = f"{TASKS:,} tasks, {PAGES} pages' event streams, {IDLE_S:g} s"
    return Figure("CPU of a server at rest", percent, "%", 1, note)


def _read_all(served: Served) -> int:
    """What a page does first; the number of the event up to which that is."""
    after = ""
    while True:
        answer = json.loads(_text_at(served, f"/api/tasks?limit=1000{after}"))
        if answer["next"] is None:
            return answer["last"]
        after = f"&after={answer['next']}"


def _drain(connection: socket.socket) -> None:
    with suppress(OSError):
        while connection.recv(1 << 20):
            pass


def _wait_until_calm(served: Served) -> None:
    """Until the start is over: each upload that waits is told of."""
    for _ in range(120):
        before_s = served.cpu_s()
        time.sleep(1)
        if served.cpu_s() - before_s < 0.03:
            return


if __name__ == "__main__":
    _run(sys.argv[1], Path(sys.argv[2]))
