"""Song files opened by mutagen, within the guards that hostile files make necessary."""

from __future__ import annotations

import base64
import io
import struct
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import mutagen
import mutagen.aac
import mutagen.aiff
import mutagen.flac
import mutagen.id3
import mutagen.mp3
import mutagen.oggflac
import mutagen.oggopus
import mutagen.oggvorbis
import mutagen.wave
from attrs import frozen

from ..errors import MediaError
from .audio_formats import DEFAULT_FORMATS, AudioFormats, extension_of
from .chunks import UNKNOWN_LENGTH, Chunk, read_chunks
from .flac_frames import has_last_frame
from .guards import (
    FRAMES,
    GuardedFile,
    GuardedID3,
    GuardedMP4,
    GuardedOggFLACTags,
    GuardedOpusTags,
    GuardedVorbisTags,
    Refused,
    syncsafe_size,
)
from .ogg import is_cut_off, last_position, read_stream

#: What may stand before the first MPEG frame, zeros not counted: the rest of a cut frame.
JUNK_LIMIT_BYTES = 4096

_CUT_OFF = "it is cut off: a part of the audio is missing"

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
    #: `mutagen`'s own tags: Vorbis comments, ID3 or MP4 tags; None where there are none.
    tags: Any
    #: The embedded pictures of a FLAC or Ogg file; those of the others are among the tags.
    pictures: tuple[bytes, ...] = ()


def open_song(file: BinaryIO, name: str, formats: AudioFormats = DEFAULT_FORMATS) -> OpenedSong:
    """Read the header and the tags of a song; its extension says as what.

    Raises:
        MediaError: It is not what its extension says, it is broken, or it has no audio.
        OSError: The disk could not be read.
    """
    if not formats.is_song(name):
        reason = f"its extension is not one of a song ({formats})"
        raise MediaError(name, formats.why_no_song(name) or reason)
    open_as = _READERS[extension_of(name)]
    guarded = GuardedFile(file)
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
    if isinstance(error, Refused):
        return str(error)
    detail = " ".join(str(error).split())[:200] or type(error).__name__
    return f"it is broken, or not what its extension says ({detail})"


def _open_flac(file: GuardedFile) -> OpenedSong:
    song = mutagen.flac.FLAC(file)
    if song.info.length and not has_last_frame(file, song.info):
        raise Refused(_CUT_OFF)
    pictures = tuple(picture.data for picture in song.pictures)
    return OpenedSong("audio/flac", song.info.length, song.info.bitrate, song.tags, pictures)


def _open_mp3(file: GuardedFile) -> OpenedSong:
    start = _skip_id3(file)
    _refuse_foreign(file, start)
    song = mutagen.mp3.MP3(file, ID3=GuardedID3, known_frames=FRAMES)
    info: Any = song.info
    if info.sketchy or not _is_junk(file, start, info.frame_offset):
        raise Refused("it is no MP3: no MPEG audio where it should begin")
    # The header of the first frame may say how much should follow.
    if (file.size_bytes - start) * 8 < info.length * info.bitrate * 0.9:
        raise Refused(_CUT_OFF)
    return OpenedSong("audio/mpeg", info.length, info.bitrate, song.tags)


def _open_m4a(file: GuardedFile) -> OpenedSong:
    _refuse_cut_audio(file)
    song = GuardedMP4(file)
    info: Any = song.info
    if not info.codec:
        raise Refused("it has no audio track")
    # Encoders may leave the rate out.
    bitrate_bits = info.bitrate or file.size_bytes * 8 / (info.length or 1)
    return OpenedSong("audio/mp4", info.length, bitrate_bits, song.tags)


def _open_aac(file: GuardedFile) -> OpenedSong:
    _refuse_foreign(file, _skip_id3(file))
    info: Any = mutagen.aac.AAC(file).info
    file.seek(0)
    try:
        tags = GuardedID3(file, known_frames=FRAMES)
    except mutagen.id3.ID3NoHeaderError:
        tags = None
    return OpenedSong("audio/aac", info.length, info.bitrate, tags)


def _open_ogg(file: GuardedFile) -> OpenedSong:
    stream = read_stream(file)
    if stream is None:
        raise Refused("it is no Ogg file with Vorbis, Opus or FLAC in it")
    if is_cut_off(file):
        raise Refused(_CUT_OFF)
    # mutagen searches for the end page by page, where this is no stream by itself.
    samples = last_position(file, stream.serial)
    if samples is None:
        raise Refused("several streams are in it, and another one is the last")
    file.seek(0)
    # Invariant: the tags are read where the information ends.
    info, tags, length_s = _OGG[stream.codec](file, stream.head, samples)
    # Of Opus nothing tells it, of Vorbis the encoder may leave it out; then it is without the tags.
    audio_bytes = file.size_bytes - file.tell()
    bitrate_bits = getattr(info, "bitrate", 0) or round(audio_bytes * 8 / (length_s or 1))
    return OpenedSong("audio/ogg", length_s, bitrate_bits, tags, tuple(_pictures(tags)))


def _open_opus(file: GuardedFile) -> OpenedSong:
    stream = read_stream(file)
    if stream is None or stream.codec != "opus":
        raise Refused("it is no Opus file")
    return _open_ogg(file)


