"""Reads a video in a process of its own, for `video.py`, which says why and runs it as a script.

It imports nothing of this package. Arguments: the descriptors of the video and of a pipe, how many
frames, how many pixels a frame may have, then where the modules are that Python does not find by
itself. Into the pipe go messages: 4 bytes with the length of what follows, then JSON. The first is
`ready`, or `missing` where there is no PyAV; the second says what the video is; each further one is
followed by the pixels of a frame, 3 bytes (RGB) for each. A message with `refused` says what is
wrong with the video, one with `errno` what the disk said.
"""

from __future__ import annotations

import json
import os
import resource
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from io import FileIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

# Last, so that nothing there stands before what Python has itself.
sys.path.extend(sys.argv[5:])

try:
    import av
    from av.container import InputContainer
    from av.error import FFmpegError, InvalidDataError
    from av.stream import Disposition
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
except ImportError as error:
    text = json.dumps({"missing": str(error)}).encode()
    os.write(int(sys.argv[2]), len(text).to_bytes(4, "big") + text)
    raise SystemExit(1) from error

MEMORY_LIMIT_BYTES = 4 * 1024**3
CPU_LIMIT_S = 600
#: Text that is no UTF-8 is no reason to refuse a video; from 19 on, PyAV takes it by itself.
_TOLERANT: dict[str, Any] = (
    {} if int(av.__version__.partition(".")[0]) >= 19 else {"metadata_errors": "replace"}
)
#: 8K, in any of its forms.
PIXEL_LIMIT = 8192 * 4352
FRAME_SIDE_LIMIT_PX = 8192
#: What players play from MP4 and WebM; FFmpeg has hundreds of decoders more.
CODECS = frozenset(
    {"av1", "h263", "h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "vp8", "vp9"}
)
_MP4_HEADS = frozenset({b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide", b"uuid"})
#: The parts that hold what is shown: they may not be missing.
_MP4_PARTS = frozenset({b"ftyp", b"moov", b"moof", b"mdat"})
_EBML_LIMIT_BYTES = 4096
#: By where the display matrix leads to the right and down: how to get there, as Pillow calls it.
_TURNS = {
    (-1, 0, 0, 1): "FLIP_LEFT_RIGHT",
    (1, 0, 0, -1): "FLIP_TOP_BOTTOM",
    (-1, 0, 0, -1): "ROTATE_180",
    (0, 1, -1, 0): "ROTATE_270",
    (0, -1, 1, 0): "ROTATE_90",
    (0, 1, 1, 0): "TRANSPOSE",
    (0, -1, -1, 0): "TRANSVERSE",
}
_SIDEWAYS = frozenset(turn for matrix, turn in _TURNS.items() if not matrix[0])
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


class Told:
    """What the parent hears."""

    def __init__(self, descriptor: int) -> None:
        self.pipe = os.fdopen(descriptor, "wb")

    def say(self, message: dict[str, Any], data: bytes = b"") -> None:
        text = json.dumps(message).encode()
        self.pipe.write(len(text).to_bytes(4, "big") + text + data)
        self.pipe.flush()


def main(video: int, pipe: int, frames: int, frame_pixels: int) -> None:
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    _limit()
    told = Told(pipe)
    # From here on it is the video's fault if this process breaks down.
    told.say({"ready": True})
    source = Source(FileIO(video))
    try:
        _read(source, told, frames, frame_pixels)
    except Exception as error:  # PyAV raises nearly everything over broken files
        told.say(_told(source.error or error))


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


def _read(source: Source, told: Told, frames: int, frame_pixels: int) -> None:
    format_ = _format(source)
    source.seek(0)
    with av.open(source, format=format_, **_TOLERANT) as container:
        assert isinstance(container, InputContainer)
        stream = _stream(container)
        first = next(_decoded(container, stream), None)
        if first is None:
            raise Refused("there is no frame in it that can be decoded")
        length_s, video_s = _lengths_s(container, stream)
        turn = _turn(first)
        size = (first.height, first.width) if turn in _SIDEWAYS else (first.width, first.height)
        told.say(
            {
                "codec": _codec(stream),
                "duration_s": length_s,
                "width_px": size[0],
                "height_px": size[1],
                "mime_type": "video/mp4" if format_ == "mov" else "video/webm",
            }
        )
        frame = first
        for number in range(1, frames + 1):
            # Where nothing more can be decoded, the last one stands.
            frame = _frame_at(container, stream, video_s * number / (frames + 1)) or frame
            image = _upright(frame, stream, turn, frame_pixels)
            told.say({"width_px": image.width, "height_px": image.height}, image.tobytes())


def _format(source: Source) -> str:
    """FFmpeg's name for it: guessing, it would also take playlists, which name other files."""
    source.seek(0)
    head = source.read(12)
    if head[4:8] in _MP4_HEADS:
        _check_mp4(source)
        return "mov"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        _check_webm(source)
        return "matroska"
    raise Refused("it is neither MP4 (M4V) nor WebM")


def _check_mp4(source: Source) -> None:
    """Refuses one that is cut off; what else stands after its last part is nobody's business."""
    offset = 0
    while offset + 8 <= source.size_bytes:
        source.seek(offset)
        head = source.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if head[4:8] in _MP4_PARTS and offset + length > source.size_bytes:
            raise Refused("it is cut off: a part of it is missing")
        if length < 8:
            return
        offset += length


def _check_webm(source: Source) -> None:
    length, size = _vint(source, 4)
    start = 4 + size
    source.seek(start)
    head = source.read(min(length or 0, _EBML_LIMIT_BYTES))
    kind = head.find(b"\x42\x82")
    if kind >= 0 and head[kind + 3 :].startswith(b"matroska"):
        raise Refused("it is Matroska (MKV), not WebM")
    source.seek(start + (length or 0))
    if source.read(4) != b"\x18\x53\x80\x67":
        raise Refused("it is no WebM file")
    offset = start + (length or 0) + 4
    length, size = _vint(source, offset)
    # A recorder that could not go back left the length open.
    if length is not None and offset + size + length > source.size_bytes:
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
    streams = [one for one in container.streams.video if not _is_cover(one)]
    if not streams:
        raise Refused("there is no video in it")
    stream = next((one for one in streams if _codec(one) in CODECS), None)
    if stream is None:
        known = ", ".join(sorted(CODECS))
        raise Refused(f"its codec is {_codec(streams[0]) or 'unknown'}; these are read: {known}")
    context = stream.codec_context
    if context.width * context.height > PIXEL_LIMIT:
        raise Refused(f"{context.width} x {context.height} are more than {PIXEL_LIMIT} pixels")
    # Each thread holds frames of its own.
    context.thread_count = 2
    context.options = {"max_pixels": str(PIXEL_LIMIT)}
    return stream


def _is_cover(stream: VideoStream) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


def _codec(stream: VideoStream) -> str:
    """The codec's own name, not that of a decoder for it."""
    context = stream.codec_context
    return context.codec.canonical_name if context is not None else ""


def _decoded(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """The frames from here on; what is damaged is left out."""
    for packet in container.demux(stream):
        with suppress(InvalidDataError):
            yield from packet.decode()


def _lengths_s(container: InputContainer, stream: VideoStream) -> tuple[float, float]:
    """How long it plays, and how long there is a picture: as its last packets say.

    What its header says may be missing, or a lie.
    """
    streams = [stream, *container.streams.audio]
    ends = {}
    if container.duration and container.duration > 0:
        claimed_s = _start_s(stream) + container.duration / av.time_base
        with suppress(FFmpegError, OverflowError):
            container.seek(int(claimed_s / (stream.time_base or 1)), stream=stream)
            ends = _ends_s(container, streams)
    if stream.index not in ends:
        with suppress(FFmpegError):
            container.seek(0)
        ends = _ends_s(container, streams)
    start_s = _start_s(stream)
    video_s = ends.get(stream.index, 0) - start_s
    if video_s <= 0:
        raise Refused("it does not say how long it is")
    return max(ends.values()) - start_s, video_s


def _ends_s(container: InputContainer, streams: list[Any]) -> dict[int, float]:
    """By stream, when the last of the packets that follow ends."""
    ends: dict[int, float] = {}
    for packet in container.demux(streams):
        if packet.pts is not None and packet.time_base is not None:
            end_s = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            index = packet.stream.index
            ends[index] = max(end_s, ends.get(index, end_s))
    return ends


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


def _turn(frame: VideoFrame) -> str | None:
    """How the picture is to be turned or mirrored; None where it is as it should be."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return None
    right_x, right_y, _, down_x, down_y, *_ = map(_sign, struct.unpack("=9i", bytes(data)))
    return _TURNS.get((right_x, right_y, down_x, down_y))


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)


def _upright(
    frame: VideoFrame, stream: VideoStream, turn: str | None, most_pixels: int
) -> Image.Image:
    """As a player shows it: pixels square, turned as the camera was held."""
    from PIL import Image  # what a video is can be told without

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
    return image if turn is None else image.transpose(Image.Transpose[turn])


if __name__ == "__main__":
    main(*map(int, sys.argv[1:5]))
    # All is told: what Python would take apart now goes with the process.
    os._exit(0)
