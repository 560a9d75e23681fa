"""Music videos, the whole way on the real engine: into the library with frames, or refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from enginekit import upload, wait_gone
from musictasks.errors import InvalidPath, TaskFailed
from musictasks.library import MusicDatabase
from musictasks.music import MusicEngine, Settings, open_library
from musictasks.statemachine import MusicTask
from PIL import Image
from videokit import make_video, sound_only, without_frames

MP4 = make_video(audio_s=4)
WEBM = make_video(codec="libvpx-vp9", container="webm")
PATH = "AC∕DC/1990 - Thunderstruck.mp4"
ANNOTATIONS = {"artistname": "AC/DC", "release": 1990, "name": "Thunderstruck", "origin": "CD"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.in_directory(
        tmp_path, durability="none", artwork_scales=(16,), video_frames=2, video_scales=((16, 9),)
    )


@pytest.fixture
def engine(settings: Settings) -> Iterator[MusicEngine]:
    with open_library(settings) as engine:
        yield engine


def send(engine: MusicEngine, data: bytes, name: str = "clip.mp4") -> MusicTask:
    return upload(
        engine, data, 1000, content_type="video", mime_type="video/x-any", source_filename=name
    )


def uploaded(engine: MusicEngine, data: bytes, name: str = "clip.mp4") -> MusicTask:
    return engine.wait(send(engine, data, name).id, "readyforintegration", 30)


def files(root: Path) -> dict[str, bytes]:
    """Every file below, hidden ones too."""
    paths = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in paths}


def video(settings: Settings, path: str = PATH) -> dict[str, object]:
    row = MusicDatabase(settings.database).video(path)
    assert row is not None
    return row


def test_into_the_library(engine: MusicEngine, settings: Settings) -> None:
    """Preprocessed, placed by its annotations, imported, with frames; its data goes."""
    task = uploaded(engine, MP4)
    assert task.mime_type == "video/mp4"
    assert task.annotations == {"duration": 4.0, "codec": "h264", "resolution": "64x48"}
    engine.annotate(task.id, ANNOTATIONS)
    engine.integrate(task.id, then_import=True, then_artwork=True)
    done = engine.wait(task.id, "importcomplete", 30)
    assert done.video_path == PATH
    assert files(settings.music) == {PATH: MP4}
    assert list(settings.uploads.iterdir()) == []
    row = video(settings)
    assert [row[key] for key in ("name", "release", "origin")] == ["Thunderstruck", 1990, "CD"]
    assert row["framesdirectory"] == "AC∕DC/Thunderstruck"
    frames = settings.video_frames_root / "AC∕DC/Thunderstruck"
    names = {"frame-01", "frame-02", "frame-01 (16×9)", "frame-02 (16×9)"}
    names = {f"{name}.jpg" for name in names} | {"preview.webp", "preview (16×9).webp"}
    assert {path.name for path in frames.iterdir()} == names
    assert {row["thumbnailfile"], row["previewfile"]} <= names
    assert [one["name"] for one in MusicDatabase(settings.database).artists()] == ["AC/DC"]


@pytest.mark.parametrize(
    ("data", "name", "target"),
    [
        (WEBM, "clip.webm", "AC∕DC/1990 - Thunderstruck.webm"),
        (WEBM, "clip", "AC∕DC/1990 - Thunderstruck.webm"),
        (MP4, "clip.mov", "AC∕DC/1990 - Thunderstruck.mp4"),
        (WEBM, "clip.mkv", "AC∕DC/1990 - Thunderstruck.webm"),
        (MP4, "CLIP.M4V", "AC∕DC/1990 - Thunderstruck.m4v"),
    ],
)
def test_the_extension(
    engine: MusicEngine, settings: Settings, data: bytes, name: str, target: str
) -> None:
    """The client's where it is one of the scheme's; else that of what is in the file."""
    task = uploaded(engine, data, name)
    engine.annotate(task.id, ANNOTATIONS)
    engine.integrate(task.id)
    wait_gone(engine, task.id)
    assert files(settings.music) == {target: data}


def test_another_target(engine: MusicEngine, settings: Settings) -> None:
    """The client may name it; no import, no row."""
    task = uploaded(engine, MP4)
    engine.integrate(task.id, "Artist/2001 - Video.m4v")
    wait_gone(engine, task.id)
    assert files(settings.music) == {"Artist/2001 - Video.m4v": MP4}
    assert MusicDatabase(settings.database).videos() == []


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("Artist/Clip.mp4", "not a year"),
        ("Artist/2020 - Clip.avi", "no video's extension"),
        ("Artist/2020 - Clip.MP4", "end it in '.mp4'"),
        ("Artist/2020 - Clip - Live.mp4", "'Clip – Live'"),
        ("Artist/2020 - Album/2020 - Clip.mp4", "3 parts"),
        ("../2020 - Clip.mp4", "may not be part"),
        (".Artist/2020 - Clip.mp4", "begins with a dot"),
        ("lost+found/2020 - Clip.mp4", "ignore lists"),
        (None, "annotate artistname, release"),
    ],
)
def test_a_target_that_is_none(
    engine: MusicEngine, settings: Settings, target: str | None, reason: str
) -> None:
    """The call refuses it; the task rests as it was."""
    task = uploaded(engine, MP4)
    engine.annotate(task.id, {**ANNOTATIONS, "release": "199"})
    with pytest.raises(InvalidPath, match=reason):
        engine.integrate(task.id, target)
    assert engine.get(task.id).state == "readyforintegration"
    assert files(settings.music) == {}


def test_a_target_that_is_taken(engine: MusicEngine, settings: Settings) -> None:
    """Another file stays and is named; the same one counts as done; elsewhere it goes in."""
    there = settings.music / PATH
    there.parent.mkdir()
    there.write_bytes(WEBM)
    task = uploaded(engine, MP4)
    engine.integrate(task.id, PATH, then_import=True)
    with pytest.raises(TaskFailed, match="exists already"):
        engine.wait(task.id, "importcomplete", 30)
    assert files(settings.music) == {PATH: WEBM}
    other = "AC∕DC/1990 - Thunderstruck (Live).mp4"
    engine.retry(task.id, target=other)
    engine.wait(task.id, "importcomplete", 30)
    assert [row["path"] for row in MusicDatabase(settings.database).videos()] == [other]
    engine.remove(task.id)
    wait_gone(engine, task.id)
    again = uploaded(engine, MP4)
    engine.integrate(again.id, other, then_import=True)
    engine.wait(again.id, "importcomplete", 30)
    assert len(MusicDatabase(settings.database).videos()) == 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (without_frames(), "no frame"),
        (sound_only(), "no video in it"),
        (MP4[:-300], "cut off"),
        (b"PK\3\4 and so on", "neither MP4"),
        (WEBM, "video/webm under a wrong extension"),
    ],
)
def test_refused(engine: MusicEngine, settings: Settings, data: bytes, reason: str) -> None:
    """`invalidcontent` with a reason that names the file, and nothing of it is left."""
    task = send(engine, data)
    with pytest.raises(TaskFailed) as caught:
        engine.wait(task.id, "readyforintegration", 30)
    assert caught.value.state == "invalidcontent"
    assert (caught.value.reason or "").startswith("clip.mp4: ")
    assert reason in (caught.value.reason or "")
    engine.remove(task.id)
    wait_gone(engine, task.id)
    assert files(settings.uploads) == files(settings.music) == {}


def lay(settings: Settings) -> None:
    path = settings.music / PATH
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(MP4)


def test_what_is_there_already(engine: MusicEngine, settings: Settings) -> None:
    """A video in the Music Directory is imported, with frames; a scan finds nothing new then."""
    lay(settings)
    scan = engine.wait(engine.scan().id, "fsscancomplete", 30)
    assert [new["path"] for new in scan.annotations["newpaths"]["videos"]] == [PATH]
    task = engine.import_music("video", PATH, with_artwork=True)
    engine.wait(task.id, "importcomplete", 30)
    assert video(settings)["previewfile"] == "preview.webp"
    scan = engine.wait(engine.scan().id, "fsscancomplete", 30)
    assert not any(scan.annotations["newpaths"].values())
    assert not any(scan.annotations["lostpaths"].values())
    with pytest.raises(InvalidPath, match="no such video"):
        engine.import_music("video", "AC∕DC/1991 - Other.mp4")
    with pytest.raises(InvalidPath):
        engine.import_music("video", "AC∕DC")


def test_artwork_of_a_video(engine: MusicEngine, settings: Settings) -> None:
    """Frames of its own file, a picture beside it, or an uploaded one."""
    lay(settings)
    (settings.music / "AC∕DC" / "still.png").write_bytes(b"")
    Image.new("RGB", (30, 30), "blue").save(settings.music / "AC∕DC" / "still.png")
    picture = (settings.music / "AC∕DC" / "still.png").read_bytes()
    engine.wait(engine.import_music("video", PATH).id, "importcomplete", 30)
    assert video(settings)["framesdirectory"] is None

    task = engine.import_artwork(source=PATH, target=PATH)
    assert task.artwork_source_type == "videofile"
    engine.wait(task.id, "importcomplete", 30)
    assert video(settings)["thumbnailfile"] == "frame-01.jpg"

    task = engine.import_artwork(source="AC∕DC/still.png", target=PATH)
    engine.wait(task.id, "importcomplete", 30)
    assert video(settings)["thumbnailfile"] == "thumbnail.jpg"
    assert video(settings)["previewfile"] == "preview.webp"

    engine.wait(engine.import_artwork(source=PATH, target=PATH).id, "importcomplete", 30)
    upload_task = upload(
        engine, picture, content_type="artwork", mime_type=None, source_filename="still.png"
    )
    engine.wait(upload_task.id, "readyforintegration", 30)
    engine.integrate(upload_task.id, PATH)
    engine.wait(upload_task.id, "importcomplete", 30)
    assert video(settings)["thumbnailfile"] == "thumbnail.jpg"

    with pytest.raises(InvalidPath, match="no such video"):
        engine.import_artwork(source=PATH, target="AC∕DC/1991 - Other.mp4")
    with pytest.raises(InvalidPath, match="a song, an image or a video"):
        engine.import_artwork(source="AC∕DC/notes.txt", target=PATH)
