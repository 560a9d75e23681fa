"""Preprocessing of real uploads: songs, booklets, pictures, and what is none of them."""

import errno
import io
import pickle
import shutil
from pathlib import Path

import pytest
from musictasks.files import Directory, Effects, using
from musictasks.handlers import Preprocessing
from musictasks.library import (
    ImageLimits,
    SongTags,
    note_tags,
    read_song,
    recent_tags,
    sample_album,
)
from musictasks.statemachine import MusicTask, Outcome, Work, WorkStopped
from PIL import Image
from videokit import make_video, sound_only, without_frames

SONG = "02 Ebbe-Flut.mp3"
NAME = "albumfile-" + "0" * 40


@pytest.fixture
def handler(tmp_path: Path) -> Preprocessing:
    return Preprocessing(Directory(tmp_path), ImageLimits(bytes=100_000, pixels=500_000))


def run(handler: Preprocessing, source: str, data: bytes | None = None, **fields) -> Outcome:
    """Uploads `data` (or the sample's file of that name) as `source` and preprocesses it."""
    if data is None:
        data = (sample_album() / source).read_bytes()
    path = NAME + Path(source).suffix
    (handler.uploads.root / path).write_bytes(data)
    fields = {"content_type": "albumfile", "source_filename": source, "upload_path": path, **fields}
    return handler(MusicTask(id="t", **fields), Work())


def sample(name: str) -> bytes:
    return (sample_album() / name).read_bytes()


def test_song(handler: Preprocessing):
    """A song's tags become the documented annotations, and its MIME type is found."""
    outcome = run(handler, SONG)
    assert outcome.event == "succeed"
    assert outcome.changes == {"mime_type": "audio/mpeg"}
    assert outcome.annotations == {
        "artist": "Søren Größenwald",
        "album": "Über den Wäldern",
        "releaseyear": 2020,
        "song": "Ebbe/Flut",
        "songnumber": 2,
        "cdnumber": 1,
        "playtime": 3,
        "bitrate": 95999,
        "origin": "internet",
        "lyrics": "Das Wasser kommt,\ndas Wasser geht,\nder Wald bleibt stehen.",
    }


def test_what_was_read_of_the_same_bytes_is_not_read_again(handler: Preprocessing):
    """The tags that a plan read come along by the SHA-1; those of other bytes do not."""
    sha1, other = "5eed" * 10, "0bad" * 10
    tags = SongTags(title="Read before", playtime_s=1, bitrate=1, mime_type="audio/mpeg")
    note_tags(sha1, "plan.MP3", tags)
    assert run(handler, SONG, source_checksum=sha1.upper()).annotations["song"] == "Read before"
    assert run(handler, SONG, source_checksum=other).annotations["song"] == "Ebbe/Flut"
    assert recent_tags(other, SONG) == read_song(io.BytesIO(sample(SONG)), SONG)
    assert run(handler, "a.flac", sample(SONG), source_checksum=sha1).event == "reject"


def test_a_song_that_tells_nothing(handler: Preprocessing):
    """What is annotated of every song: its audio, where it may come from, and disc 0."""
    data = (sample_album() / SONG).read_bytes()
    size = sum(byte << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True))
    outcome = run(handler, "01 A.mp3", data[10 + size :])
    assert outcome.annotations == {
        "cdnumber": 0,
        "playtime": 3,
        "bitrate": 95999,
        "origin": "internet",
    }


def test_unknown_annotations_are_left_out(handler: Preprocessing):
    """What a song does not tell is no annotation."""
    outcome = run(handler, "03 Nacht - Reprise.m4a")
    assert "lyrics" not in outcome.annotations
    assert None not in outcome.annotations.values()


@pytest.mark.parametrize(
    ("source", "mime_type"),
    [("booklet.pdf", "application/pdf"), ("cover.png", "image/png")],
)
def test_other_album_files(handler: Preprocessing, source: str, mime_type: str):
    """Any other file of an album succeeds; its MIME type comes from its extension."""
    assert run(handler, source).changes == {"mime_type": mime_type}
    assert run(handler, source).annotations == {}


def test_unknown_mime_type(handler: Preprocessing):
    """A file of no known kind keeps no MIME type."""
    assert run(handler, "notes", b"?") == Outcome("succeed")


def test_the_clients_mime_type_stays(handler: Preprocessing):
    """A MIME type that the client gave is not changed."""
    assert run(handler, SONG, mime_type="audio/x-mine").changes == {}


def test_unreadable_song(handler: Preprocessing):
    """A file that is no song under a song's name is rejected by the name its user knows."""
    outcome = run(handler, "01 Fake.mp3", (sample_album() / "cover.png").read_bytes())
    assert outcome.event == "reject"
    assert "01 Fake.mp3" in (outcome.message or "")
    assert str(handler.uploads.root) not in (outcome.message or "")


