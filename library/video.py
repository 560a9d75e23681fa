"""What a video file tells of itself, and its frames; needs the extra `musictasks[video]`.

FFmpeg's decoders are native code that meets strangers' files: a bad one can end the process, or
ask for all memory and time there is. So `video_program.py` runs in a process of its own, with
limits, and this module only reads what it says.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from multiprocessing import spawn
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

from attrs import define, frozen

from ..errors import ExtraMissing, MediaError
from .naming import is_video

if TYPE_CHECKING:
    from PIL import Image

PROGRAM = Path(__file__).with_name("video_program.py")
#: 4K: a larger frame is scaled down.
FRAME_PIXEL_LIMIT = 4096 * 2160
#: How often a reading that lasts asks whether it shall stop, in seconds.
_ASK_AFTER_S = 0.2
_MESSAGE_LIMIT_BYTES = 100_000
#: How long the process may take to start, in seconds.
_START_LIMIT_S = 60.0
#: What a native decoder ends by that a bad file led astray.
_BREAKDOWNS = frozenset(
    {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL}
)
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
    found = find_spec("av")
    if found is None or found.origin is None:  # a mere folder of that name is no module
        raise ExtraMissing("video", "PyAV is not installed")


def read_video(file: BinaryIO, name: str, check: Callable[[], object] | None = None) -> VideoInfo:
    """What a video is; one of its frames was decoded.

    Args:
        file: A real file, of which the position changes.
        name: What it is called in errors.
        check: Is called now and then, and may raise to stop.

    Raises:
        MediaError: `name` is no video in MP4 or WebM, or another one than its extension says; it
            is cut off, broken, or too large.
        ExtraMissing: PyAV is not installed.
        OSError: `file` cannot be read.
    """
    with _reading(file, name, 0, check) as reading:
        video = _info(reading.message())
    if is_video(name) and name.lower().endswith(".webm") != (video.mime_type == "video/webm"):
        raise MediaError(name, f"it is {video.mime_type} under a wrong extension")
    return video


def read_frames(
    file: BinaryIO, name: str, count: int, check: Callable[[], object] | None = None
) -> Iterator[Image.Image]:
    """`count` frames, evenly spread over the length: as a player shows them, none over 4K.

    Takes and raises what `read_video` does.
    """
    from PIL import Image

    with _reading(file, name, count, check) as reading:
        reading.message()  # what the video is
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
    with ExitStack() as stack:
        reading, writing = os.pipe()
        stack.callback(os.close, reading)
        try:
            process = stack.enter_context(_program(file.fileno(), writing, frames))
        finally:
            os.close(writing)
        stack.callback(process.kill)
        started = _Reading(process, reading, name, check or (lambda: None))
        started.await_ready()
        yield started


def _program(video: int, pipe: int, frames: int) -> subprocess.Popen[bytes]:
    """The process; what it writes but into the pipe is nobody's."""
    executable = spawn.get_executable()
    if not executable:
        raise OSError(errno.ENOENT, "there is no Python to start (sys.executable is empty)")
    # Not 0 to 2, which are the new process's own.
    descriptors = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 3) for number in (video, pipe)]
    try:
        numbers = (*descriptors, frames, FRAME_PIXEL_LIMIT)
        arguments = map(str, (*numbers, *filter(None, sys.path)))
        return subprocess.Popen(
            # -I: nothing of where we run, nor of the environment, stands before Python's own.
            [os.fsdecode(executable), "-I", str(PROGRAM), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=descriptors,
            # Its own group: a Ctrl-C at the terminal is for this process to handle.
            process_group=0,
        )
    finally:
        for number in descriptors:
            os.close(number)


@define
class _Reading:
    """The other process, and what it says."""

    process: subprocess.Popen[bytes]
    pipe: int
    name: str
    check: Callable[[], object]
    #: Until then whatever goes wrong is not the video's fault.
    is_ready: bool = False

    def await_ready(self) -> None:
        message = self.message(_START_LIMIT_S)
        if "missing" in message:
            raise ExtraMissing("video", f"PyAV cannot be loaded ({message['missing']})")
        self.is_ready = True

    def message(self, limit_s: float | None = None) -> dict[str, Any]:
        size_bytes = int.from_bytes(self.exactly(4, limit_s))
        if size_bytes > _MESSAGE_LIMIT_BYTES:
            raise OSError(errno.EIO, "the process that reads videos says nonsense")
        message = json.loads(self.exactly(size_bytes))
        if "errno" in message:
            raise OSError(message["errno"], message["strerror"])
        if "refused" in message:
            raise MediaError(self.name, message["refused"])
        return message

    def exactly(self, size_bytes: int, limit_s: float | None = None) -> bytes:
        end_s = None if limit_s is None else time.monotonic() + limit_s
        data = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(self.pipe, selectors.EVENT_READ)
            while len(data) < size_bytes:
                while not selector.select(_ASK_AFTER_S):
                    self.check()
                    if end_s is not None and time.monotonic() > end_s:
                        raise OSError(errno.ETIMEDOUT, "the process that reads videos hangs")
                block = os.read(self.pipe, min(size_bytes - len(data), _BLOCK_BYTES))
                if not block:
                    self._ended()
                data += block
        return bytes(data)

    def _ended(self) -> NoReturn:
        """It said less than it should: what ended it says whose fault that is."""
        code = self.process.wait()
        if self.is_ready and code == -signal.SIGXCPU:
            raise MediaError(self.name, "reading it takes too long")
        if self.is_ready and -code in _BREAKDOWNS:
            raise MediaError(self.name, f"the decoder broke down over it (signal {-code})")
        how = f"signal {-code}" if code < 0 else f"exit status {code}"
        raise OSError(errno.EIO, f"the process that reads videos ended early ({how})")
