"""Whether a FLAC file has its last frame: its header tells how much there should be, not if it is.

The layout is that of RFC 9639: a frame begins with 14 set bits, its header ends with a CRC-8, the
frame with a CRC-16, and it tells its place in the song.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

#: The largest frames that encoders make are well below it, also of 8 channels in 32 bits.
_TAIL_BYTES = 2 * 1024 * 1024
#: How much may stand behind the last frame: at each byte a wrong CRC is right by chance 1 : 65536.
_JUNK_BYTES = 128


def has_last_frame(file: Any, info: Any) -> bool:
    """Whether the frame that holds the last sample is there, and whole.

    A few bytes behind it are no reason to refuse a song, though FLAC has nothing there.

    Args:
        file: With `read` and `seek`.
        info: mutagen's stream info.
    """
    if not info.total_samples:
        return True  # the encoder wrote into a pipe and could not know
    size_bytes = file.seek(0, os.SEEK_END)
    frame_bytes = info.max_framesize or _TAIL_BYTES
    file.seek(max(0, size_bytes - min(frame_bytes, _TAIL_BYTES) - 64 * 1024))
    tail = _without_tags(file.read(-1))
    return any(
        start + length == info.total_samples and _ends_with_checksum(tail[at:])
        for at, start, length in _frames(tail, info.max_blocksize)
    )


def _without_tags(tail: bytes) -> bytes:
    """Some programs put tags behind the audio, where FLAC has none."""
    if tail[-128:-125] == b"TAG":
        tail = tail[:-128]
    return tail.partition(b"APETAGEX")[0]


def _frames(data: bytes, block_samples: int) -> Iterator[tuple[int, int, int]]:
    """What looks like the header of a frame, the last first: where, first sample, samples."""
    at = len(data)
    while (at := data.rfind(b"\xff", 0, at)) >= 0:
        header = data[at : at + 16]
        if len(header) > 5 and header[1] & 0xFE == 0xF8:
            found = _read_header(header, block_samples)
            if found is not None:
                yield (at, *found)


def _read_header(header: bytes, block_samples: int) -> tuple[int, int] | None:
    """The first sample and the number of samples; None where it is no header."""
    size_code, rate_code = header[2] >> 4, header[2] & 15
    number_bytes = 1 if header[4] < 0x80 else 8 - (header[4] ^ 0xFF).bit_length()
    end = 4 + number_bytes
    number = header[4] & (0x7F if number_bytes == 1 else 0x7F >> number_bytes)
    for byte in header[5:end]:
        number = number << 6 | byte & 0x3F
    size_bytes = {6: 1, 7: 2}.get(size_code, 0)
    length = _length(size_code, header[end : end + size_bytes])
    end += size_bytes + {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if not size_code or number_bytes == 8 or len(header) <= end or _crc8(header[: end + 1]):
        return None
    # One bit tells whether frames or samples are numbered.
    return (number if header[1] & 1 else number * block_samples), length


def _length(code: int, extra: bytes) -> int:
    if code == 1:
        return 192
    if code < 6:
        return 576 << (code - 2)
    return int.from_bytes(extra) + 1 if code < 8 else 256 << (code - 8)


def _table(polynomial: int, bits: int) -> tuple[int, ...]:
    top, mask = 1 << (bits - 1), (1 << bits) - 1
    table = []
    for byte in range(256):
        value = byte << (bits - 8)
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value & top else 0)) & mask
        table.append(value)
    return tuple(table)


_CRC8, _CRC16 = _table(0x07, 8), _table(0x8005, 16)


def _crc8(data: bytes) -> int:
    value = 0
    for byte in data:
        value = _CRC8[value ^ byte]
    return value


def _ends_with_checksum(data: bytes) -> bool:
    """Whether it is a frame: the CRC is 0 at its end, and zeros that follow do not change that."""
    value, junk_from = 0, len(data) - _JUNK_BYTES
    for at, byte in enumerate(data, 1):
        value = (value << 8 ^ _CRC16[value >> 8 ^ byte]) & 0xFFFF
        if not value and at >= junk_from:
            return True
    return False
