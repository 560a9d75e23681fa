"""The artwork import from real songs and images."""

import io
import pickle
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import mutagen.flac
import pytest
from musictasks.files import Directory
from musictasks.handlers import ArtworkImport
from musictasks.library import (
    ArtworkDirectory,
    FramesDirectory,
    ImageLimits,
    MusicDatabase,
    MusicDirectory,
    sample_album,
    to_jpeg,
)
from musictasks.statemachine import MusicTask, Work, WorkStopped
from PIL import Image
from videokit import make_video

ALBUM = "Søren Größenwald/2020 - Über den Wäldern"
ARTWORK = "Søren Größenwald - Über den Wäldern.jpg"
VIDEO = "Søren Größenwald/2021 - Clip.mp4"
FRAMES = "Søren Größenwald/Clip"
FLAC = f"{ALBUM}/01 Morgenroete.flac"
MP3 = f"{ALBUM}/02 Ebbe-Flut.mp3"


@pytest.fixture
def handler(tmp_path: Path) -> ArtworkImport:
    """With the sample album in the Music Directory and in the database."""
    for name in ("artwork", "uploads", "frames"):
        (tmp_path / name).mkdir()
    shutil.copytree(sample_album(), tmp_path / "music" / ALBUM)
    music = MusicDirectory(tmp_path / "music")
    database = MusicDatabase(tmp_path / "music.db", busy_timeout_s=0.01)
    database.prepare()
    database.import_album(music, ALBUM)
    artwork = ArtworkDirectory(tmp_path / "artwork", (20, 50))
    uploads = Directory(tmp_path / "uploads")
    frames = FramesDirectory(tmp_path / "frames", 2, ((16, 9),))
    return ArtworkImport(music, uploads, database, artwork, frames, ImageLimits())


def png(color: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 40), color).save(out, "PNG")
    return out.getvalue()


def artwork_of(handler: ArtworkImport) -> str:
    album = handler.database.album(ALBUM)
    assert album is not None
    return album["artworkpath"]


def files(handler: ArtworkImport) -> dict[str, bytes]:
    root = handler.artwork.root
    found = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in found}


def color_of(handler: ArtworkImport) -> tuple[int, ...]:
    with Image.open(handler.artwork.root / ARTWORK) as image:
        color = image.getpixel((5, 5))
    assert isinstance(color, tuple)
    return tuple(round(part / 64) for part in color)


def import_task(**changes: Any) -> MusicTask:
    return MusicTask(**{"id": "t", "content_type": "album", "album_path": ALBUM, **changes})


def upload_task(**changes: Any) -> MusicTask:
    fields = {"content_type": "artwork", "album_path": ALBUM, "upload_path": "artwork-1.png"}
    return MusicTask(**{"id": "t", **fields, **changes})


def test_an_import_takes_the_first_picture_of_the_albums_songs(handler: ArtworkImport) -> None:
    """The album's first song with a picture gives it, in all scales, and the row names it."""
    assert handler(import_task(), Work()).event == "succeed"

    assert files(handler).keys() == {ARTWORK, f"20x20/{ARTWORK}", f"50x50/{ARTWORK}"}
    assert artwork_of(handler) == ARTWORK


def test_running_again_changes_nothing(handler: ArtworkImport) -> None:
    """The same source gives the same files and row."""
    handler(import_task(), Work())
    before = files(handler), handler.database.path.read_bytes()

    assert handler(import_task(), Work()).event == "succeed"
    assert (files(handler), handler.database.path.read_bytes()) == before


def test_songs_without_a_picture_are_passed_over(handler: ArtworkImport) -> None:
    """The first song that has a picture counts, even if it is not the first song."""
    late = f"{ALBUM}/09 Late.flac"
    (handler.music.root / FLAC).rename(handler.music.root / late)

    assert handler(import_task(), Work()).event == "succeed"
    assert artwork_of(handler) == ARTWORK


def test_an_album_without_any_picture_keeps_the_default(handler: ArtworkImport) -> None:
    """That is no failure; the message tells of it."""
    (handler.music.root / FLAC).unlink()

    outcome = handler(import_task(), Work())

    assert outcome.event == "succeed"
    assert "picture" in (outcome.message or "")
    assert artwork_of(handler) == "default.jpg"
    assert files(handler) == {}


def test_a_single_file_gives_artwork_to_its_album(handler: ArtworkImport) -> None:
    """The import of an album file looks through the album of that file."""
    task = MusicTask(
        id="t", content_type="albumfile", album_file_path=MP3, upload_path="albumfile-1.mp3"
    )

    assert handler(task, Work()).event == "succeed"
    assert artwork_of(handler) == ARTWORK


