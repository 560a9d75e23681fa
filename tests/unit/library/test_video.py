"""Videos of strangers, read in a process of its own: real files, good and bad."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from musictasks.errors import ExtraMissing, MediaError
from musictasks.library import check_video_extra, read_frames, read_video, sample_album
from musictasks.library import video as video_module
from PIL import Image
from videokit import (
    color_of,
    endless_samples,
    huge_frames,
    make_video,
    sound_only,
    turned,
    without_frames,
)

H264 = make_video(audio=True)
VP9 = make_video(codec="libvpx-vp9", container="webm")


@contextmanager
def file_of(data: bytes) -> Iterator[BinaryIO]:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        yield file


def frames_of(data: bytes, count: int = 4) -> list[Image.Image]:
    with file_of(data) as file:
        return list(read_frames(file, "clip", count))


def number_of(image: Image.Image) -> int:
    """Which of the video's frames it is, by its colour."""
    pixel = image.getpixel((image.width // 2, image.height // 2))
    assert isinstance(pixel, tuple)

    def distance(number: int) -> float:
        return sum(abs(a - b) for a, b in zip(pixel, color_of(number), strict=True))

    return min(range(20), key=distance)


@pytest.mark.parametrize(
    ("data", "codec", "mime_type"),
    [
        (H264, "h264", "video/mp4"),
        (make_video(codec="mpeg4"), "mpeg4", "video/mp4"),
        (make_video(codec="libvpx", container="webm"), "vp8", "video/webm"),
        (VP9, "vp9", "video/webm"),
    ],
)
def test_what_a_video_is(data: bytes, codec: str, mime_type: str) -> None:
    """Codec, length, size and kind of each sort that players play."""
    with file_of(data) as file:
        video = read_video(file, "clip")
    assert (video.codec, video.mime_type) == (codec, mime_type)
    assert (video.width_px, video.height_px) == (64, 48)
    assert video.duration_s == pytest.approx(4, abs=0.1)


@pytest.mark.parametrize("data", [H264, VP9])
def test_frames_are_spread_over_the_length(data: bytes) -> None:
    """Four frames of 4 s are those shown at 0.8, 1.6, 2.4 and 3.2 s."""
    assert [number_of(frame) for frame in frames_of(data)] == [4, 8, 12, 16]


def test_a_recording_without_an_index() -> None:
    """A WebM that a browser recorded says no length, and has no index: both are found out."""
    data = bytearray(VP9)
    cues = data.rindex(b"\x1c\x53\xbb\x6b")
    del data[cues:]
    segment = data.index(b"\x18\x53\x80\x67") + 4
    data[segment : segment + 8] = b"\x01" + b"\xff" * 7
    length = data.index(b"\x44\x89\x88")
    data[length : length + 11] = b"\xec\x89" + bytes(9)
    with file_of(bytes(data)) as file:
        assert read_video(file, "clip").duration_s == pytest.approx(4, abs=0.3)
    assert [number_of(frame) for frame in frames_of(bytes(data))] == [4, 8, 12, 16]


def test_as_a_player_shows_it() -> None:
    """A phone's upright video is turned, and wide pixels are made square."""
    with file_of(turned(H264)) as file:
        video = read_video(file, "clip")
    assert (video.width_px, video.height_px) == (48, 64)
    assert frames_of(turned(H264), 1)[0].size == (48, 64)
    assert frames_of(make_video(pixel=Fraction(2)), 1)[0].size == (128, 48)


def test_a_large_frame_is_scaled_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """No frame has more pixels than the limit, and its shape stays."""
    monkeypatch.setattr(video_module, "FRAME_PIXEL_LIMIT", 32 * 24)
    assert frames_of(H264, 1)[0].size == (32, 24)


def test_one_frame_is_a_video() -> None:
    """It is its frames, as often as they are asked for."""
    assert [number_of(frame) for frame in frames_of(make_video(frames=1), 3)] == [0, 0, 0]


def test_tags_in_no_encoding() -> None:
    """Old programs wrote Latin-1: that is nobody's problem here."""
    data = make_video(title="Grosse").replace(b"Grosse", b"Gr\xf6\xdfe!")
    with file_of(data) as file:
        assert read_video(file, "clip").codec == "h264"


BAD = {
    "nothing": (b"", "neither MP4"),
    "text": (b"this is no video", "neither MP4"),
    "song": ((sample_album() / "02 Ebbe-Flut.mp3").read_bytes(), "neither MP4"),
    "playlist": (b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n", "neither MP4"),
    "sound only": (sound_only(), "no video in it"),
    "m4a": ((sample_album() / "03 Nacht - Reprise.m4a").read_bytes(), "no video in it"),
    "no frames": (without_frames(), "no frame"),
    "cut MP4": (H264[:-200], "cut off"),
    "cut WebM": (VP9[:-200], "cut off"),
    "head only": (H264[:40], "broken"),
    "length of nothing": (b"\0\0\0\3ftyp", "no MP4 file"),
    "WebM of nothing": (b"\x1a\x45\xdf\xa3", "no WebM file"),
    "WebM without a segment": (b"\x1a\x45\xdf\xa3\x81abcdefgh", "no WebM file"),
    "huge frames": (huge_frames(), "broken"),
    "endless samples": (endless_samples(), "no frame"),
}


@pytest.mark.parametrize("bad", BAD)
def test_no_video(bad: str) -> None:
    """What is none is named, with the reason."""
    data, reason = BAD[bad]
    with file_of(data) as file, pytest.raises(MediaError, match=reason) as caught:
        read_video(file, "clip.mp4")
    assert caught.value.path == "clip.mp4"


def test_a_codec_that_no_player_plays() -> None:
    """FFmpeg has decoders for much that nobody should meet; only the known ones are used."""
    data = make_video(codec="ffv1", container="matroska")
    with file_of(data) as file, pytest.raises(MediaError, match="its codec is ffv1"):
        read_video(file, "clip")


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(data=st.sampled_from([H264, VP9]), changes=st.data())
def test_damage_never_ends_in_another_error(data: bytes, changes: st.DataObject) -> None:
    """Whatever bytes are wrong: it is read, or refused with a reason."""
    damaged = bytearray(data)
    places = st.integers(0, len(data) - 1)
    for place in changes.draw(st.lists(places, min_size=1, max_size=20)):
        damaged[place] = changes.draw(st.integers(0, 255))
    with file_of(bytes(damaged)) as file, suppress(MediaError):
        assert len(list(read_frames(file, "clip", 2))) == 2


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (signal.SIGSEGV, MediaError),
        (signal.SIGXCPU, MediaError),
        (signal.SIGKILL, OSError),
    ],
)
def test_a_process_that_is_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int, error: type[Exception]
) -> None:
    """A decoder that breaks down takes nobody along; who is killed from outside is not to blame."""
    broken = tmp_path / "av.py"
    broken.write_text(f"import os\nos.kill(os.getpid(), {int(number)})\n")
    monkeypatch.syspath_prepend(tmp_path)
    with file_of(H264) as file, pytest.raises(error):
        read_video(file, "clip")


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error says what to install."""
    check_video_extra()
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ExtraMissing, match=r"pip install 'musictasks\[video\]'"):
        check_video_extra()
    (tmp_path / "av.py").write_text("raise ImportError('libavcodec.so: not found')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with file_of(H264) as file, pytest.raises(ExtraMissing):
        read_video(file, "clip")


def test_it_can_be_stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A reading that lasts asks whether it shall go on, and its process ends with it."""
    (tmp_path / "av.py").write_text(
        f"import os, threading\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        "threading.Event().wait()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    def stop() -> None:
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
            raise InterruptedError

    with file_of(H264) as file, pytest.raises(InterruptedError):
        read_video(file, "clip", stop)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_it_ends_with_its_parent() -> None:
    """Where the parent is killed the pipe closes, and nobody decodes for nobody."""
    with file_of(H264) as file:
        program = Path(video_module.__file__).with_name("video_program.py")
        child = subprocess.Popen(
            [sys.executable, "-P", str(program), str(file.fileno()), "1000000", "1000000"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[file.fileno()],
        )
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.read(4)
        # It waits for somebody to read its frames, for ever.
        child.stdin.close()
        assert child.wait(30) == 1
        child.stdout.close()


def test_a_disk_that_fails_is_not_the_videos_fault() -> None:
    """The disk's own error passes."""
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe, pytest.raises(OSError, match="seek"):
        read_video(pipe, "clip")


def test_two_at_once() -> None:
    """Each has its own process; descriptors of one are not held open by another."""
    found: list[list[int]] = []

    def read(data: bytes) -> None:
        found.append([number_of(frame) for frame in frames_of(data)])

    threads = [threading.Thread(target=read, args=(data,)) for data in (H264, VP9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[4, 8, 12, 16]] * 2
