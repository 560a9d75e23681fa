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
from multiprocessing import spawn
from pathlib import Path
from typing import BinaryIO

import pytest
from avkit import take_av_away
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
    lying,
    make_video,
    sound_only,
    turned,
    without_frames,
)

H264 = make_video(audio_s=4)
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


@pytest.mark.parametrize(
    ("matrix", "corner"),
    [
        ((1, 0, 0, 1), (0, 0)),
        ((-1, 0, 0, 1), (1, 0)),
        ((1, 0, 0, -1), (0, 1)),
        ((-1, 0, 0, -1), (1, 1)),
        ((0, 1, -1, 0), (1, 0)),
        ((0, -1, 1, 0), (0, 1)),
        ((0, 1, 1, 0), (0, 0)),
        ((0, -1, -1, 0), (1, 1)),
    ],
)
def test_turned_and_mirrored(matrix: tuple[int, int, int, int], corner: tuple[int, int]) -> None:
    """What was at the top left goes where the file's matrix leads, sides exchanged or not."""
    frame = frames_of(turned(make_video(marked=True), matrix), 1)[0]
    assert frame.size == ((64, 48) if matrix[0] else (48, 64))
    small = frame.convert("L").resize((2, 2), Image.Resampling.BOX)
    lights = dict(zip([(0, 0), (1, 0), (0, 1), (1, 1)], small.tobytes(), strict=True))
    assert max(lights, key=lambda place: lights[place]) == corner


@pytest.mark.parametrize(
    ("data", "length_s"),
    [
        (make_video(codec="libvpx-vp9", container="webm", start_s=100), 4),
        (make_video(start_s=7), 4),
        (make_video(audio_s=9), 9),
        (lying(VP9, 36_000), 4),
        (lying(VP9, 9e15), 4),
        (lying(VP9, 1), 4),
    ],
)
def test_the_picture_counts_not_the_header(data: bytes, length_s: float) -> None:
    """Time stamps may begin anywhere, sound may go on longer, a header may lie."""
    with file_of(data) as file:
        assert read_video(file, "clip").duration_s == pytest.approx(length_s, abs=0.3)
    assert [number_of(frame) for frame in frames_of(data)] == [4, 8, 12, 16]


@pytest.mark.parametrize("junk", [b"TAG" + bytes(range(1, 126)), b"\0" * 500, b"\xff" * 7])
@pytest.mark.parametrize("data", [H264, VP9])
def test_what_stands_after_the_end(data: bytes, junk: bytes) -> None:
    """Taggers and transfers leave it: no reason to refuse a video."""
    with file_of(data + junk) as file:
        assert read_video(file, "clip").duration_s == pytest.approx(4, abs=0.1)


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
    "length of nothing": (b"\0\0\0\3ftyp", "broken"),
    "WebM of nothing": (b"\x1a\x45\xdf\xa3", "no WebM file"),
    "WebM without a segment": (b"\x1a\x45\xdf\xa3\x81abcdefgh", "no WebM file"),
    "Matroska": (make_video(container="matroska"), "Matroska"),
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


def test_text_that_is_no_utf_8() -> None:
    """A title in the encoding of some old program is no reason to refuse a video."""
    data = make_video(title="Gruesse")
    assert data.count(b"Gruesse") == 1
    with file_of(data.replace(b"Gruesse", b"Gr\xfc\xdfe..")) as file:
        assert read_video(file, "clip.mp4").codec == "h264"


def test_a_codec_that_no_player_plays() -> None:
    """FFmpeg has decoders for much that nobody should meet; only the known ones are used."""
    data = make_video(codec="jpeg2000", container="mov")
    with file_of(data) as file, pytest.raises(MediaError, match="its codec is jpeg2000"):
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


def program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> None:
    """A program in place of ours: `say` says something, as ours does."""
    path = tmp_path / "program.py"
    path.write_text(
        "import json, os, sys\n"
        "def say(message):\n"
        "    text = json.dumps(message).encode()\n"
        "    os.write(int(sys.argv[2]), len(text).to_bytes(4, 'big') + text)\n" + text
    )
    monkeypatch.setattr(video_module, "PROGRAM", path)


