"""HTTP byte by byte on a real socket, and tus spoken with it."""

from __future__ import annotations

import base64
import hashlib
import select
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from attrs import define, field, frozen

BODY_TYPE = "application/offset+octet-stream"
TUS = {"Tus-Resumable": "1.0.0"}


@frozen
class Answer:
    status: int
    #: By names in lower case.
    headers: Mapping[str, str]
    body: bytes

    def offset(self) -> int:
        return int(self.headers["upload-offset"])


@define
class Connection:
    """One connection to a server on this machine."""

    port: int
    _socket: socket.socket = field(init=False)
    _read: bytes = field(default=b"", init=False)

    def __attrs_post_init__(self) -> None:
        self._socket = socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def request(
        self, method: str, target: str, headers: Mapping[str, Any], body: bytes = b""
    ) -> None:
        self.send(head(method, target, headers, len(body)) + body)

    def answer(self, *, to_head: bool = False) -> Answer:
        """The next answer; 100 Continue is one, too."""
        while b"\r\n\r\n" not in self._read:
            self._more()
        top, _, self._read = self._read.partition(b"\r\n\r\n")
        first, *lines = top.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (x.partition(": ") for x in lines)}
        status = int(first.split(" ")[1])
        size = 0 if to_head or status in {100, 204} else int(headers.get("content-length", 0))
        while len(self._read) < size:
            self._more()
        body, self._read = self._read[:size], self._read[size:]
        return Answer(status, headers, body)

    def _more(self) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionError("the server closed the connection")
        self._read += data

    def is_answered(self, timeout_s: float) -> bool:
        """Whether something comes, or the end, in so many seconds."""
        return bool(self._read or select.select([self._socket], [], [], timeout_s)[0])

    def at_end(self) -> bool:
        """Whether the server closes the connection, now or soon."""
        return not self._read and self._socket.recv(1) == b""

    def end_sending(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._socket.close()

    def reset(self) -> None:
        """Closes it as a crashed client's system does."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self._socket.close()


def head(method: str, target: str, headers: Mapping[str, Any], size: int | None) -> bytes:
    """The top of a request; a header that is None is left out."""
    said = {"Host": "127.0.0.1", **({} if size is None else {"Content-Length": size}), **headers}
    lines = [f"{name}: {value}" for name, value in said.items() if value is not None]
    return "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""]).encode("latin-1")


@frozen
class Tus:
    """A client that says what it is told, right or wrong."""

    port: int

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        connection = Connection(self.port)
        try:
            yield connection
        finally:
            connection.close()

    def ask(
        self, method: str, target: str = "/uploads/", body: bytes = b"", **headers: Any
    ) -> Answer:
        """One request on a connection of its own; `Upload_Length=3` is a header, None is none."""
        said = {**TUS, **{name.replace("_", "-"): value for name, value in headers.items()}}
        with self.connection() as connection:
            connection.request(method, target, said, body)
            return connection.answer(to_head=method == "HEAD")

    def create(self, size: int, **metadata: Any) -> str:
        """The path of a new upload."""
        made = self.ask("POST", Upload_Length=size, Upload_Metadata=encoded(metadata) or None)
        assert made.status == 201, made
        return "/" + made.headers["location"].split("/", 3)[3]

    def patch(self, target: str, offset: int, body: bytes, **headers: Any) -> Answer:
        said = {"Upload_Offset": offset, "Content_Type": BODY_TYPE, **headers}
        return self.ask("PATCH", target, body, **said)

    def offset(self, target: str) -> int:
        found = self.ask("HEAD", target)
        assert found.status == 200, found
        return found.offset()


def encoded(metadata: Mapping[str, Any]) -> str:
    """`Upload-Metadata` of texts or bytes."""
    pairs = []
    for key, value in metadata.items():
        data = value if isinstance(value, bytes) else str(value).encode()
        pairs.append(f"{key} {base64.b64encode(data).decode()}")
    return ",".join(pairs)


def checksum(data: bytes, algorithm: str = "sha1") -> str:
    """`Upload-Checksum` of these bytes."""
    return f"{algorithm} {base64.b64encode(hashlib.new(algorithm, data).digest()).decode()}"


def chunked(*pieces: bytes) -> bytes:
    """A body in the transfer coding of chunks, whole."""
    return b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in pieces if one) + b"0\r\n\r\n"
