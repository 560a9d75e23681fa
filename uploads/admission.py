"""Which uploads are let in: what a client announces is checked before anything is made."""

from __future__ import annotations

import re

from ..engine import check_task_id
from ..errors import InvalidPath, TaskInvalid, UploadRefused
from ..files import check_name

#: No file system has larger files, and no database larger numbers.
_MOST_BYTES = 2**63 - 1
_CHECKSUM = re.compile(r"[0-9A-Fa-f]{40}")


def is_checksum(text: str) -> bool:
    """Whether it is a SHA-1 in hex digits."""
    return _CHECKSUM.fullmatch(text) is not None


def check_announcement(
    file_size: object,
    checksum: object,
    source_filename: object,
    task_id: object,
    max_size_bytes: int | None = None,
) -> None:
    """Refuses what is not a valid announcement of an upload.

    Args:
        file_size: Bytes of the whole file.
        checksum: Its SHA-1 in hex digits, or None.
        source_filename: The client's name of the file, or None.
        task_id: The id that the client wants, or None.
        max_size_bytes: A larger file is refused.

    Raises:
        TypeError: An argument has the wrong type.
        UploadRefused: It says what is wrong.
    """
    optional = {"checksum": checksum, "source_filename": source_filename, "task_id": task_id}
    for name, value in optional.items():
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{name} is text or None, not {value!r}")
    if isinstance(file_size, bool) or not isinstance(file_size, int):
        raise TypeError(f"file_size is a number of bytes, not {file_size!r}")
    if isinstance(task_id, str):
        try:
            check_task_id(task_id)
        except TaskInvalid as error:
            raise UploadRefused(error.reason) from error
    if isinstance(checksum, str) and not is_checksum(checksum):
        shown = checksum[:80]
        raise UploadRefused(f"the checksum {shown!r} is not a valid SHA-1 of 40 hex digits")
    if isinstance(source_filename, str):
        try:
            check_name(source_filename)
        except InvalidPath as error:
            raise UploadRefused(str(error)) from error
    if file_size < 1:
        raise UploadRefused(f"a file of {file_size} bytes cannot be uploaded: it has no content")
    if file_size > _MOST_BYTES:
        raise UploadRefused(f"no file has {file_size} bytes")
    if max_size_bytes is not None and file_size > max_size_bytes:
        raise UploadRefused(
            f"{file_size} bytes are more than the {max_size_bytes} that are allowed"
        )
