"""Guards against files that would make mutagen take endless time or memory.

mutagen trusts a file's own numbers. Found by reading it (1.48): a compressed ID3 frame may unpack
to gigabytes, a `covr` part of length 0 is read for ever, many small ID3 frames take quadratic
time, a comment of Ogg without a byte in it is kept, and every FLAC block is kept in memory. Each is
refused before mutagen meets it.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable
from typing import Any, BinaryIO

import mutagen.id3
import mutagen.mp4
import mutagen.oggflac
import mutagen.oggopus
import mutagen.oggvorbis
from attrs import define, field

#: What mutagen may read of one file: tags with their pictures, never the audio.
READ_LIMIT_BYTES = 64 * 1024 * 1024
#: How often it may read: that bounds the parts (blocks, atoms, comments) it keeps.
READ_LIMIT_CALLS = 100_000
#: More frames than any tagger writes.
FRAME_LIMIT = 4096

# Chapters hold frames of their own, which would bypass the guard.
FRAMES = {
    name: frame
    for name, frame in {**mutagen.id3.Frames, **mutagen.id3.Frames_2_2}.items()
    if name not in {"CHAP", "CTOC"}
}


class Refused(Exception):
    """A guard said no; the text is the reason. It never leaves `formats.open_song`."""


@define
class GuardedFile:
    """The file as mutagen sees it: no more of it than the limits allow."""

    file: BinaryIO
    size_bytes: int = field(init=False)
    #: Where it stands: `file.tell()` would be a call of the system for each read.
    _at: int = field(default=0, init=False)
    _bytes_left: int = field(default=READ_LIMIT_BYTES, init=False)
    _calls_left: int = field(default=READ_LIMIT_CALLS, init=False)
    #: The disk's own error: mutagen turns it into one about the content.
    disk_error: OSError | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.size_bytes = self.file.seek(0, os.SEEK_END)
        self.file.seek(0)

    def read(self, size: int = -1) -> bytes:
        rest_bytes = max(0, self.size_bytes - self._at)
        wanted_bytes = rest_bytes if size < 0 else min(size, rest_bytes)
        self._bytes_left -= wanted_bytes
        self._calls_left -= 1
        if self._bytes_left < 0 or self._calls_left < 0:
            raise Refused("its tags are too large")
        try:
            data = self.file.read(wanted_bytes)
        except OSError as error:
            self.disk_error = error
            raise
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = self.file.seek(offset, whence)
        return self._at

    def tell(self) -> int:
        return self._at


class GuardedID3(mutagen.id3.ID3):
    def _read(self, header: Any, data: bytes) -> Any:
        _check_frames(header, data)
        return super()._read(header, data)


def _check_frames(header: Any, data: bytes) -> None:
    if header.version < (2, 4, 0) and header.f_unsynch:
        data = data.replace(b"\xff\x00", b"\xff")
    if header.version < (2, 3, 0):
        _walk_frames(data, 6, lambda part: int.from_bytes(part[3:6]), 0)
    elif header.version < (2, 4, 0):
        _walk_frames(data, 10, lambda part: int.from_bytes(part[4:8]), 0x0080)
    else:
        # Some taggers write plain sizes where 2.4 wants 7 bits a byte; mutagen guesses which.
        _walk_frames(data, 10, lambda part: int.from_bytes(part[4:8]), 0x0008)
        _walk_frames(data, 10, syncsafe_size, 0x0008)


def syncsafe_size(part: bytes) -> int:
    size = 0
    for byte in part[4:8]:
        size = size << 7 | byte & 0x7F
    return size


def _walk_frames(
    data: bytes, header_bytes: int, size_of: Callable[[bytes], int], compressed: int
) -> None:
    offset = frames = 0
    while offset + header_bytes <= len(data):
        part = data[offset : offset + header_bytes]
        if not part[:3].strip(b"\0"):
            return
        frames += 1
        if frames > FRAME_LIMIT:
            raise Refused(f"its tag has more than {FRAME_LIMIT} frames")
        known = re.fullmatch(rb"[A-Z0-9]{3}[A-Z0-9\0]", part[:4])
        if known and int.from_bytes(part[8:10]) & compressed:
            raise Refused("its tag has a compressed frame, which could unpack to any size")
        offset += header_bytes + size_of(part)


class _GuardedMP4Tags(mutagen.mp4.MP4Tags):
    def load(self, atoms: Any, fileobj: Any) -> None:
        for atom in atoms[b"moov.udta.meta.ilst"].findall(b"covr"):
            _complete, data = atom.read(fileobj)
            offset = 0
            while offset + 8 <= len(data):
                length = int.from_bytes(data[offset : offset + 4])
                if length < 8:
                    raise Refused("its cover has a part without a length")
                offset += length
        super().load(atoms, fileobj)


class GuardedMP4(mutagen.mp4.MP4):
    MP4Tags = _GuardedMP4Tags


class _CountedComments:
    """What a comment has of itself is 4 bytes: a small file may hold millions."""

    def load(self, fileobj: BinaryIO, *args: Any, **kwargs: Any) -> None:
        start = fileobj.tell()
        (vendor_bytes,) = struct.unpack("<I", fileobj.read(4))
        fileobj.seek(vendor_bytes, os.SEEK_CUR)
        (count,) = struct.unpack("<I", fileobj.read(4))
        if count > FRAME_LIMIT:
            raise Refused(f"its tag has more than {FRAME_LIMIT} comments")
        fileobj.seek(start)
        super().load(fileobj, *args, **kwargs)  # pyright: ignore[reportAttributeAccessIssue]


class GuardedVorbisTags(_CountedComments, mutagen.oggvorbis.OggVCommentDict):
    pass


class GuardedOpusTags(_CountedComments, mutagen.oggopus.OggOpusVComment):
    pass


class GuardedOggFLACTags(_CountedComments, mutagen.oggflac.OggFLACVComment):
    pass
