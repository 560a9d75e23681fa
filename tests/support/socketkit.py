"""A served library, and clients of MusicDB's WebSocket: a plain one, and one like the browser's."""

from __future__ import annotations

import hashlib
import itertools
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from attrs import define, field
from musictasks.music import MusicEngine
from serverkit import serving
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

WAIT_S = 20.0


@contextmanager
def socket_of(engine: MusicEngine, **settings: Any) -> Iterator[str]:
    """The address of MusicDB's WebSocket, as long as the block lasts."""
    with serving(engine, **settings) as served:
        yield f"ws://{served.host}/musicdb"


@define(eq=False)
class Client:
    """A connection whose packets are kept, and handed to `heard` in its thread."""

    address: str
    key: str | None = None
    #: All that came but heartbeats.
    packets: list[dict[str, Any]] = field(factory=list, init=False)
    heartbeats: int = field(default=0, init=False)
    #: The code with which the server closed it.
    code: int | None = field(default=None, init=False)
    connection: ClientConnection = field(init=False)
    _opened: ExitStack = field(init=False)
    _changed: threading.Condition = field(factory=threading.Condition, init=False)
    _thread: threading.Thread = field(init=False)
    _numbers: Iterator[int] = field(factory=itertools.count, init=False)

    def __attrs_post_init__(self) -> None:
        self.connect()

    def connect(self) -> None:
        self._opened = ExitStack()
        opening = connect(self.address, max_size=None, compression=None)
        self.connection = self._opened.enter_context(opening)
        self._thread = threading.Thread(target=self._listen, args=(self.connection,))
        self._thread.start()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._opened.close()
        self._thread.join()

    def _listen(self, connection: ClientConnection) -> None:
        try:
            for text in connection:
                packet = json.loads(text)
                if packet["fncname"] == "sys:heartbeat":
                    self.heartbeats += 1
                    continue
                with self._changed:
                    self.packets.append(packet)
                    self._changed.notify_all()
                self.heard(packet)
        except ConnectionClosed:
            pass
        with self._changed:
            self.code = connection.close_code
            self._changed.notify_all()

    def heard(self, packet: Mapping[str, Any]) -> None:
        """What a client does with a packet."""

    # -- what it sends ----------------------------------------------------------------------

    def send(self, function: str, arguments: object = None, **changes: Any) -> None:
        packet = {
            "method": "call",
            "fncname": function,
            "fncsig": "",
            "arguments": arguments,
            "pass": None,
            "key": self.key,
        }
        self.connection.send(json.dumps(packet | changes))

    def request(self, function: str, arguments: object = None, **changes: Any) -> Any:
        """What the function returns; TimeoutError: nothing came before the answer to the next."""
        number = f"request {next(self._numbers)}"
        options = {"method": "request", "pass": number} | changes
        self.send(function, arguments, **options)
        self.send("Bounce", {}, **{"method": "request", "pass": f"after {number}"})
        self.wait_for(lambda packet: packet["pass"] == f"after {number}")
        for packet in self.packets:
            if packet["pass"] == options["pass"] and packet["method"] == "response":
                return packet["arguments"]
        raise TimeoutError(f"{function} has no answer")

    # -- what it gets -----------------------------------------------------------------------

    def wait_for(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first packet, of all that ever came, that is wanted."""
        with self._changed:
            self._changed.wait_for(lambda: any(map(wanted, self.packets)), WAIT_S)
            found = [packet for packet in self.packets if wanted(packet)]
        assert found, self.notifications()
        return found[0]

    def wait_for_state(self, task_id: str, state: str) -> dict[str, Any]:
        """The status with which it came there."""

        def wanted(packet: Mapping[str, Any]) -> bool:
            status = packet["arguments"]
            return (
                packet["fncname"] == "MusicDB:Task"
                and status["taskid"] == task_id
                and status["state"] == state
            )

        return self.wait_for(wanted)["arguments"]

    def wait_until_closed(self, timeout_s: float = WAIT_S) -> int | None:
        self._thread.join(timeout_s)
        assert not self._thread.is_alive()
        return self.code

    def notifications(self) -> list[tuple[str, str]]:
        """Name and state of each notification that came."""
        return [
            (packet["fncsig"], packet["arguments"]["state"])
            for packet in self.packets
            if packet["fncname"] == "MusicDB:Task"
        ]


def announcement(data: bytes, name: str, content_type: str = "albumfile") -> dict[str, Any]:
    """The arguments of `InitiateUpload`, as the browser has them: the SHA-1 is the id."""
    sha1 = hashlib.sha1(data).hexdigest()
    return {
        "taskid": sha1,
        "mimetype": "",
        "contenttype": content_type,
        "filesize": len(data),
        "checksum": sha1,
        "filename": name,
    }


@define(eq=False)
class BrowserClient(Client):
    """Behaves as MusicDB's page does.

    It calls and seldom asks, answers every chunk request for a file that it has, integrates
    artwork by itself, and after a reconnect sends an empty chunk for each upload it has.
    """

    files: dict[str, bytes] = field(factory=dict, init=False)
    #: The most chunks that it sends over one connection; then the cable is pulled.
    pulled_after: int | None = None
    chunks: int = field(default=0, init=False)
    #: A page does one thing after the other.
    _turn: threading.Lock = field(factory=threading.Lock, init=False)

    def upload(self, path: Path, content_type: str = "albumfile", **annotations: Any) -> str:
        arguments = announcement(path.read_bytes(), path.name, content_type)
        task_id = arguments["taskid"]
        self.files[task_id] = path.read_bytes()
        with self._turn:
            self.send("InitiateUpload", arguments)
            self.send("AnnotateUpload", {"taskid": task_id, **annotations})
        return task_id

    def heard(self, packet: Mapping[str, Any]) -> None:
        if packet["fncname"] != "MusicDB:Task":
            return
        status = packet["arguments"]
        if packet["fncsig"] == "ChunkRequest":
            self._answer(status)
        elif packet["fncsig"] == "StateUpdate" and status["state"] == "readyforintegration":
            task = status["task"]
            if task["contenttype"] == "artwork" and task["id"] in self.files:
                arguments = {"taskid": task["id"], "musicpath": task["annotations"]["musicpath"]}
                self.send("InitiateContentIntegration", arguments)

    def _answer(self, status: Mapping[str, Any]) -> None:
        data = self.files.get(status["taskid"])
        if data is None:
            return
        chunk = data[status["offset"] : status["offset"] + status["chunksize"]]
        with suppress(ConnectionClosed), self._turn:
            self.send("UploadChunk", {"taskid": status["taskid"], "chunkdata": chunk.hex()})
        self.chunks += 1
        if self.pulled_after is not None and self.chunks >= self.pulled_after:
            self.pulled_after = None
            self.connection.socket.shutdown(socket.SHUT_RDWR)

    def reconnect(self) -> None:
        self.close()
        self.connect()
        for task_id in self.files:
            self.send("UploadChunk", {"taskid": task_id, "chunkdata": ""})
