"""Song files opened by mutagen, with the guards that hostile files make necessary.

mutagen trusts a file's own numbers. Found by reading it (1.48): a compressed ID3 frame may unpack
to gigabytes, a `covr` part of length 0 is read for ever, many small ID3 frames take quadratic
time, and every FLAC block is kept in memory. Each is refused here before mutagen meets it.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable
from typing import Any, BinaryIO

import mutagen.aac
import mutagen.flac
import mutagen.id3
import mutagen.mp3
import mutagen.mp4
from attrs import define, field, frozen

from ..errors import MediaError
from .flac_frames import has_last_frame
from .naming import is_song

#: What mutagen may read of one file: tags with their pictures, never the audio.
READ_LIMIT_BYTES = 64 * 1024 * 1024
#: How often it may read: that bounds the parts (blocks, atoms, comments) it keeps.
READ_LIMIT_CALLS = 100_000
#: More frames than any tagger writes.
FRAME_LIMIT = 4096
#: What may stand before the first MPEG frame, zeros not counted: the rest of a cut frame.
JUNK_LIMIT_BYTES = 4096

# Chapters hold frames of their own, which would bypass the guard.
_FRAMES = {
    name: frame
    for name, frame in {**mutagen.id3.Frames, **mutagen.id3.Frames_2_2}.items()
    if name not in {"CHAP", "CTOC"}
}
_FOREIGN = (
    (0, b"PK"),
    (0, b"fLaC"),
    (0, b"OggS"),
    (0, b"RIFF"),
    (0, b"Rar!"),
    (0, b"7z\xbc\xaf"),
    (0, b"\x1f\x8b"),
    (0, b"%PDF"),
    (4, b"ftyp"),
    (257, b"ustar"),
)


@frozen
class OpenedSong:
    """What mutagen found in a song file."""

    mime_type: str
    length_s: float
    #: In bit/s; whole, as mutagen says it, but where a file does not tell it.
    bitrate_bits: float
    #: `mutagen`'s own tags: FLAC comments, ID3 or MP4 tags; None where there are none.
    tags: Any
    #: The embedded pictures of a FLAC file; those of the others are among the tags.
    flac_pictures: tuple[bytes, ...] = ()


class _Refused(Exception):
    """A guard said no; the text is the reason. It never leaves this module."""


@define
class _Guarded:
    """The file as mutagen sees it: no more of it than the limits allow."""

    file: BinaryIO
    size_bytes: int = field(init=False)
    _bytes_left: int = field(default=READ_LIMIT_BYTES, init=False)
    _calls_left: int = field(default=READ_LIMIT_CALLS, init=False)
    #: The disk's own error: mutagen turns it into one about the content.
    disk_error: OSError | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.size_bytes = self.file.seek(0, os.SEEK_END)
        self.file.seek(0)

    def read(self, size: int = -1) -> bytes:
        rest_bytes = max(0, self.size_bytes - self.file.tell())
        wanted_bytes = rest_bytes if size < 0 else min(size, rest_bytes)
        self._bytes_left -= wanted_bytes
        self._calls_left -= 1
        if self._bytes_left < 0 or self._calls_left < 0:
            raise _Refused("its tags are too large")
        try:
            return self.file.read(wanted_bytes)
        except OSError as error:
            self.disk_error = error
            raise

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()


class _GuardedID3(mutagen.id3.ID3):
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
        _walk_frames(data, 10, _syncsafe_size, 0x0008)


def _syncsafe_size(part: bytes) -> int:
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
            raise _Refused(f"its tag has more than {FRAME_LIMIT} frames")
        known = re.fullmatch(rb"[A-Z0-9]{3}[A-Z0-9\0]", part[:4])
        if known and int.from_bytes(part[8:10]) & compressed:
            raise _Refused("its tag has a compressed frame, which could unpack to any size")
        offset += header_bytes + size_of(part)


class _GuardedMP4Tags(mutagen.mp4.MP4Tags):
    def load(self, atoms: Any, fileobj: Any) -> None:
        for atom in atoms[b"moov.udta.meta.ilst"].findall(b"covr"):
            _complete, data = atom.read(fileobj)
            offset = 0
            while offset + 8 <= len(data):
                length = int.from_bytes(data[offset : offset + 4])
                if length < 8:
                    raise _Refused("its cover has a part without a length")
                offset += length
        super().load(atoms, fileobj)


class _GuardedMP4(mutagen.mp4.MP4):
    MP4Tags = _GuardedMP4Tags


def open_song(file: BinaryIO, name: str) -> OpenedSong:
    """Read the header and the tags of a song; its extension says as what.

    Raises:
        MediaError: It is not what its extension says, it is broken, or it has no audio.
        OSError: The disk could not be read.
    """
    open_as = _READERS.get(name.rpartition(".")[2].lower()) if is_song(name) else None
    if open_as is None:
        raise MediaError(name, "its extension is not one of a song (flac, mp3, m4a, aac)")
    guarded = _Guarded(file)
    try:
        song = open_as(guarded)
    except Exception as error:
        if guarded.disk_error is not None:
            raise guarded.disk_error from None
        # mutagen raises nearly everything over broken files, MemoryError and struct.error too.
        raise MediaError(name, _reason(error)) from error
    if not 0 < song.length_s < float("inf") or song.bitrate_bits <= 0:
        raise MediaError(name, "it has no audio, or its header does not say how long it plays")
    return song


def _reason(error: Exception) -> str:
    if isinstance(error, _Refused):
        return str(error)
    detail = " ".join(str(error).split())[:200] or type(error).__name__
    return f"it is broken, or not what its extension says ({detail})"


def _open_flac(file: _Guarded) -> OpenedSong:
    song = mutagen.flac.FLAC(file)
    if song.info.length and not has_last_frame(file, song.info):
        raise _Refused("it is cut off: a part of the audio is missing")
    pictures = tuple(picture.data for picture in song.pictures)
    return OpenedSong("audio/flac", song.info.length, song.info.bitrate, song.tags, pictures)


def _open_mp3(file: _Guarded) -> OpenedSong:
    start = _skip_id3(file)
    _refuse_foreign(file, start)
    song = mutagen.mp3.MP3(file, ID3=_GuardedID3, known_frames=_FRAMES)
    info: Any = song.info
    if info.sketchy or not _is_junk(file, start, info.frame_offset):
        raise _Refused("it is no MP3: no MPEG audio where it should begin")
    # The header of the first frame may say how much should follow.
    if (file.size_bytes - start) * 8 < info.length * info.bitrate * 0.9:
        raise _Refused("it is cut off: a part of the audio is missing")
    return OpenedSong("audio/mpeg", info.length, info.bitrate, song.tags)


def _open_m4a(file: _Guarded) -> OpenedSong:
    _refuse_cut_audio(file)
    song = _GuardedMP4(file)
    info: Any = song.info
    if not info.codec:
        raise _Refused("it has no audio track")
    # Encoders may leave the rate out.
    bitrate_bits = info.bitrate or file.size_bytes * 8 / (info.length or 1)
    return OpenedSong("audio/mp4", info.length, bitrate_bits, song.tags)


def _open_aac(file: _Guarded) -> OpenedSong:
    _refuse_foreign(file, _skip_id3(file))
    info: Any = mutagen.aac.AAC(file).info
    file.seek(0)
    try:
        tags = _GuardedID3(file, known_frames=_FRAMES)
    except mutagen.id3.ID3NoHeaderError:
        tags = None
    return OpenedSong("audio/aac", info.length, info.bitrate, tags)


_READERS: dict[str, Callable[[_Guarded], OpenedSong]] = {
    "flac": _open_flac,
    "mp3": _open_mp3,
    "m4a": _open_m4a,
    "aac": _open_aac,
}


def _skip_id3(file: _Guarded) -> int:
    """Where the ID3v2 tags at the beginning end (some programs stack several)."""
    start = 0
    while True:
        file.seek(start)
        head = file.read(10)
        if len(head) < 10 or not head.startswith(b"ID3"):
            return start
        start += 10 + _syncsafe_size(head[2:])


def _refuse_foreign(file: _Guarded, start: int) -> None:
    file.seek(start)
    head = file.read(512)
    for offset, magic in _FOREIGN:
        if head.startswith(magic, offset):
            raise _Refused("it is a file of another kind under a wrong extension")
    file.seek(0)


def _is_junk(file: _Guarded, start: int, end: int) -> bool:
    """Whether nothing but padding and the rest of a cut frame stands between the two."""
    file.seek(start)
    return len(file.read(max(0, end - start)).lstrip(b"\0")) <= JUNK_LIMIT_BYTES


def _refuse_cut_audio(file: _Guarded) -> None:
    """An MP4 file may have its header first: then only the size of `mdat` tells that it is cut."""
    offset = 0
    while offset + 8 <= file.size_bytes:
        file.seek(offset)
        length, kind = struct.unpack(">I4s", file.read(8))
        if length == 1:
            length = int.from_bytes(file.read(8))
        if length == 0:
            break
        if length < 8:
            raise _Refused("it is no MP4 file")
        if kind == b"mdat" and offset + length > file.size_bytes:
            raise _Refused("it is cut off: a part of the audio is missing")
        offset += length
    file.seek(0)
