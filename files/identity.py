"""What tells one state of a file from another."""

from __future__ import annotations

import os
from struct import Struct
from typing import NewType

#: Inode, modification time in seconds and ns (as ns alone, that of a file of the year 2263 has more
#: than 64 bits), size.
_PACKED = Struct("=QqIQ")
_NS = 1_000_000_000


#: Packed, for there is one for each task.
Identity = NewType("Identity", bytes)


def identity_of(status: os.stat_result) -> Identity:
    return Identity(_PACKED.pack(status.st_ino, *divmod(status.st_mtime_ns, _NS), status.st_size))


def written_at(identity: Identity) -> float:
    """When the file was written last, in unix seconds."""
    _, seconds, ns, _ = _PACKED.unpack(identity)
    return seconds + ns / _NS
