"""Reads a video in a process of its own, for `video.py`, which says why and runs it as a script.

It imports nothing of this package. Arguments: the descriptor of the video, how many frames, how
many pixels a frame may have. To stdout go messages: 4 bytes with the length of what follows, then
JSON. The first says what the video is; each further one is followed by the pixels of a frame, 3
bytes (RGB) for each. A message with `refused` says what is wrong with the video, one with `errno`
what the disk said. Exit code 3: there is no PyAV.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from io import FileIO
from typing import Any

try:
    import av
    from av.container import InputContainer
    from av.error import FFmpegError, InvalidDataError
    from av.stream import Disposition
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
except ImportError as error:
    raise SystemExit(3) from error

from PIL import Image

MEMORY_LIMIT_BYTES = 4 * 1024**3
CPU_LIMIT_S = 600
#: 8K, in any of its forms.
PIXEL_LIMIT = 8192 * 4352
FRAME_SIDE_LIMIT_PX = 8192
#: What players play from MP4 and WebM; FFmpeg has hundreds of decoders more.
CODECS = frozenset(
    {"av1", "h263", "h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "vp8", "vp9"}
)
#: Pixels that are further from square than any format has them are a lie.
_WIDEST_PIXEL = 4


class Refused(Exception):
    """The video is not what it should be; the text says why."""


class Source:
    """The file as FFmpeg sees it: without a name, and the disk's own error is kept."""

    def __init__(self, file: FileIO) -> None:
        self.file = file
        self.error: OSError | None = None

    @cached_property
    def size_bytes(self) -> int:
        return self.file.seek(0, os.SEEK_END)

    def read(self, size: int = -1) -> bytes:
        try:
            return self.file.read(size)
        except OSError as error:
            self.error = error
            raise

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()


def main(descriptor: int, frames: int, frame_pixels: int) -> None:
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    _limit()
    source = Source(FileIO(descriptor))
    try:
        _read(source, frames, frame_pixels)
    except Exception as error:  # PyAV raises nearly everything over broken files
        _say(_told(source.error or error))


def _told(error: Exception) -> dict[str, Any]:
    if isinstance(error, Refused):
        return {"refused": str(error)}
    if isinstance(error, MemoryError):
        return {"refused": "it needs more memory than a video may"}
    if isinstance(error, OSError) and not isinstance(error, FFmpegError):
        return {"errno": error.errno, "strerror": error.strerror}
    return {"refused": f"it is broken ({getattr(error, 'strerror', None) or error})"}


def _end_with_the_parent() -> None:
    """The parent writes nothing: when this returns, it has gone, in whatever way."""
    os.read(0, 1)
    os._exit(1)


