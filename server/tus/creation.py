"""What a client announces of an upload, and the task that is made of it."""

from __future__ import annotations

import re
from typing import Any

from attrs import frozen

from ...errors import UploadRefused
from ...uploads import Uploads
from ..door import Door
from ..problems import Problem
from .headers import bad_header, metadata

#: Where a task keeps `Upload-Metadata`, which has to be given back as it was.
METADATA_KEY = "tusmetadata"

_SHA1 = re.compile(r"sha1 ([0-9A-Fa-f]{40})")
_MEANT = ("filename", "checksum", "taskid")
_MEANT_FOR_MUSIC = (*_MEANT, "filetype", "contenttype")


@frozen
class Announcement:
    """An upload as a client wants it."""

    size: int
    #: `Upload-Metadata`, as it came.
    metadata: str
    task_id: str | None
    checksum: str | None
    source_filename: str | None
    #: Of music; None elsewhere.
    content_type: str | None
    mime_type: str | None
    annotations: dict[str, str]

    @classmethod
    def of(cls, size: int, header: str, *, music: bool) -> Announcement:
        """Of the headers of a request.

        Raises:
            Problem: 400, it says what is wrong.
        """
        pairs = metadata(header)
        meant = {key: _text(key, pairs.pop(key)) for key in _names(music) if key in pairs}
        return cls(
            size=size,
            metadata=header,
            task_id=meant.get("taskid"),
            checksum=_sha1(meant.get("checksum")),
            source_filename=meant.get("filename") or None,
            content_type=meant.get("contenttype", "albumfile") if music else None,
            mime_type=meant.get("filetype") or None,
            annotations={key: value.decode("utf-8", "replace") for key, value in pairs.items()},
        )

    def begin(self, door: Door, uploads: Uploads, task_id: str) -> Any:
        """Makes the task, or finds the one of this id that waits for the same bytes.

        Raises:
            Problem: 400, it cannot be; 409, another task stands in its way; 413, its annotations
                are too large.
            IllegalTransition, TaskNotSaved: Nothing was made.
        """
        door.annotating.check(self.annotations)
        values: dict[str, Any] = {
            "file_size": self.size,
            "checksum": self.checksum,
            "source_filename": self.source_filename,
            "task_id": task_id,
            "annotations": self.annotations,
            "unknown": {METADATA_KEY: self.metadata} if self.metadata else {},
        }
        try:
            if door.music is None:
                return uploads.begin(**values)
            return door.music.begin_upload(
                content_type=self.content_type or "", mime_type=self.mime_type, **values
            )
        except UploadRefused as error:
            status = 400 if error.task_id is None else 409
            problem = Problem(status, "UploadRefused", error.reason, task_id=error.task_id)
            raise problem from error


def _names(music: bool) -> tuple[str, ...]:
    return _MEANT_FOR_MUSIC if music else _MEANT


def _text(key: str, value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise bad_header("Upload-Metadata", f"{key} is no text in UTF-8") from None


def _sha1(value: str | None) -> str | None:
    if value is None:
        return None
    match = _SHA1.fullmatch(value)
    if match is None:
        raise bad_header("Upload-Metadata", "checksum is not 'sha1' and 40 hex digits")
    return match[1]