def _vorbis(file: GuardedFile, _head: bytes, samples: int) -> tuple[Any, Any, float]:
    info = mutagen.oggvorbis.OggVorbisInfo(file)
    return info, GuardedVorbisTags(file, info), samples / info.sample_rate


def _opus(file: GuardedFile, head: bytes, samples: int) -> tuple[Any, Any, float]:
    info = mutagen.oggopus.OggOpusInfo(file)
    (skipped,) = struct.unpack("<H", head[10:12])
    # Whatever rate was recorded, Opus counts 48,000 samples a second.
    return info, GuardedOpusTags(file, info), (samples - skipped) / 48_000


def _ogg_flac(file: GuardedFile, _head: bytes, samples: int) -> tuple[Any, Any, float]:
    info: Any = mutagen.oggflac.OggFLACStreamInfo(file)
    length_s = info.length or samples / info.sample_rate
    return info, GuardedOggFLACTags(file, info), length_s


_OGG: dict[str, Callable[[GuardedFile, bytes, int], tuple[Any, Any, float]]] = {
    "vorbis": _vorbis,
    "opus": _opus,
    "flac": _ogg_flac,
}


def _pictures(comments: Any) -> Iterator[bytes]:
    """The pictures of Vorbis comments; one that is damaged is none."""
    for text in comments.get("metadata_block_picture", ()):
        try:
            yield mutagen.flac.Picture(base64.b64decode(text)).data
        except (mutagen.MutagenError, ValueError, struct.error):
            continue
    for text in comments.get("coverart", ()):
        try:
            yield base64.b64decode(text)
        except ValueError:
            continue


#: Plain samples, as integers, floats, A-law and µ-law; and those whose kind stands further behind.
_WAV_KINDS = frozenset({1, 3, 6, 7, 0xFFFE})


def _open_wav(file: GuardedFile) -> OpenedSong:
    chunks = read_chunks(file) or {}
    if b"fmt" not in chunks:
        raise Refused("it is no WAV file")
    _check_samples(file, chunks.get(b"data"))
    file.seek(chunks[b"fmt"].first)
    (kind,) = struct.unpack("<H", file.read(2))
    if kind not in _WAV_KINDS:
        raise Refused(f"its audio is packed in a way (number {kind}) that is not supported")
    info = mutagen.wave.WaveStreamInfo(file)
    tags = _chunk_tags(file, chunks.get(b"id3") or chunks.get(b"ID3"))
    return OpenedSong("audio/wav", info.length, info.bitrate, tags)


def _open_aiff(file: GuardedFile) -> OpenedSong:
    chunks = read_chunks(file) or {}
    if b"COMM" not in chunks:
        raise Refused("it is no AIFF file")
    _check_samples(file, chunks.get(b"SSND"))
    info: Any = mutagen.aiff.AIFFInfo(file)
    return OpenedSong(
        "audio/aiff", info.length, info.bitrate, _chunk_tags(file, chunks.get(b"ID3"))
    )


def _check_samples(file: GuardedFile, chunk: Chunk | None) -> None:
    if chunk is None:
        raise Refused("it has no audio")
    if chunk.length == UNKNOWN_LENGTH:
        raise Refused("its header does not say how long it plays")
    if chunk.last > file.size_bytes:
        raise Refused(_CUT_OFF)


def _chunk_tags(file: GuardedFile, chunk: Chunk | None) -> GuardedID3 | None:
    if chunk is None:
        return None
    if chunk.last > file.size_bytes:
        raise Refused(_CUT_OFF)
    file.seek(chunk.first)
    try:
        return GuardedID3(io.BytesIO(file.read(chunk.length)), known_frames=FRAMES)
    except mutagen.id3.ID3NoHeaderError:
        return None


_READERS: dict[str, Callable[[GuardedFile], OpenedSong]] = {
    "flac": _open_flac,
    "mp3": _open_mp3,
    "m4a": _open_m4a,
    "aac": _open_aac,
    "ogg": _open_ogg,
    "oga": _open_ogg,
    "opus": _open_opus,
    "wav": _open_wav,
    "aiff": _open_aiff,
    "aif": _open_aiff,
}


def _skip_id3(file: GuardedFile) -> int:
    """Where the ID3v2 tags at the beginning end (some programs stack several)."""
    start = 0
    while True:
        file.seek(start)
        head = file.read(10)
        if len(head) < 10 or not head.startswith(b"ID3"):
            return start
        start += 10 + syncsafe_size(head[2:])


def _refuse_foreign(file: GuardedFile, start: int) -> None:
    file.seek(start)
    head = file.read(512)
    for offset, magic in _FOREIGN:
        if head.startswith(magic, offset):
            raise Refused("it is a file of another kind under a wrong extension")
    file.seek(0)


def _is_junk(file: GuardedFile, start: int, end: int) -> bool:
    """Whether nothing but padding and the rest of a cut frame stands between the two."""
    file.seek(start)
    return len(file.read(max(0, end - start)).lstrip(b"\0")) <= JUNK_LIMIT_BYTES


def _refuse_cut_audio(file: GuardedFile) -> None:
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
            raise Refused("it is no MP4 file")
        if kind == b"mdat" and offset + length > file.size_bytes:
            raise Refused(_CUT_OFF)
        offset += length
    file.seek(0)
