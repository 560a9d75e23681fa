"""Where in a file its audio is: what stays the same when a tagger writes other tags into it.

FLAC tells an MD5 of its samples. Of MP3 and AAC all counts that stands between the tags before and
behind it, of MP4 what its `mdat` parts hold. Of Ogg all packets count but the first two of the
stream, which are its header and its tags: a tagger numbers the pages anew, in which they lie. Of
WAV and AIFF the samples count, and what kind of samples they are.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable
from typing import BinaryIO

from attrs import frozen

from .audio_formats import extension_of
from .chunks import read_chunks
from .ogg import comment_end, read_pages, read_stream

#: What encoders write that do not know the MD5, or have hashed nothing.
_NO_MD5 = frozenset({bytes(16), bytes.fromhex("d41d8cd98f00b204e9800998ecf8427e")})
_ZEROS_BYTES = 64 * 1024
#: More parts than any file has that somebody plays.
_PARTS_MOST = 100_000


@frozen
class Audio:
    """A file's audio."""

    #: Files of two kinds never have the same audio.
    kind: str
    #: The bytes that are audio: first, and behind the last; in their order, never empty.
    ranges: tuple[tuple[int, int], ...]
    #: What the file itself says of its audio; then no byte has to be read.
    told: str | None = None

    def key(self, digest: str | None) -> str:
        """The hash of the audio, as it is kept; `digest`: of the ranges, unless the file told."""
        return f"{self.kind}:{self.told or digest}"


def find_audio(file: BinaryIO, name: str) -> Audio | None:
    """The audio of a file, by the extension of its name.

    None where there is none, or the file is not what its extension says.

    Raises:
        OSError: The disk does not give the file.
    """
    find = _FINDERS.get(extension_of(name))
    if find is None:
        return None
    try:
        return find(file, file.seek(0, os.SEEK_END))
    except (struct.error, IndexError):
        return None


def _of_flac(file: BinaryIO, size_bytes: int) -> Audio | None:
    at = _skip_id3(file, 0)
    if _at(file, at, 4) != b"fLaC":
        return None
    at, info, is_last = at + 4, b"", False
    while not is_last:
        (head,) = struct.unpack(">I", _at(file, at, 4))
        is_last, kind, length = bool(head >> 31), head >> 24 & 0x7F, head & 0xFFFFFF
        if kind == 0 and not info:
            info = _at(file, at + 4, 34)
        at += 4 + length
    ranges = _between(at, _skip_back(file, size_bytes))
    if ranges is None:
        return None
    return Audio("flac", ranges, _flac_told(info))


def _flac_told(info: bytes) -> str | None:
    # Rate, channels, bits and number of the samples belong to it: the MD5 is of bare numbers.
    return info[10:34].hex() if len(info) == 34 and info[18:34] not in _NO_MD5 else None


def _of_mpeg(kind: str) -> Callable[[BinaryIO, int], Audio | None]:
    def find(file: BinaryIO, size_bytes: int) -> Audio | None:
        start = _skip_zeros(file, _skip_id3(file, 0))
        ranges = _between(start, _skip_back(file, size_bytes))
        return None if ranges is None else Audio(kind, ranges)

    return find


def _of_mp4(file: BinaryIO, size_bytes: int) -> Audio | None:
    at, ranges = 0, []
    for _ in range(_PARTS_MOST):
        if at + 8 > size_bytes:
            break
        length, kind = struct.unpack(">I4s", _at(file, at, 8))
        head = 8
        if length == 1:
            (length,) = struct.unpack(">Q", _at(file, at + 8, 8))
            head = 16
        end = size_bytes if length == 0 else at + length
        if end < at + head:
            return None
        if kind == b"mdat" and at + head < min(end, size_bytes):
            ranges.append((at + head, min(end, size_bytes)))
        at = end
    return Audio("mp4", tuple(ranges)) if ranges else None


def _of_ogg(file: BinaryIO, size_bytes: int) -> Audio | None:
    stream = read_stream(file)
    if stream is None:
        return None
    pages = read_pages(file)
    found = comment_end(pages, stream.serial)
    if found is None:
        return None
    page, first = found
    ranges, end = [(first, page.end)], page.end
    for page in pages:
        ranges.append((page.body, page.end))
        end = page.end
        if len(ranges) > _PARTS_MOST:
            return None
    # What is no page, if it is no tag either.
    ranges.append((end, _skip_back(file, size_bytes)))
    whole = [(first, min(last, size_bytes)) for first, last in ranges]
    filled = tuple((first, last) for first, last in whole if first < last)
    if not filled:
        return None
    told = _flac_told(stream.head[17:51]) if stream.codec == "flac" else None
    return Audio(stream.codec, filled, told)