@pytest.mark.parametrize("content_type", ["artwork", "album"])
def test_a_named_song_gives_its_picture(handler: ArtworkImport, content_type: str) -> None:
    """The picture of the song at the source path is taken, not that of another."""
    path = f"{ALBUM}/09 Red.flac"
    shutil.copy(handler.music.root / FLAC, handler.music.root / path)
    song = mutagen.flac.FLAC(handler.music.root / path)
    song.clear_pictures()
    picture = mutagen.flac.Picture()
    picture.data, picture.mime = png("red"), "image/png"
    song.add_picture(picture)
    song.save()
    task = import_task(
        content_type=content_type, artwork_source_type="songfile", artwork_source_path=path
    )

    assert handler(task, Work()).event == "succeed"
    assert color_of(handler) == (4, 0, 0)


def test_a_named_song_without_a_picture_is_rejected(handler: ArtworkImport) -> None:
    """Who names a song wants its picture; the song is named back."""
    task = import_task(artwork_source_type="songfile", artwork_source_path=MP3)

    outcome = handler(task, Work())

    assert outcome.event == "reject"
    assert MP3 in (outcome.message or "")
    assert files(handler) == {}


def test_an_image_of_the_music_directory_becomes_artwork(handler: ArtworkImport) -> None:
    """A cover beside the songs can be named as the source."""
    path = f"{ALBUM}/cover.png"
    task = MusicTask(
        id="t",
        content_type="artwork",
        album_path=ALBUM,
        artwork_source_type="imagefile",
        artwork_source_path=path,
    )

    assert handler(task, Work()).event == "succeed"
    with (handler.music.root / path).open("rb") as file:
        expected = to_jpeg(file, path, handler.limits)
    assert files(handler)[ARTWORK] == expected
    assert artwork_of(handler) == ARTWORK


def test_an_uploaded_image_replaces_the_artwork(handler: ArtworkImport) -> None:
    """The upload counts, not what the songs have."""
    handler(import_task(), Work())
    (handler.uploads.root / "artwork-1.png").write_bytes(png("blue"))

    assert handler(upload_task(), Work()).event == "succeed"
    assert color_of(handler) == (0, 0, 4)


def test_the_preprocessed_image_is_taken_as_it_is(handler: ArtworkImport) -> None:
    """What preprocessing made is the source, byte for byte: encoded again it would only lose."""
    out = io.BytesIO()
    Image.effect_noise((90, 90), 80).save(out, "PNG")
    out.seek(0)
    jpeg = to_jpeg(out, "x", handler.limits)
    (handler.uploads.root / "p.jpg").write_bytes(jpeg)
    task = upload_task(preprocessed_path="p.jpg", artwork_source_path="artwork-1.png")

    assert handler(task, Work()).event == "succeed"
    assert files(handler)[ARTWORK] == jpeg


@pytest.mark.parametrize("data", [b"", b"just text", png("red")[:60]])
def test_an_upload_that_is_no_image_is_rejected(handler: ArtworkImport, data: bytes) -> None:
    """A broken image never becomes artwork, and the album keeps what it has."""
    (handler.uploads.root / "artwork-1.png").write_bytes(data)

    outcome = handler(upload_task(), Work())

    assert outcome.event == "reject"
    assert "artwork-1.png" in (outcome.message or "")
    assert files(handler) == {}
    assert artwork_of(handler) == "default.jpg"


def test_an_album_that_is_not_in_the_database_fails(handler: ArtworkImport) -> None:
    """It has to be imported first; no file is written for it."""
    outcome = handler(MusicTask(id="t", content_type="album", album_path="A/2020 - B"), Work())

    assert outcome.event == "fail"
    assert "import it first" in (outcome.message or "")
    assert files(handler) == {}


@pytest.mark.parametrize(
    "task",
    [
        upload_task(),
        import_task(artwork_source_type="imagefile", artwork_source_path=f"{ALBUM}/none.png"),
        import_task(artwork_source_type="imagefile", artwork_source_path="../music.db"),
        MusicTask(id="t", content_type="artwork", upload_path="artwork-1.png"),
    ],
)
def test_a_source_or_target_that_is_missing_fails(handler: ArtworkImport, task: MusicTask) -> None:
    """What is not there may come back: fail, with a reason, and nothing written."""
    outcome = handler(task, Work())

    assert outcome.event == "fail"
    assert outcome.message
    assert files(handler) == {}


def test_an_upload_reads_nothing_of_the_music_directory(handler: ArtworkImport) -> None:
    """The source of a task with an upload is in the uploads directory alone."""
    outcome = handler(upload_task(artwork_source_path=f"{ALBUM}/cover.png"), Work())

    assert outcome.event == "fail"


