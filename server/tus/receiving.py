"""Bytes of a request go into the file of an upload."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from anyio import CancelScope, to_thread
from attrs import frozen

from ...errors import ChunkRefused
from ...uploads import Uploads, WholeChunk
from ..problems import Problem
from .bodies import Body
from .headers import Checksum


@frozen(eq=False)
class Receiving:
    """What one request brings, for the place where the upload stands."""

    uploads: Uploads
    task_id: str
    offset: int
    #: Bytes of the whole file.
    total: int
    body: Body

    async def run(self, expected: Checksum | None) -> tuple[Any, int]:
        """The record after it, and where the upload stands then.

        Without a checksum, what has come counts, also if the connection drops.

        Raises:
            Problem: 460, the checksum is another; 413, more comes than is missing; 423, another
                request has taken over; what the gate has against a body that comes too slowly.
            ChunkRefused, TaskNotFound, TaskNotSaved, InvalidTaskFile: As the engine has it.
        """
        pieces = self.body.pieces(self.total - self.offset)
        if expected is None:
            record, size = await self._plain(pieces)
            self._check_end()
        else:
            record, size = await self._whole(pieces, expected)
        return record, self.offset + size

    async def _plain(self, pieces: AsyncIterator[list[bytes]]) -> tuple[Any, int]:
        record, size = None, 0
        async for parts in pieces:
            receive = partial(self.uploads.receive, offset=self.offset + size)
            record = await to_thread.run_sync(receive, self.task_id, parts)
            size += sum(map(len, parts))
        return record, size

    async def _whole(
        self, pieces: AsyncIterator[list[bytes]], expected: Checksum
    ) -> tuple[Any, int]:
        begin = partial(self.uploads.whole_chunk, self.task_id, offset=self.offset)
        chunk: WholeChunk = await to_thread.run_sync(begin)
        hashed = expected.new()

        def write(parts: list[bytes]) -> None:
            chunk.write(parts)
            for part in parts:
                hashed.update(part)

        try:
            async for parts in pieces:
                await to_thread.run_sync(write, parts)
            self._check_end()
            if not expected.is_that_of(hashed):
                detail = f"the bytes have another {expected.algorithm} than Upload-Checksum says"
                raise Problem(460, "ChecksumMismatch", detail)
            return await to_thread.run_sync(chunk.accept), chunk.size
        finally:
            with CancelScope(shield=True):
                await to_thread.run_sync(chunk.take_back)

    def _check_end(self) -> None:
        if self.body.error is not None:
            raise self.body.error
        if self.body.superseded:
            raise Problem(423, "UploadLocked", "another request has taken over")
        if self.body.dropped:
            raise Problem(400, "ConnectionDropped", "the connection dropped")  # nobody reads it


def refused(error: ChunkRefused) -> Exception:
    """What is answered to a chunk that was refused."""
    offset = error.offset
    headers = {} if offset is None else {"Upload-Offset": str(offset)}
    status = 507 if isinstance(error.__cause__, OSError) else 409
    members = {"task_id": error.task_id, "offset": offset}
    return Problem(status, "ChunkRefused", str(error), headers=headers, **members)
