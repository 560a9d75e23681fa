"""The requests of tus, by method."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, ClassVar

from anyio import to_thread
from attrs import define, field
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from ...errors import ChunkRefused, InvalidTaskFile, TaskNotFound, TaskNotSaved
from ...statemachine import Role, UploadTask
from ...uploads import Uploads
from ..door import Door
from ..problems import ANSWERED, Problem, problem_response
from ..unfinished import Unfinished
from . import headers as tus
from .bodies import PIECE_BYTES, Body
from .creation import METADATA_KEY, Announcement
from .receiving import Receiving, refused
from .running import Running


@define(eq=False)
class TusEndpoint:
    """An ASGI application for the uploads of one engine."""

    #: Method and path, for the description of the API.
    operations: ClassVar = (
        *((method, "/uploads/") for method in ("OPTIONS", "POST")),
        *((method, "/uploads/{id}") for method in ("OPTIONS", "HEAD", "PATCH", "DELETE")),
    )
    _door: Door
    _uploads: Uploads
    _running: Running = field(factory=Running, init=False)

    @property
    def _unfinished(self) -> Unfinished:
        assert self._door.unfinished is not None
        return self._door.unfinished

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        asks_first = request.headers.get("expect", "").lower() == "100-continue"
        try:
            async with Body(receive, asks_first) as body:
                response = await self._answer(request, body)
        except (Problem, *ANSWERED) as error:
            response = problem_response(error)
        await response(scope, receive, send)

    async def _answer(self, request: Request, body: Body) -> Response:
        method = request.headers.get("x-http-method-override", request.method).upper()
        task_id = request.path_params.get("id", "")
        if method == "OPTIONS":
            return self._options()
        if tus.single(request.headers, "tus-resumable") != tus.VERSION:
            detail = f"the header Tus-Resumable has to be there, and be {tus.VERSION}"
            raise Problem(412, "WrongVersion", detail, headers={"Tus-Version": tus.VERSION})
        if not task_id:
            calls = {"POST": lambda: self._post(request, body)}
        else:
            calls = {
                "HEAD": lambda: self._head(task_id),
                "PATCH": lambda: self._patch(request, body, task_id),
                "DELETE": lambda: self._delete(task_id),
            }
        if method not in calls:
            allowed = ", ".join([*calls, "OPTIONS"])
            detail = f"{method[:40]!r} is not allowed here, but: {allowed}"
            raise Problem(405, "MethodNotAllowed", detail, headers={"Allow": allowed})
        return await calls[method]()

    def _options(self) -> Response:
        said = {
            "Tus-Version": tus.VERSION,
            "Tus-Extension": tus.EXTENSIONS,
            "Tus-Max-Size": str(self._unfinished.most_bytes),
            "Tus-Checksum-Algorithm": ",".join(tus.ALGORITHMS),
        }
        return Response(headers=said)

    # -- POST ---------------------------------------------------------------------------------

    async def _post(self, request: Request, body: Body) -> Response:
        given = request.headers
        if "upload-defer-length" in given:
            raise tus.bad_header("Upload-Defer-Length", "the length has to be known: Upload-Length")
        if "upload-concat" in given:  # a part would be taken for a whole file
            reason = "parts are not put together here: send the file in one upload"
            raise tus.bad_header("Upload-Concat", reason)
        size = tus.number(given, "Upload-Length")
        header = tus.single(given, "Upload-Metadata") or ""
        announced = Announcement.of(size, header, music=self._door.music is not None)
        expected = tus.checksum(given)
        self._unfinished.check_size(size)
        has_body = await self._has_body(given, body)
        if (tus.body_size(given) or 0) > size:
            raise Problem(413, "TooLong", "the body is longer than Upload-Length")
        task_id = announced.task_id
        if task_id is None:
            task_id = self._door.engine.new_id()
        said = {"Location": f"{_base(request)}/{task_id}"}
        if not has_body:
            record = await self._begin(announced, task_id)
        elif await self._may_be_at_once(announced, expected, given, body):
            record = await self._begin_with_all(announced, task_id, body, said["Location"])
            said["Upload-Offset"] = str(self._offset(record))
        else:
            record = await self._begin(announced, task_id)
            is_named = announced.task_id is not None
            record, offset = await self._first_bytes(
                record, body, expected, said["Location"], is_named=is_named
            )
            said["Upload-Offset"] = str(offset)
        said |= await self._expiry(record)
        return Response(status_code=201, headers=said)

    async def _has_body(self, given: Headers, body: Body) -> bool:
        if tus.body_size(given) == 0:
            return False
        if not tus.is_body_type(given):
            # One in chunks may turn out to be empty.
            if tus.body_size(given) is None and await body.is_empty():
                return False
            raise _wrong_type()
        return True

    async def _begin(self, announced: Announcement, task_id: str) -> Any:
        with self._reserved(announced, task_id):
            begin = announced.begin
            record = await to_thread.run_sync(begin, self._door, self._uploads, task_id)
        self._door.removals.discard(task_id)
        return record

    @contextmanager
    def _reserved(self, announced: Announcement, task_id: str) -> Iterator[None]:
        """The block makes the upload, or raises."""
        new = self._unfinished.reserve(task_id, announced.size)
        try:
            yield
        except BaseException:
            if new:
                # It may have been made, and wait for its bytes again.
                self._unfinished.forget_unless_waiting(task_id)
            raise

    async def _may_be_at_once(
        self, announced: Announcement, expected: tus.Checksum | None, given: Headers, body: Body
    ) -> bool:
        """Whether a new upload can be made with all its bytes, for they are there."""
        size = tus.body_size(given)
        if announced.task_id is not None or expected is not None or size is None:
            return False
        return size <= PIECE_BYTES and await body.comes_soon(announced.size)

    async def _begin_with_all(
        self, announced: Announcement, task_id: str, body: Body, location: str
    ) -> Any:
        """As `_begin` and `_first_bytes`, in one turn of a thread: it costs more than the bytes."""
        parts, begun = body.take(), False

        def act() -> Any:
            nonlocal begun
            announced.begin(self._door, self._uploads, task_id)
            begun = True
            return self._uploads.receive(task_id, parts, offset=0)

        try:
            async with self._running.turn(task_id, body):
                with self._reserved(announced, task_id), self._refusals(task_id):
                    return self._judged(await to_thread.run_sync(act))
        except (Problem, TaskNotSaved) as error:
            if begun:
                # Invariant: after the turn, for whose end this waits.
                await self._end_wrong(error, task_id, body, location)
            raise

    async def _first_bytes(
        self,
        record: Any,
        body: Body,
        expected: tus.Checksum | None,
        location: str,
        *,
        is_named: bool,
    ) -> tuple[Any, int]:
        """Takes the bytes that came with the announcement, which may have named the upload."""
        try:
            async with self._running.turn(record.id, body):
                record = self._find(record.id)
                if record.offset:
                    return record, record.offset  # it goes on: the client is told where
                return await self._take(record, 0, body, expected)
        except Problem as error:
            await self._end_wrong(error, record.id, body, location)
            raise
        except TaskNotSaved as error:
            if not is_named:  # else the client knows it, and goes on
                await self._end_wrong(error, record.id, body, location)
            raise

    async def _end_wrong(
        self, error: Problem | TaskNotSaved, task_id: str, body: Body, location: str
    ) -> None:
        """A client whose bytes were refused with the announcement would not know where the upload
        is, so it goes.
        """
        kind = error.kind if isinstance(error, Problem) else None
        if isinstance(error, Problem) and kind == "UploadFailed":
            error.headers["Location"] = location
        elif kind != "UploadLocked" and not (body.dropped or body.error):
            # If it cannot be removed, it goes when it has expired.
            with suppress(Problem, TaskNotSaved, InvalidTaskFile):
                await self._terminate(task_id)

    # -- HEAD ---------------------------------------------------------------------------------

    async def _head(self, task_id: str) -> Response:
        await self._running.end_dead(task_id)
        record = self._find(task_id)
        said = {
            "Upload-Offset": str(self._offset(record)),
            "Upload-Length": str(record.file_size),
            "Cache-Control": "no-store",
        }
        metadata = record.unknown.get(METADATA_KEY)
        if isinstance(metadata, str) and metadata.isascii() and metadata.isprintable():
            said["Upload-Metadata"] = metadata
        said |= await self._expiry(record)
        return Response(headers=said)

    def _find(self, task_id: str) -> Any:
        """The record of an upload that still takes bytes, or has all of them.

        Raises:
            Problem: 404, there is none; 410, it expired; 460, its bytes were not those announced.
        """
        engine = self._door.engine
        try:
            record = engine.get(task_id)
        except TaskNotFound:
            raise self._gone(task_id) from None
        if engine.lifecycle.role(record.state) in {Role.REMOVING, Role.GONE}:
            raise self._gone(task_id, was_there=True)
        if not isinstance(record, UploadTask) or record.file_size is None:
            raise self._gone(task_id)
        return self._judged(record)

    def _gone(self, task_id: str, *, was_there: bool = False) -> Problem:
        """Of what a client removed, 404; of what ended by itself, 410."""
        if task_id in self._door.removals:
            return Problem(404, "TaskNotFound", f"the upload {task_id!r} was removed by a client")
        if was_there or self._door.engine.was_removed(task_id):
            detail = "this upload is gone: it waited too long, or all was done with it"
            return Problem(410, "UploadGone", detail)
        return Problem(404, "TaskNotFound", f"there is no upload {task_id[:80]!r}")

    def _offset(self, record: Any) -> int:
        waits = record.state == self._uploads.state
        return (record.offset or 0) if waits else record.file_size

    async def _expiry(self, record: Any) -> dict[str, str]:
        """What is said of when the upload goes; nothing once it has all bytes."""
        if record.state != self._uploads.state:
            return {}
        try:
            expires_at = await to_thread.run_sync(self._uploads.expires_at, record.id)
        except TaskNotFound:
            return {}
        return {} if expires_at is None else {"Upload-Expires": tus.http_date(expires_at)}

    # -- PATCH --------------------------------------------------------------------------------

    async def _patch(self, request: Request, body: Body, task_id: str) -> Response:
        given = request.headers
        if not tus.is_body_type(given):
            raise _wrong_type()
        offset = tus.number(given, "Upload-Offset")
        expected = tus.checksum(given)
        self._find(task_id)
        # Invariant: no await before, so that whoever comes later knows of this request.
        async with self._running.turn(task_id, body):
            record = self._find(task_id)
            at = self._offset(record)
            if offset != at:
                detail = f"the upload stands at byte {at}, not {offset}"
                said = {"Upload-Offset": str(at)}
                raise Problem(409, "WrongOffset", detail, headers=said, offset=at)
            if at + (tus.body_size(given) or 0) > record.file_size:
                raise Problem(413, "TooLong", "the body is longer than what is left of the upload")
            record, at = await self._take(record, at, body, expected)
        said = {"Upload-Offset": str(at), **await self._expiry(record)}
        return Response(status_code=204, headers=said)

    async def _take(
        self, record: Any, at: int, body: Body, expected: tus.Checksum | None
    ) -> tuple[Any, int]:
        if at == record.file_size:  # nothing is missing, and nothing may come
            if not await body.is_empty():
                raise Problem(413, "TooLong", "the upload is complete")
            return record, at
        receiving = Receiving(self._uploads, record.id, at, record.file_size, body)
        with self._refusals(record.id):
            after, at = await receiving.run(expected)
        return (record if after is None else self._judged(after)), at

    @contextmanager
    def _refusals(self, task_id: str) -> Iterator[None]:
        """What the engine has against bytes, as a client is told."""
        try:
            yield
        except ChunkRefused as error:
            self._find(task_id)  # it may be gone by now
            raise refused(error) from error
        except TaskNotFound:
            raise self._gone(task_id) from None

    def _judged(self, record: Any) -> Any:
        """The record after bytes came, unless they were the wrong ones."""
        if self._uploads.has_failed(record):
            message = record.history[-1].message or "its bytes are not those that were announced"
            raise Problem(460, "UploadFailed", message, state=record.state)
        return record

    # -- DELETE -------------------------------------------------------------------------------

    async def _delete(self, task_id: str) -> Response:
        try:
            self._find(task_id)
        except Problem as error:
            if error.kind != "UploadFailed":
                raise
        await self._terminate(task_id)
        return Response(status_code=204)

    async def _terminate(self, task_id: str) -> None:
        await self._running.end(task_id)
        try:
            await to_thread.run_sync(self._door.engine.remove, task_id)
        except TaskNotFound:
            raise self._gone(task_id) from None
        self._door.removals.add(task_id)
        self._unfinished.forget(task_id)


def _wrong_type() -> Problem:
    return Problem(415, "WrongType", f"bytes of an upload have the type {tus.BODY_TYPE}")


def _base(request: Request) -> str:
    """Where the uploads are, as the client has to say it."""
    scope = request.scope
    host = request.headers.get("host", "")
    return f"{scope['scheme']}://{host}{scope.get('root_path', '').rstrip('/')}/uploads"


def routes(door: Door) -> list[BaseRoute]:
    """None where nothing receives uploads."""
    if door.uploads is None:
        return []
    endpoint = TusEndpoint(door, door.uploads)
    return [Route("/uploads", endpoint), Route("/uploads/{id:path}", endpoint)]
