"""Checksums of files that may be large, found in one reading that can be stopped in the middle."""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from attrs import frozen

from .audio import Audio, find_audio

_BLOCK_BYTES = 1024 * 1024


@frozen
class Digests:
    """What was found of a file's bytes; None where it was not asked for."""

    size_bytes: int
    #: Hex digits.
    sha1: str | None = None
    #: Hex digits.
    sha256: str | None = None
    #: The same for every file with this audio, whatever its tags are; see `audio.find_audio`. None
    #: also where there is no audio that could be told from the rest.
    audio: str | None = None


def sha256_of(file: BinaryIO, check: Callable[[], object] | None = None) -> str:
    """SHA-256 of the whole file, in hex digits; `check` is called for each MiB, and may raise.

    Raises:
        OSError: The disk does not give the file.
    """
    digest = hashlib.sha256()
    _read(file, lambda block, _: digest.update(block), check)
    return digest.hexdigest()


def digests_of(
    file: BinaryIO,
    name: str,
    *,
    sha1: bool = True,
    sha256: bool = True,
    audio: bool = True,
    check: Callable[[], object] | None = None,
) -> Digests:
    """The checksums that are asked for; the file is read once at most.

    Args:
        file: Anything that can be read and sought.
        name: Its extension says what kind of audio may be in it.
        sha1: Whether the SHA-1 is wanted.
        sha256: Whether the SHA-256 is wanted.
        audio: Whether the hash of its audio is wanted.
        check: Called for each MiB; may raise to stop.

    Raises:
        OSError: The disk does not give the file.
    """
    place = find_audio(file, name) if audio else None
    hashers: dict[str, Any] = {}
    if sha1:
        hashers["sha1"] = hashlib.sha1(usedforsecurity=False)
    if sha256:
        hashers["sha256"] = hashlib.sha256()
    of_audio = hashlib.sha256() if place is not None and place.told is None else None
    starts = [first for first, _ in place.ranges] if place is not None else []

    def update(block: memoryview, offset: int) -> None:
        for hasher in hashers.values():
            hasher.update(block)
        if of_audio is not None and place is not None:
            for part in _parts(place, starts, block, offset):
                of_audio.update(part)

    size_bytes = _read(file, update, check) if hashers or of_audio else file.seek(0, 2)
    return Digests(
        size_bytes,
        **{kind: hasher.hexdigest() for kind, hasher in hashers.items()},
        audio=None if place is None else place.key(of_audio and of_audio.hexdigest()),
    )


def _parts(place: Audio, starts: list[int], block: memoryview, offset: int) -> Iterator[memoryview]:
    """What of a block at this offset is audio; `starts`: where the ranges of audio begin."""
    end = offset + len(block)
    # Of an hour in Ogg there are 100,000: no look at each for each block.
    nearest = max(0, bisect_right(starts, offset) - 1)
    for first, last in place.ranges[nearest : bisect_left(starts, end)]:
        if last > offset:
            yield block[max(first, offset) - offset : min(last, end) - offset]


def _read(
    file: BinaryIO,
    update: Callable[[memoryview, int], object],
    check: Callable[[], object] | None,
) -> int:
    """Hands out all blocks of the file with their offsets; how many bytes there were."""
    # One byte more than there is, so that the end is seen.
    block = memoryview(bytearray(min(_BLOCK_BYTES, file.seek(0, 2) + 1)))
    offset = file.seek(0)
    while length := file.readinto(block):  # pyright: ignore[reportAttributeAccessIssue]
        update(block[:length], offset)
        offset += length
        if check is not None:
            check()
    return offset