@pytest.mark.parametrize(
    ("number", "error", "reason"),
    [
        (signal.SIGSEGV, MediaError, "broke down over it"),
        (signal.SIGABRT, MediaError, "broke down over it"),
        (signal.SIGXCPU, MediaError, "takes too long"),
        (signal.SIGKILL, OSError, "signal 9"),
        (signal.SIGINT, OSError, "signal 2"),
    ],
)
def test_a_process_that_is_ended(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    number: int,
    error: type[Exception],
    reason: str,
) -> None:
    """A decoder that breaks down takes nobody along; who is killed from outside is not to blame."""
    end = f"import signal; signal.signal({number}, signal.SIG_DFL)\n" if number == 2 else ""
    end += f"os.kill(os.getpid(), {int(number)})\n"
    program(monkeypatch, tmp_path, f"say({{'ready': True}})\n{end}")
    with file_of(H264) as file, pytest.raises(error, match=reason):
        read_video(file, "clip")
    program(monkeypatch, tmp_path, end)
    with file_of(H264) as file, pytest.raises(OSError, match="ended early"):
        read_video(file, "clip")


@pytest.mark.parametrize("executable", ["/bin/false", "/bin/cat", "/nonexistent/python", ""])
def test_no_python_to_start(monkeypatch: pytest.MonkeyPatch, executable: str) -> None:
    """A program that embeds Python may have another executable: never the video's fault."""
    monkeypatch.setattr(spawn, "_python_exe", os.fsencode(executable))
    with file_of(H264) as file, pytest.raises(OSError, match=r"ended early|No such|no Python"):
        read_video(file, "clip")


def test_an_executable_that_hangs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is given up after a while."""
    program(monkeypatch, tmp_path, "import threading\nthreading.Event().wait()\n")
    monkeypatch.setattr(video_module, "_START_LIMIT_S", 0.0)
    with file_of(H264) as file, pytest.raises(OSError, match="hangs"):
        read_video(file, "clip")


def test_modules_of_the_host_do_not_get_in_the_way(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A program may have a `resource.py` or a `PIL.py` of its own, and a path that is no text."""
    for name in ("resource", "json", "PIL", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('the wrong one')\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path, tmp_path])
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with file_of(H264) as file:
        assert read_video(file, "clip").codec == "h264"


def test_where_children_are_not_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With SIGCHLD ignored nobody hears how a process ended: then it is not the video's fault."""
    program(monkeypatch, tmp_path, "say({'ready': True})\nos.kill(os.getpid(), 9)\n")
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with file_of(H264) as file, pytest.raises(OSError, match="ended early"):
            read_video(file, "clip")
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error says what to install; a folder that is called `av` is no PyAV."""
    check_video_extra()
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ExtraMissing, match=r"pip install 'musictasks\[video\]'"):
        check_video_extra()
    monkeypatch.delitem(sys.modules, "av")
    (tmp_path / "av").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(ExtraMissing):
        check_video_extra()


def test_pyav_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is told by the process that needs it."""
    take_av_away(tmp_path, monkeypatch)
    with file_of(H264) as file, pytest.raises(ExtraMissing, match="No module named 'av'"):
        read_video(file, "clip")


def test_it_can_be_stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A reading that lasts asks whether it shall go on, and its process ends with it."""
    program(
        monkeypatch,
        tmp_path,
        f"import threading\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        "threading.Event().wait()\n",
    )

    def stop() -> None:
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
            raise InterruptedError

    with file_of(H264) as file, pytest.raises(InterruptedError):
        read_video(file, "clip", stop)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_it_ends_with_its_parent() -> None:
    """Where the parent is killed the pipe closes, and nobody decodes for nobody."""
    reading, writing = os.pipe()
    with file_of(H264) as file:
        child = subprocess.Popen(
            [
                *(sys.executable, "-I", str(video_module.PROGRAM)),
                *(str(file.fileno()), str(writing), "1000000", "1000000"),
            ],
            stdin=subprocess.PIPE,
            pass_fds=[file.fileno(), writing],
        )
        os.close(writing)
        assert child.stdin is not None
        assert os.read(reading, 4)
        # It waits for somebody to read its frames, for ever.
        child.stdin.close()
        assert child.wait(30) == 1
    os.close(reading)


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
