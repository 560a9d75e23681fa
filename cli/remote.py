"""A server elsewhere, as `musictasks add --server` speaks to it: its API, and tus."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable, Collection, Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from socket import EAI_NONAME, gaierror
from ssl import SSLCertVerificationError
from threading import Event
from typing import Any, BinaryIO, TypeVar
from urllib.parse import urlencode, urlsplit

from attrs import define, field

from .answers import (
    NoMusictasksServer,
    ServerRefused,
    ServerUnreachable,
    content_of,
    number_in,
    object_in,
    refusal,
)

_CHUNK_BYTES = 4 * 1024 * 1024
_TIMEOUT_S = 60
#: The pauses between tries grow up to this.
_PAUSE_MOST_S = 5.0
#: What will be otherwise soon: another request is under way, a limit is reached, the server
#: starts, its disk is full.
_PASSING = frozenset({408, 423, 429, 500, 502, 503, 504, 507})

_T = TypeVar("_T")


@define(eq=False)
class Remote:
    """One connection, made again whenever it breaks; a request is tried again for a while."""

    url: str
    token: str | None = field(repr=False)
    #: So long a request is tried again in which nothing gets on.
    patience_s: float = 300
    #: Told of each pause before another try.
    waiting: Callable[[str], object] = lambda _reason: None
    #: Set: nothing is tried again.
    stopped: Event = field(factory=Event)
    _connection: HTTPConnection | None = field(default=None, init=False)

    def call(
        self,
        method: str,
        path: str,
        given: Mapping[str, Any] | None = None,
        wanted: Collection[str] = (),
    ) -> dict[str, Any]:
        """One call of the API; the object that it answers, which has these members.

        Raises:
            ServerRefused, ServerUnreachable, NoMusictasksServer: It was not done.
        """
        body = b"" if given is None else json.dumps(given).encode()
        headers = {} if given is None else {"Content-Type": "application/json"}
        _, answer = self._patiently(lambda: self._request(method, f"/api/{path}", headers, body))
        found = object_in(answer)
        if found is None or not found.keys() >= set(wanted):
            raise NoMusictasksServer(self.url, f"{method} /api/{path} gave {answer[:80]!r}")
        return found

    def task(self, task_id: str) -> dict[str, Any] | None:
        """A task as the API shows it; None where there is none."""
        try:
            return self.call("GET", f"tasks/{task_id}", wanted=("state", "task"))
        except ServerRefused as error:
            if error.status == 404:
                return None
            raise

    def preflight(
        self, content_type: str, size: int, checksum: str, album: str | None = None
    ) -> dict[str, Any]:
        """What the server says would become of an upload; `unknown` where it is too old to say."""
        asked = {"contenttype": content_type, "filesize": size, "checksum": checksum}
        asked |= {"album": album} if album else {}
        try:
            return self.call("POST", "preflight", asked, wanted=("answer",))
        except ServerRefused as error:
            if error.status in {404, 405}:
                return {"answer": "unknown"}
            raise

    def spelling(self, artist: str) -> str:
        """The name of an artist as the library spells it, or as it is."""
        asked = urlencode({"artist": artist, "album": "Album", "year": "2000"})
        try:
            return self.call("GET", f"library/targets?{asked}").get("spelling") or artist
        except ServerRefused as error:
            if error.status == 422:
                return artist  # it can be no artist's: what comes next says so
            raise

    def target(self, task_id: str, asked: Mapping[str, Any]) -> str:
        """Where an upload would go.

        Raises:
            ServerRefused: Nothing tells, or something else is there.
        """
        said = {name: value for name, value in asked.items() if value is not None}
        path = f"library/targets?{urlencode({'task': task_id, **said})}"
        found = self.call("GET", path, wanted=("usable", "reason", "target"))
        if not found["usable"]:
            raise ServerRefused(409, str(found["reason"]), {})
        return found["target"]

    def begin(self, task_id: str, size: int, metadata: Mapping[str, str]) -> None:
        """Announces an upload, or finds the one of this id.

        Raises:
            ServerRefused, ServerUnreachable: It was not begun.
        """
        pairs = {"taskid": task_id, **metadata}
        encoded = (f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in pairs.items())
        headers = {"Upload-Length": str(size), "Upload-Metadata": ",".join(encoded)}
        self._patiently(lambda: self._announce(task_id, headers))

    def _announce(self, task_id: str, headers: Mapping[str, str]) -> None:
        try:
            self._tus("POST", "", headers)
        except ServerRefused as error:
            if error.problem.get("task_id") not in {None, task_id}:
                # Another upload of the same bytes: it will be at its end sometime.
                raise ConnectionError(error.reason) from error
            raise

    def send(self, task_id: str, file: BinaryIO, sent: Callable[[int], object]) -> None:
        """Sends what is missing of a file, with a SHA-1 for each chunk, whatever breaks.

        Args:
            task_id: The upload.
            file: The file, open for reading.
            sent: Called with the bytes that are there, whenever there are more.

        Raises:
            ServerRefused, ServerUnreachable: It stands where it stood.
        """
        offset, size = self._patiently(lambda: self._standing(task_id))
        while offset < size:
            file.seek(offset)
            chunk = file.read(min(_CHUNK_BYTES, size - offset))
            if not chunk:
                raise ServerRefused(409, "the file got shorter while it was read: add it again", {})
            offset, size = self._patiently(_Chunk(self, task_id, offset, size, chunk))
            sent(offset)

    def standing(self, task_id: str) -> tuple[int, int]:
        """The bytes that are there, and the bytes of the whole upload; asked once."""
        return self._standing(task_id)

    def _standing(self, task_id: str) -> tuple[int, int]:
        headers, _ = self._tus("HEAD", task_id, {})
        offset, size = (number_in(headers, f"upload-{what}") for what in ("offset", "length"))
        if not 0 <= offset <= size:
            raise NoMusictasksServer(self.url, "it does not say how much of an upload it has")
        return offset, size

    def patch(self, task_id: str, offset: int, chunk: bytes) -> None:
        """Sends one chunk once.

        Raises:
            ConnectionError: What answered did not take it.
        """
        digest = base64.b64encode(hashlib.sha1(chunk, usedforsecurity=False).digest()).decode()
        headers = {
            "Upload-Offset": str(offset),
            "Upload-Checksum": f"sha1 {digest}",
            "Content-Type": "application/offset+octet-stream",
        }
        said, _ = self._tus("PATCH", task_id, headers, chunk)
        if number_in(said, "upload-offset") != offset + len(chunk):
            raise ConnectionError("the answer to a chunk does not say that it is there")

    # -- requests -----------------------------------------------------------------------------

    def _patiently(self, request: Callable[[], _T]) -> _T:
        """What a request answers that is made again as long as its failure may pass."""
        until_s, pause_s = time.monotonic() + self.patience_s, 0.1
        while True:
            try:
                return request()
            except ServerRefused as error:
                if error.status not in _PASSING:
                    raise
                reason, last = error.reason, error
            except SSLCertVerificationError as error:
                raise ServerUnreachable(self.url, error.verify_message) from error
            except (OSError, HTTPException) as error:
                if isinstance(error, gaierror) and error.errno == EAI_NONAME:
                    raise ServerUnreachable(self.url, "its name is not known") from error
                said = error.strerror if isinstance(error, OSError) else None
                reason = said or str(error) or type(error).__name__
                last = ServerUnreachable(self.url, reason)
            if time.monotonic() > until_s:
                raise last
            self.waiting(reason)
            if self.stopped.wait(pause_s):
                raise last
            pause_s = min(2 * pause_s, _PAUSE_MOST_S)

    def _tus(
        self, method: str, task_id: str, headers: Mapping[str, str], body: bytes = b""
    ) -> tuple[dict[str, str], bytes]:
        said = {"Tus-Resumable": "1.0.0", **headers}
        return self._request(method, f"/uploads/{task_id}", said, body)

    def _request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[dict[str, str], bytes]:
        """One request, once; headers, by names in lower case, and body of the answer."""
        try:
            if self._connection is None:
                self._connection = self.connection(_TIMEOUT_S)
            answer = self.ask(self._connection, method, path, headers, body)
            content = content_of(answer, self.url)
        except BaseException:
            self.close()
            raise
        found = {name.lower(): value for name, value in answer.getheaders()}
        if 200 <= answer.status < 300:
            return found, content
        raise refusal(answer.status, found, content)

    def connection(self, timeout_s: float) -> HTTPConnection:
        """One more connection to the server."""
        parts = urlsplit(self.url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        return kind(parts.hostname or "", parts.port, timeout=timeout_s)

    def ask(
        self,
        connection: HTTPConnection,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> HTTPResponse:
        """Makes one request; the answer, whose body is still to be read."""
        said = dict(headers or {})
        if self.token is not None:
            said["Authorization"] = f"Bearer {self.token}"
        connection.request(method, urlsplit(self.url).path.rstrip("/") + path, body, said)
        return connection.getresponse()

    def close(self) -> None:
        """Closes the connection; the next request makes another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@define
class _Chunk:
    """Brings one chunk, once or, after a failure, from where the upload stands then."""

    remote: Remote
    task_id: str
    offset: int
    #: Of the whole upload.
    size: int
    chunk: bytes
    _tried: bool = field(default=False, init=False)

    def __call__(self) -> tuple[int, int]:
        if self._tried:
            # Also after an answer that never came: the chunk may be there.
            at, size = self.remote.standing(self.task_id)
            if at != self.offset:
                return at, size
        self._tried = True
        try:
            self.remote.patch(self.task_id, self.offset, self.chunk)
        except ServerRefused as error:
            damaged = error.status == 460 and error.problem.get("type") == "ChecksumMismatch"
            if damaged or error.status == 409:
                raise ConnectionError(error.reason) from error  # the next try asks where it stands
            raise
        return self.offset + len(self.chunk), self.size
