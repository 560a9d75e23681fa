"""What a video file tells of itself, and its frames; needs the extra `musictasks[video]`.

FFmpeg's decoders are native code that meets strangers' files: a bad one can end the process, or
ask for all memory and time there is. So `video_program.py` runs in a process of its own, with
limits, and this module only reads what it says.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from multiprocessing import spawn
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from attrs import define, frozen
from PIL import Image

from ..errors import ExtraMissing, MediaError

#: 4K: a larger frame is scaled down.
FRAME_PIXEL_LIMIT = 4096 * 2160
#: How often a reading that lasts asks whether it shall stop, in seconds.
_ASK_AFTER_S = 0.2
_MESSAGE_LIMIT_BYTES = 100_000
_NO_PYAV = 3
_BLOCK_BYTES = 1024 * 1024


@frozen
class VideoInfo:
    """What a video file tells of itself."""

    #: FFmpeg's name for it: h264, vp9, …
    codec: str
    duration_s: float
    #: As it is shown: of one that is turned, the height of what is stored.
    width_px: int
    height_px: int
    mime_type: str


def check_video_extra() -> None:
    """Raises ExtraMissing where PyAV is not installed."""
    if find_spec("av") is None:
        raise ExtraMissing("video", "PyAV is not installed")


def read_video(file: BinaryIO, name: str, check: Callable[[], object] | None = None) -> VideoInfo:
    """What a video is; one of its frames was decoded.

    Args:
        file: A real file, of which the position changes.
        name: What it is called in errors.
        check: Is called now and then, and may raise to stop.

    Raises:
        MediaError: `name` is no video in MP4 or WebM, is cut off, broken, or too large.
        ExtraMissing: PyAV is not installed.
        OSError: `file` cannot be read.
    """
    with _reading(file, name, 0, check) as reading:
        return _info(reading.message())


def read_frames(
    file: BinaryIO, name: str, count: int, check: Callable[[], object] | None = None
) -> Iterator[Image.Image]:
    """`count` frames, evenly spread over the length: as a player shows them, none over 4K.

    Takes and raises what `read_video` does.
    """
    with _reading(file, name, count, check) as reading:
        _info(reading.message())
        for _ in range(count):
            message = reading.message()
            size = int(message["width_px"]), int(message["height_px"])
            if not 0 < size[0] * size[1] <= FRAME_PIXEL_LIMIT:
                raise MediaError(name, f"a frame has {size[0]} x {size[1]} pixels")
            yield Image.frombytes("RGB", size, reading.exactly(size[0] * size[1] * 3))


def _info(message: dict[str, Any]) -> VideoInfo:
    return VideoInfo(
        str(message["codec"]),
        float(message["duration_s"]),
        int(message["width_px"]),
        int(message["height_px"]),
        str(message["mime_type"]),
    )


@contextmanager
def _reading(
    file: BinaryIO, name: str, frames: int, check: Callable[[], object] | None
) -> Iterator[_Reading]:
    program = str(Path(__file__).with_name("video_program.py"))
    # -P: what lies beside the program is no module of its own.
    command = [os.fsdecode(spawn.get_executable()), "-P", program]
    arguments = map(str, (file.fileno(), frames, FRAME_PIXEL_LIMIT))
    # Its own group: a Ctrl-C at the terminal is for this process to handle.
    with subprocess.Popen(
        [*command, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=[file.fileno()],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        process_group=0,
    ) as process:
        try:
            yield _Reading(process, name, check or (lambda: None))
        finally:
            process.kill()


@define
class _Reading:
    """The other process, and what it says."""

    process: subprocess.Popen[bytes]
    name: str
    check: Callable[[], object]

    def message(self) -> dict[str, Any]:
        size_bytes = int.from_bytes(self.exactly(4))
        if size_bytes > _MESSAGE_LIMIT_BYTES:
            raise MediaError(self.name, "reading it went wrong")
        message = json.loads(self.exactly(size_bytes))
        if "errno" in message:
            raise OSError(message["errno"], message["strerror"])
        if "refused" in message:
            raise MediaError(self.name, message["refused"])
        return message

    def exactly(self, size_bytes: int) -> bytes:
        assert self.process.stdout is not None
        descriptor = self.process.stdout.fileno()
        data = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while len(data) < size_bytes:
                while not selector.select(_ASK_AFTER_S):
                    self.check()
                block = os.read(descriptor, min(size_bytes - len(data), _BLOCK_BYTES))
                if not block:
                    self._ended()
                data += block
        return bytes(data)

    def _ended(self) -> NoReturn:
        """It said less than it should: what ended it says whose fault that is."""
        code = self.process.wait()
        if code == _NO_PYAV:
            raise ExtraMissing("video", "PyAV cannot be loaded")
        if code == -signal.SIGXCPU:
            raise MediaError(self.name, "reading it takes too long")
        if code in (-signal.SIGKILL, -signal.SIGTERM):
            raise OSError(0, "the process that reads the video was killed")
        if code < 0:
            raise MediaError(self.name, f"the decoder broke down over it (signal {-code})")
        raise MediaError(self.name, f"the decoder broke down over it (exit code {code})")