def test_artwork(handler: Preprocessing):
    """An uploaded picture becomes a JPEG beside it, the same one in every run."""
    outcome = run(handler, "cover.png", content_type="artwork")
    path = f"{NAME}.preprocessed.jpg"
    assert outcome.event == "succeed"
    assert outcome.changes == {"preprocessed_path": path, "mime_type": "image/png"}
    jpeg = (handler.uploads.root / path).read_bytes()
    with Image.open(io.BytesIO(jpeg)) as image:
        assert (image.format, image.size) == ("JPEG", (600, 600))
    assert run(handler, "cover.png", content_type="artwork") == outcome
    assert (handler.uploads.root / path).read_bytes() == jpeg
    assert sorted(handler.uploads.names()) == [f"{NAME}.png", path]


def test_no_picture(handler: Preprocessing):
    """What is no picture is rejected and named, and nothing is written."""
    for data in (b"", b"x" * 1000, (sample_album() / "cover.png").read_bytes()[:2000]):
        outcome = run(handler, "front.png", data, content_type="artwork")
        assert (outcome.event, outcome.changes) == ("reject", {})
        assert "front.png" in (outcome.message or "")
    assert handler.uploads.names() == [f"{NAME}.png"]


@pytest.mark.parametrize("limits", [ImageLimits(1000, 500_000), ImageLimits(100_000, 1000)])
def test_too_large_a_picture(tmp_path: Path, limits: ImageLimits):
    """A picture of too many bytes or pixels is rejected."""
    handler = Preprocessing(Directory(tmp_path), limits)
    assert run(handler, "cover.png", content_type="artwork").event == "reject"


def test_video(handler: Preprocessing):
    """A video's length, codec and size become annotations, and its MIME type is found."""
    outcome = run(handler, "clip.mp4", make_video(), content_type="video")
    assert outcome.event == "succeed"
    assert outcome.changes == {"mime_type": "video/mp4"}
    assert outcome.annotations == {"duration": 4.0, "codec": "h264", "resolution": "64x48"}


@pytest.mark.parametrize("data", [b"no video", sound_only(), without_frames()])
def test_no_video(handler: Preprocessing, data: bytes):
    """It is rejected, and named as the client named it."""
    outcome = run(handler, "clip.mp4", data, content_type="video")
    assert outcome.event == "reject"
    assert (outcome.message or "").startswith("clip.mp4: ")


def test_video_without_the_extra(handler: Preprocessing, broken_av: None):
    """An upload that was begun with the extra waits until it is there again."""
    outcome = run(handler, "clip.mp4", make_video(), content_type="video")
    assert outcome.event == "fail"
    assert "pip install 'musictasks[video]'" in (outcome.message or "")


@pytest.mark.parametrize("content_type", ["any", None])
def test_other_content_types(handler: Preprocessing, content_type: str | None):
    """An upload of another type is rejected, and its type named."""
    outcome = run(handler, SONG, content_type=content_type)
    assert outcome.event == "reject"
    assert str(content_type) in (outcome.message or "")


@pytest.mark.parametrize("content_type", ["albumfile", "album", "artwork", "video"])
def test_missing_data(handler: Preprocessing, content_type: str):
    """Without its data a task fails, so that it may be uploaded again."""
    task = MusicTask(
        id="t", content_type=content_type, source_filename="a.mp3", upload_path="gone.mp3"
    )
    outcome = handler(task, Work())
    assert outcome.event == "fail"
    assert "missing" in (outcome.message or "")
    assert handler(MusicTask(id="t", content_type=content_type), Work()).event == "fail"


@pytest.mark.parametrize("path", ["../secret.mp3", "/etc/passwd", "link.mp3", "sub"])
def test_data_outside(handler: Preprocessing, path: str):
    """An upload path that leads out, or to no file, is a failure; nothing there is read."""
    root = handler.uploads.root
    shutil.copy(sample_album() / SONG, root.parent / "secret.mp3")
    (root / "link.mp3").symlink_to(root.parent / "secret.mp3")
    (root / "sub").mkdir()
    task = MusicTask(id="t", content_type="albumfile", source_filename="a.mp3", upload_path=path)
    outcome = handler(task, Work())
    assert (outcome.event, outcome.annotations) == ("fail", {})


def test_stopped(handler: Preprocessing):
    """A task that is being removed leaves no new data behind."""

    class Stopped(Work):
        @property
        def stopped(self) -> bool:
            return True

    name = f"{NAME}.png"
    shutil.copy(sample_album() / "cover.png", handler.uploads.root / name)
    task = MusicTask(id="t", content_type="artwork", source_filename="a.png", upload_path=name)
    with pytest.raises(WorkStopped):
        handler(task, Stopped())
    assert handler.uploads.names() == [name]


class FullDisk(Effects):
    def write(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_full_disk(handler: Preprocessing):
    """A disk that takes no more is a failure with the system's own words."""
    with using(FullDisk()):
        outcome = run(handler, "cover.png", content_type="artwork")
    assert outcome.event == "fail"
    assert outcome.message == "No space left on device: cover.png"
    assert handler.uploads.names() == [f"{NAME}.png"]


def test_pickled(handler: Preprocessing):
    """The handler works after a journey into another process."""
    assert run(pickle.loads(pickle.dumps(handler)), SONG).event == "succeed"
