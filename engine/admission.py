"""Which uploads are let in: what a client announces is checked before anything is made."""

from __future__ import annotations

import re

from attrs import evolve

from ..errors import ExtraMissing, InvalidPath, UploadRefused
from ..library import check_video_extra
from ..persistence import TASK_ID
from ..statemachine import Task
from . import targets
from .settings import Settings
from .upload_names import data_name

_CHECKSUM = re.compile(r"[0-9A-Fa-f]{40}")
#: Type and subtype, and whatever parameters a browser adds.
_MIME_TYPE = re.compile(r"[ -~]{1,255}")
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,16}")


def announced(record: Task, settings: Settings) -> Task:
    """The record with the place of its data.

    Raises:
        UploadRefused: Such an upload is not allowed; the reason says why.
    """
    content_type, checksum = record.content_type, record.source_checksum
    assert content_type is not None
    assert checksum is not None
    assert record.file_size is not None
    _check_allowed(settings, content_type, record.file_size)
    name = data_name(content_type, checksum, _extension(record.source_filename))
    return evolve(record, offset=0, upload_path=name)


def _check_allowed(settings: Settings, content_type: str, file_size: int) -> None:
    if not settings.allow:
        raise UploadRefused("uploads are switched off ([uploads] allow is empty)")
    if content_type not in settings.allow:
        allowed = ", ".join(sorted(settings.allow))
        raise UploadRefused(f"content type {content_type!r} is not allowed, but: {allowed}")
    if content_type == "video":
        try:
            check_video_extra()
        except ExtraMissing as error:
            raise UploadRefused(f"videos cannot be read here, {error}") from error
    if file_size < 1:
        raise UploadRefused(f"a file of {file_size} bytes is none")
    if file_size > settings.max_upload_size_bytes:
        most = settings.max_upload_size_bytes
        raise UploadRefused(f"{file_size} bytes are more than the {most} of [tasks] maxuploadsize")


def is_checksum(text: str) -> bool:
    """Whether it is a SHA-1 in hex digits."""
    return _CHECKSUM.fullmatch(text) is not None


def bad_id(task_id: str) -> str:
    return f"the id {task_id[:80]!r} is not 1 to 64 of A-Z a-z 0-9 -"


def check(
    content_type: object,
    file_size: object,
    checksum: object,
    mime_type: object,
    source_filename: object,
    task_id: object,
) -> None:
    """Refuses what is no announcement of an upload at all.

    Raises:
        TypeError: An argument has the wrong type.
        UploadRefused: The id, the checksum or the MIME type is none.
    """
    for name, value in (("content_type", content_type), ("checksum", checksum)):
        if not isinstance(value, str):
            raise TypeError(f"{name} is text, not {value!r}")
    optional = {"mime_type": mime_type, "source_filename": source_filename, "task_id": task_id}
    for name, value in optional.items():
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{name} is text or None, not {value!r}")
    if isinstance(file_size, bool) or not isinstance(file_size, int):
        raise TypeError(f"file_size is a number of bytes, not {file_size!r}")
    if isinstance(mime_type, str) and not _MIME_TYPE.fullmatch(mime_type):
        raise UploadRefused(f"the MIME type {mime_type[:80]!r} is none")
    if isinstance(task_id, str) and not TASK_ID.fullmatch(task_id):
        raise UploadRefused(bad_id(task_id))
    if not is_checksum(str(checksum)):
        raise UploadRefused(f"the checksum {str(checksum)[:80]!r} is no SHA-1 of 40 hex digits")


def _extension(source_filename: str | None) -> str | None:
    """The file name if its extension can stand in a name on disk.

    Raises:
        UploadRefused: The name is no name of a file.
    """
    if source_filename is None:
        return None
    try:
        targets.check_source_name(source_filename)
    except InvalidPath as error:
        raise UploadRefused(str(error)) from error
    dot = source_filename.rfind(".")
    extension = source_filename[dot:] if dot > 0 else ""
    return f"x{extension}" if _EXTENSION.fullmatch(extension) else None