def _of_samples(
    kind: str, about: bytes, about_bytes: int, data: bytes, skipped_bytes: int
) -> Callable[[BinaryIO, int], Audio | None]:
    """A finder for chunks: of the one called `about`, which says what the samples in `data` are."""

    def find(file: BinaryIO, size_bytes: int) -> Audio | None:
        chunks = read_chunks(file) or {}
        if about not in chunks or data not in chunks:
            return None
        described, samples = chunks[about], chunks[data]
        last = min(samples.last, size_bytes)
        if samples.first + skipped_bytes >= last:
            return None
        ranges = [
            (described.first, min(described.first + about_bytes, described.last, size_bytes)),
            (samples.first + skipped_bytes, last),
        ]
        return Audio(kind, tuple(sorted(one for one in ranges if one[0] < one[1])))

    return find


_FINDERS: dict[str, Callable[[BinaryIO, int], Audio | None]] = {
    "flac": _of_flac,
    "mp3": _of_mpeg("mp3"),
    "aac": _of_mpeg("aac"),
    "m4a": _of_mp4,
    "m4v": _of_mp4,
    "mp4": _of_mp4,
    "ogg": _of_ogg,
    "oga": _of_ogg,
    "opus": _of_ogg,
    "wav": _of_samples("wav", b"fmt", 16, b"data", 0),
    # What stands before the samples says how they are aligned.
    "aif": _of_samples("aiff", b"COMM", 18, b"SSND", 8),
    "aiff": _of_samples("aiff", b"COMM", 18, b"SSND", 8),
}


def _at(file: BinaryIO, offset: int, length: int) -> bytes:
    file.seek(offset)
    return file.read(length)


def _between(start: int, end: int) -> tuple[tuple[int, int], ...] | None:
    return ((start, end),) if start < end else None


def _syncsafe(data: bytes) -> int:
    return data[0] << 21 | data[1] << 14 | data[2] << 7 | data[3]


def _skip_id3(file: BinaryIO, start: int) -> int:
    """Where the tags at the beginning end: of ID3v2 there may be several, and an APE tag."""
    while True:
        head = _at(file, start, 32)
        if head.startswith(b"ID3") and len(head) >= 10:
            start += 10 + _syncsafe(head[6:10]) + (10 if head[5] & 0x10 else 0)
        elif head.startswith(b"APETAGEX") and len(head) == 32:
            start += 32 + struct.unpack("<I", head[12:16])[0]
        else:
            return start


def _skip_zeros(file: BinaryIO, start: int) -> int:
    """Some taggers leave zeros behind a tag that got shorter."""
    while True:
        block = _at(file, start, _ZEROS_BYTES)
        stripped = block.lstrip(b"\0")
        start += len(block) - len(stripped)
        if stripped or not block:
            return start


def _skip_back(file: BinaryIO, end: int) -> int:
    """Where the tags at the end begin, in whatever order they stand."""
    while length := _last_tag_bytes(file, end):
        end -= length
    return end


def _last_tag_bytes(file: BinaryIO, end: int) -> int:
    """The length of the tag that ends there; 0 where none does."""
    tail = _at(file, max(0, end - 128), min(end, 128))
    if tail.startswith(b"TAG") and len(tail) == 128:
        extended = _at(file, max(0, end - 355), 4) == b"TAG+"
        return 355 if extended else 128
    if tail[-32:-24] == b"APETAGEX":
        size, _, flags = struct.unpack("<III", tail[-20:-8])
        return _within(size + (32 if flags >> 31 else 0), end)
    if tail.endswith(b"LYRICS200") and re.fullmatch(rb"[0-9]{6}", tail[-15:-9]):
        return _within(int(tail[-15:-9]) + 15, end)
    if tail[-10:-7] == b"3DI":
        return _within(_syncsafe(tail[-4:]) + 20, end)
    return 0


def _within(length: int, end: int) -> int:
    return length if length <= end else 0