def test_a_locked_database_fails_and_a_second_run_succeeds(handler: ArtworkImport) -> None:
    """Files without their row are harmless: the next run makes the same and sets the row."""
    with closing(sqlite3.connect(handler.database.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert handler(import_task(), Work()).event == "fail"
        other.execute("ROLLBACK")
    assert artwork_of(handler) == "default.jpg"

    assert handler(import_task(), Work()).event == "succeed"
    assert artwork_of(handler) == ARTWORK


def test_an_artwork_directory_that_is_missing_fails(handler: ArtworkImport) -> None:
    """The row never names a file that could not be written."""
    handler.artwork.root.rmdir()

    assert handler(import_task(), Work()).event == "fail"
    assert artwork_of(handler) == "default.jpg"


def test_a_video_is_no_source_for_an_album(handler: ArtworkImport) -> None:
    """It is no image."""
    (handler.music.root / ALBUM / "clip.mp4").write_bytes(make_video())
    task = import_task(artwork_source_type="videofile", artwork_source_path=f"{ALBUM}/clip.mp4")
    assert handler(task, Work()).event == "reject"
    assert artwork_of(handler) == "default.jpg"


@pytest.fixture
def video(handler: ArtworkImport) -> dict[str, Any]:
    """A video that is in the database; changes by which a task is about it."""
    (handler.music.root / VIDEO).write_bytes(make_video())
    handler.database.import_video(handler.music, VIDEO)
    return {"video_path": VIDEO, "album_path": None}


def columns(handler: ArtworkImport) -> list[str | None]:
    row = handler.database.video(VIDEO)
    assert row is not None
    return [row[name] for name in ("framesdirectory", "thumbnailfile", "previewfile")]


def frame_files(handler: ArtworkImport) -> dict[str, bytes]:
    root = handler.frames.root
    return {path.name: path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "changes",
    [
        {"content_type": "video"},
        {"content_type": "video", "upload_path": "video-1.mp4"},
        {"artwork_source_type": "videofile", "artwork_source_path": VIDEO},
    ],
)
def test_a_video_gets_its_frames(
    handler: ArtworkImport, video: dict[str, Any], changes: dict[str, str]
) -> None:
    """From its file in the Music Directory; the database names them; again changes nothing."""
    task = import_task(**(video | changes))
    assert handler(task, Work()).event == "succeed"
    assert columns(handler) == [FRAMES, "frame-01.jpg", "preview.webp"]
    made = frame_files(handler)
    assert len(made) == 6
    assert handler(task, Work()).event == "succeed"
    assert frame_files(handler) == made


@pytest.mark.parametrize("uploaded", [True, False])
def test_an_image_stands_for_a_video(
    handler: ArtworkImport, video: dict[str, Any], uploaded: bool
) -> None:
    """Uploaded, or from the Music Directory."""
    if uploaded:
        (handler.uploads.root / "artwork-1.png").write_bytes(png("blue"))
        task = upload_task(**video)
    else:
        source = {"artwork_source_type": "imagefile", "artwork_source_path": f"{ALBUM}/cover.png"}
        task = import_task(**(video | source))
    assert handler(task, Work()).event == "succeed"
    assert columns(handler) == [FRAMES, "thumbnail.jpg", None]
    assert set(frame_files(handler)) == {"thumbnail.jpg", "thumbnail (16×9).jpg"}


def test_a_video_that_is_not_in_the_database(handler: ArtworkImport) -> None:
    """It fails and says what to do; nothing is written."""
    (handler.music.root / VIDEO).write_bytes(make_video())
    outcome = handler(import_task(video_path=VIDEO, album_path=None), Work())
    assert outcome.event == "fail"
    assert f"{VIDEO} is not in the database: import it first" in (outcome.message or "")
    assert frame_files(handler) == {}


def test_a_video_that_is_none(handler: ArtworkImport, video: dict[str, Any]) -> None:
    """A file that was exchanged meanwhile is rejected; one that is gone fails."""
    (handler.music.root / VIDEO).write_bytes(b"no video")
    assert handler(import_task(**video), Work()).event == "reject"
    (handler.music.root / VIDEO).unlink()
    assert handler(import_task(**video), Work()).event == "fail"
    assert columns(handler) == [None, None, None]


def test_frames_without_the_extra(
    handler: ArtworkImport, video: dict[str, Any], broken_av: None
) -> None:
    """It fails, says what to install, and may be retried then."""
    outcome = handler(import_task(**video), Work())
    assert outcome.event == "fail"
    assert "pip install 'musictasks[video]'" in (outcome.message or "")


def test_a_stop_passes_through_before_anything_is_written(handler: ArtworkImport) -> None:
    """A task that is being removed makes no artwork."""

    class Stopped(Work):
        @property
        def stopped(self) -> bool:
            return True

    (handler.uploads.root / "artwork-1.png").write_bytes(png("blue"))
    for task in (import_task(), upload_task()):
        with pytest.raises(WorkStopped):
            handler(task, Stopped())
    assert files(handler) == {}


def test_the_handler_can_be_pickled(handler: ArtworkImport) -> None:
    """It may go to a worker in another process, also after it has worked."""
    handler(import_task(), Work())

    assert pickle.loads(pickle.dumps(handler)) == handler
