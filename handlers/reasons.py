"""What a client is told when the disk refuses."""

from __future__ import annotations


def disk_reason(error: OSError, path: str) -> str:
    """One line: "No space left on device: Artist/2020 - Album/01 Song.flac".

    `path` is what the client knows the file by; the error's own is the server's.
    """
    return f"{error.strerror or error or type(error).__name__}: {path}"
