"""What the file of an upload is called in its task's directory."""

from __future__ import annotations

import re

from ..statemachine import UploadTask

_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,16}")


def data_name(kind: str, task: UploadTask) -> str:
    """`{kind}-{checksum}.{extension}`, lower case; no dot where there is no extension.

    As long as nobody knows the checksum, the task's id has its place.
    """
    unique = task.source_checksum or task.id
    return f"{kind}-{unique}{extension_of(task.source_filename)}".lower()


def upload_name(task: UploadTask) -> str:
    """`upload-{checksum}.{extension}`: what an upload is called where nobody says otherwise."""
    return data_name("upload", task)


def extension_of(source_filename: str | None) -> str:
    """The extension of a client's file name, with its dot, if it can stand in a name on disk."""
    name = source_filename or ""
    dot = name.rfind(".")
    extension = name[dot:] if dot > 0 else ""
    return extension if _EXTENSION.fullmatch(extension) else ""
