"""A chunk that comes in piece by piece, and counts as a whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from attrs import define, field

if TYPE_CHECKING:
    from .uploads import Uploads


@define(eq=False)
class WholeChunk:
    """Made by `Uploads.whole_chunk`: at the end of its `with` block it is dropped, or accepted.

    Its pieces go into the file of the upload as they come. Whatever else comes for the upload
    meanwhile takes its place: then it is dropped, and its calls raise ChunkRefused.
    """

    _uploads: Uploads
    task_id: str
    #: Where it begins, in bytes.
    offset: int
    #: Bytes that have been written so far.
    size: int = field(default=0, init=False)

    def write(self, data: bytes | Sequence[bytes]) -> None:
        """Writes its next bytes, in one piece or several.

        Raises:
            ChunkRefused: More bytes than announced, or no room; the upload stands where it stood,
                and no room means that the chunk has been dropped.
            TaskNotFound, InvalidTaskFile: The task is gone.
        """
        self.size += self._uploads.write_piece(self, data)

    def accept(self) -> Any:
        """Lets it count, and returns the record; with the last byte the checksum decides.

        Raises:
            ChunkRefused, TaskNotFound, TaskNotSaved, InvalidTaskFile: The upload stands where it
                stood.
        """
        return self._uploads.accept(self)

    def take_back(self) -> None:
        """Drops it, unless it was accepted or dropped before."""
        self._uploads.take_back(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.take_back()
