"""Checksums of files that may be large: the work can be stopped in the middle."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import BinaryIO

_BLOCK_BYTES = 1024 * 1024


def sha256_of(file: BinaryIO, check: Callable[[], object] | None = None) -> str:
    """SHA-256 of the whole file, in hex digits; `check` is called for each MiB, and may raise.

    Raises:
        OSError: The disk does not give the file.
    """
    file.seek(0)
    digest, block = hashlib.sha256(), memoryview(bytearray(_BLOCK_BYTES))
    while length := file.readinto(block):  # pyright: ignore[reportAttributeAccessIssue]
        digest.update(block[:length])
        if check is not None:
            check()
    return digest.hexdigest()
