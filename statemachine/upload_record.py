"""The record of a task that takes a file, and the guards of its edges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from .record import Task, in_file

_OURS = in_file(editable=False)
_COUNT = in_file(editable=False, count=True)


@frozen(kw_only=True, weakref_slot=False)
class UploadTask(Task):
    """A task with an uploaded file; derive the record of a lifecycle with an upload state from it.

    All paths are relative to the uploads directory, and begin with the task's own directory.
    """

    #: Bytes of the whole file.
    file_size: int | None = field(default=None, metadata=_COUNT)
    #: Bytes of it that are there.
    offset: int | None = field(default=None, metadata=_COUNT)
    upload_path: str | None = field(default=None, metadata=in_file(editable=False, path=True))
    #: The client's name of the file; only its extension is used.
    source_filename: str | None = field(default=None, metadata=_OURS)
    #: SHA-1, 40 hex digits; None as long as nobody has announced or measured it.
    source_checksum: str | None = field(default=None, metadata=_OURS)

    @property
    def upload_name(self) -> str | None:
        """The name of the uploaded file in the task's own directory."""
        return self.upload_path and self.upload_path.partition("/")[2]


def is_incomplete(task: UploadTask, payload: Mapping[str, Any]) -> bool:
    """The payload's `size`, the bytes that are there, is less than the file's."""
    return task.file_size is not None and 0 <= payload.get("size", -1) < task.file_size


def is_complete(task: UploadTask, payload: Mapping[str, Any]) -> bool:
    """The payload's `size` is the file's, and its `sha1` the announced one, if one was."""
    sha1 = str(payload.get("sha1")).lower()
    return (
        task.file_size is not None
        and payload.get("size") == task.file_size
        and sha1 == (task.source_checksum or sha1).lower()
        and payload.get("sha1") is not None
    )
