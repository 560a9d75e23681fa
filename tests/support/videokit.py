"""Real videos, encoded for the tests, and some that are not what they should be."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from functools import cache

import av
from av.container import OutputContainer
from av.video.stream import VideoStream
from PIL import Image

FPS = 5
#: A frame for each of these, so that each frame can be told.
_STEP = 12
_VP8_KEY_FRAME = b"\x9d\x01\x2a"


def color_of(number: int) -> tuple[int, int, int]:
    """What the n-th frame is filled with."""
    return (number * _STEP % 256, 40, 200 - number * _STEP % 200)


@cache
def make_video(
    *,
    codec: str = "libx264",
    container: str = "mp4",
    frames: int = 20,
    size: tuple[int, int] = (64, 48),
    pixel: Fraction | None = None,
    audio_s: float = 0,
    start_s: int = 0,
    marked: bool = False,
    title: str = "",
) -> bytes:
    """`frames` frames, FPS a second, each in a colour of its own; a key frame every 8.

    `start_s`: the time stamp of the first one. `marked`: its top left quarter is white.
    """
    out = io.BytesIO()
    with av.open(out, "w", format=container) as file:
        file.metadata["title"] = title or "Test"
        stream = file.add_stream(codec, rate=FPS)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = 8
        if pixel is not None:
            stream.codec_context.sample_aspect_ratio = pixel
        tone = file.add_stream("aac", rate=48000) if audio_s else None
        for number in range(frames):
            picture = Image.new("RGB", size, color_of(number))
            if marked:
                picture.paste("white", (0, 0, size[0] // 2, size[1] // 2))
            frame = av.VideoFrame.from_image(picture)
            frame.pts, frame.time_base = number + start_s * FPS, Fraction(1, FPS)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
        if tone is not None:
            _silence(file, tone, audio_s)
    return out.getvalue()


def _silence(container: OutputContainer, stream: av.AudioStream, length_s: float) -> None:
    for number in range(int(length_s * 48000 / 1024)):
        frame = av.AudioFrame(format="fltp", layout="stereo", samples=1024)
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.sample_rate, frame.pts = 48000, number * 1024
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def sound_only() -> bytes:
    """An MP4 of nothing but silence."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        _silence(container, container.add_stream("aac", rate=48000), 1)
    return out.getvalue()


def without_frames() -> bytes:
    """An MP4 with a video track that holds no frame: its samples are said to be none."""
    data = bytearray(make_video())
    count = data.index(b"stsz") + 12
    struct.pack_into(">I", data, count, 0)
    return bytes(data)


def turned(data: bytes, matrix: tuple[int, int, int, int] = (0, 1, -1, 0)) -> bytes:
    """The MP4 as a phone writes it that was held upright: to be turned clockwise.

    `matrix`: where it leads to the right and down.
    """
    video = bytearray(data)
    # tkhd, version 0: the matrix stands 40 bytes after version and flags.
    place = video.index(b"tkhd") + 4 + 40
    a, b, c, d = (part << 16 for part in matrix)
    struct.pack_into(">9i", video, place, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    return bytes(video)


def lying(data: bytes, length_s: float) -> bytes:
    """The WebM with another length in its header."""
    video = bytearray(data)
    struct.pack_into(">d", video, video.index(b"\x44\x89\x88") + 3, length_s * 1000)
    return bytes(video)


def endless_samples(count: int = 0x0FFF_FFFF) -> bytes:
    """An MP4 of some kB that says it has millions of frames, each of one byte."""
    data = bytearray(make_video())
    struct.pack_into(">II", data, data.index(b"stsz") + 8, 1, count)
    struct.pack_into(">II", data, data.index(b"stsc") + 12, 1, count)
    struct.pack_into(">I", data, data.index(b"stts") + 12, count)
    return bytes(data)


def huge_frames() -> bytes:
    """A WebM of some kB whose key frames say that they have 16383 x 16383 pixels."""
    data = bytearray(make_video(codec="libvpx", container="webm"))
    start = data.find(_VP8_KEY_FRAME)
    while start >= 0:
        struct.pack_into("<HH", data, start + len(_VP8_KEY_FRAME), 0x3FFF, 0x3FFF)
        start = data.find(_VP8_KEY_FRAME, start + 1)
    return bytes(data)