def _limit() -> None:
    for kind, most in (
        (resource.RLIMIT_AS, MEMORY_LIMIT_BYTES),
        (resource.RLIMIT_CPU, CPU_LIMIT_S),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with suppress(ValueError, OSError):  # macOS knows no limit of memory
            resource.setrlimit(kind, (most, hard))


def _say(message: dict[str, Any], data: bytes = b"") -> None:
    text = json.dumps(message).encode()
    sys.stdout.buffer.write(len(text).to_bytes(4, "big") + text + data)
    sys.stdout.buffer.flush()


def _read(source: Source, frames: int, frame_pixels: int) -> None:
    format_ = _format(source)
    source.seek(0)
    with av.open(source, format=format_, metadata_errors="replace") as container:
        assert isinstance(container, InputContainer)
        stream = _stream(container)
        first = next(_decoded(container, stream), None)
        if first is None:
            raise Refused("there is no frame in it that can be decoded")
        width, height = first.width, first.height
        if _rotation(first) in (90, 270):
            width, height = height, width
        duration_s = _duration_s(container, stream)
        _say(
            {
                "codec": _codec(stream),
                "duration_s": duration_s,
                "width_px": width,
                "height_px": height,
                "mime_type": "video/mp4" if format_ == "mov" else "video/webm",
            }
        )
        for number in range(1, frames + 1):
            at_s = duration_s * number / (frames + 1)
            first = _frame_at(container, stream, at_s) or first
            image = _upright(first, stream, frame_pixels)
            _say({"width_px": image.width, "height_px": image.height}, image.tobytes())


def _format(source: Source) -> str:
    """FFmpeg's name for it: guessing, it would also take playlists, which name other files."""
    source.seek(0)
    head = source.read(12)
    if head[4:8] in {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"}:
        _check_mp4(source)
        return "mov"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        _check_webm(source)
        return "matroska"
    raise Refused("it is neither MP4 (M4V) nor WebM")


def _check_mp4(source: Source) -> None:
    offset = 0
    while offset + 8 <= source.size_bytes:
        source.seek(offset)
        head = source.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length == 0:
            return
        if length < 8:
            raise Refused("it is no MP4 file")
        offset += length
    if offset > source.size_bytes:
        raise Refused("it is cut off: a part of it is missing")


def _check_webm(source: Source) -> None:
    offset = 4
    length, size = _vint(source, offset)
    offset += size + (length or 0)
    source.seek(offset)
    if source.read(4) != b"\x18\x53\x80\x67":
        raise Refused("it is no WebM file")
    length, size = _vint(source, offset + 4)
    # A recorder that could not go back left the length open.
    if length is not None and offset + 4 + size + length > source.size_bytes:
        raise Refused("it is cut off: a part of it is missing")


def _vint(source: Source, offset: int) -> tuple[int | None, int]:
    """A number as Matroska writes it (None: unknown), and how many bytes that takes."""
    source.seek(offset)
    head = source.read(8)
    if not head or not head[0]:
        raise Refused("it is no WebM file")
    size = 9 - head[0].bit_length()
    value = int.from_bytes(head[:size], "big") & ((1 << 7 * size) - 1)
    return (None if value == (1 << 7 * size) - 1 else value), size


def _stream(container: InputContainer) -> VideoStream:
    # A song's cover is a "stream" too.
    covers = Disposition.attached_pic
    streams = [one for one in container.streams.video if not one.disposition & covers]
    if not streams:
        raise Refused("there is no video in it")
    stream = streams[0]
    codec = _codec(stream)
    if codec not in CODECS:
        known = ", ".join(sorted(CODECS))
        raise Refused(f"its codec is {codec or 'unknown'}; these are read: {known}")
    context = stream.codec_context
    if context.width * context.height > PIXEL_LIMIT:
        raise Refused(f"{context.width} x {context.height} are more than {PIXEL_LIMIT} pixels")
    # Each thread holds frames of its own.
    context.thread_count = 2
    context.options = {"max_pixels": str(PIXEL_LIMIT)}
    return stream


def _codec(stream: VideoStream) -> str:
    """The codec's own name, not that of a decoder for it."""
    context = stream.codec_context
    return context.codec.canonical_name if context is not None else ""


def _decoded(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """The frames from here on; what is damaged is left out."""
    for packet in container.demux(stream):
        with suppress(InvalidDataError):
            yield from packet.decode()


def _duration_s(container: InputContainer, stream: VideoStream) -> float:
    if container.duration and container.duration > 0:
        return container.duration / av.time_base
    # Nobody wrote it down, so the last packet tells.
    with suppress(FFmpegError):
        container.seek(0)
    ends = (
        (packet.pts + (packet.duration or 0)) * packet.time_base
        for packet in container.demux(stream)
        if packet.pts is not None
    )
    duration_s = float(max(ends, default=0)) - _start_s(stream)
    if duration_s <= 0:
        raise Refused("it does not say how long it is")
    return duration_s


def _start_s(stream: VideoStream) -> float:
    return float((stream.start_time or 0) * (stream.time_base or 0))


def _frame_at(container: InputContainer, stream: VideoStream, at_s: float) -> VideoFrame | None:
    """The frame that is shown then, or the last before it; None where the video has ended."""
    at_s += _start_s(stream)
    found = None
    with suppress(FFmpegError):  # a file without an index: on from where it stands
        container.seek(int(at_s / (stream.time_base or 1)), stream=stream)
    with suppress(FFmpegError):
        for frame in _decoded(container, stream):
            if found is not None and frame.time is not None and frame.time > at_s:
                break
            found = frame
    return found


def _rotation(frame: VideoFrame) -> int:
    """By how many degrees the picture is to be turned, anticlockwise."""
    return frame.rotation % 360


def _upright(frame: VideoFrame, stream: VideoStream, most_pixels: int) -> Image.Image:
    """As a player shows it: pixels square, turned as the camera was held."""
    image = frame.to_image()
    ratio = float(stream.sample_aspect_ratio or 1)
    if not 1 / _WIDEST_PIXEL <= ratio <= _WIDEST_PIXEL:
        ratio = 1
    width, height = image.width * ratio, image.height
    shrunk = min(
        1,
        (most_pixels / (width * height)) ** 0.5,
        FRAME_SIDE_LIMIT_PX / max(width, height),
    )
    size = max(1, int(width * shrunk)), max(1, int(height * shrunk))
    if size != image.size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    turns = {
        90: Image.Transpose.ROTATE_90,
        180: Image.Transpose.ROTATE_180,
        270: Image.Transpose.ROTATE_270,
    }
    turn = turns.get(_rotation(frame))
    return image if turn is None else image.transpose(turn)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
