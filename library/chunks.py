"""WAV and AIFF files: chunks with a name and a length, one after the other."""

from __future__ import annotations

import struct
from typing import Any

from attrs import frozen

#: More than any program writes.
_CHUNKS_MOST = 10_000
#: What a program tells that writes into a pipe.
UNKNOWN_LENGTH = 0xFFFFFFFF


@frozen
class Chunk:
    """A chunk, as its header has it: it may be cut off."""

    #: Without the spaces at its end.
    name: bytes
    #: Where its content begins.
    first: int
    length: int

    @property
    def last(self) -> int:
        """The byte behind it."""
        return self.first + self.length


def read_chunks(file: Any) -> dict[bytes, Chunk] | None:
    """The first chunk of each name, by that; None where it is neither a WAV nor an AIFF file.

    The length of the whole is not believed: some taggers do not write it.
    """
    file.seek(0)
    head = file.read(12)
    kind = head[:4], head[8:]
    if kind == (b"RIFF", b"WAVE"):
        order = "<"
    elif kind in ((b"FORM", b"AIFF"), (b"FORM", b"AIFC")):
        order = ">"
    else:
        return None
    found: dict[bytes, Chunk] = {}
    at = 12
    for _ in range(_CHUNKS_MOST):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            break
        name, length = struct.unpack(f"{order}4sI", head)
        chunk = Chunk(name.rstrip(b" "), at + 8, length)
        found.setdefault(chunk.name, chunk)
        at = chunk.last + length % 2
    return found
