"""The import of real videos into a real database."""

import os
from pathlib import Path

import pytest
from musictasks.errors import InvalidPath, MediaError
from musictasks.library import MusicDatabase, MusicDirectory, VideoFrames
from videokit import make_video

PATH = "AC∕DC/2020 - A ∕ B - C.D.mp4"


@pytest.fixture
def music(tmp_path: Path) -> MusicDirectory:
    (tmp_path / "music" / "AC∕DC").mkdir(parents=True)
    (tmp_path / "music" / PATH).write_bytes(make_video())
    return MusicDirectory(tmp_path / "music")


@pytest.fixture
def database(tmp_path: Path) -> MusicDatabase:
    database = MusicDatabase(tmp_path / "music.db")
    database.prepare()
    return database


def test_a_video_and_its_artist(database: MusicDatabase, music: MusicDirectory) -> None:
    """Names come from the path, the rest from the file; nothing else is written."""
    os.utime(music.root / PATH, (1_600_000_000.9, 1_600_000_000.9))
    assert database.import_video(music, PATH, origin="bandcamp").added == (PATH,)
    video = database.video(PATH)
    assert video is not None
    assert video.pop("added") == 1_600_000_000
    checksum = video.pop("checksum")
    assert len(checksum) == 64
    assert database.artists() == [{"artistid": 1, "name": "AC/DC", "path": "AC∕DC"}]
    assert video == {
        "videoid": 1,
        "songid": None,
        "albumid": None,
        "artistid": 1,
        "name": "A / B - C.D",
        "path": PATH,
        "disabled": 0,
        "playtime": 4,
        "origin": "bandcamp",
        "release": 2020,
        "codec": "h264",
        "xresolution": 64,
        "yresolution": 48,
        "framesdirectory": None,
        "thumbnailfile": None,
        "previewfile": None,
        **dict.fromkeys(["likes", "dislikes", "favorite", "liverecording", "badaudio"], 0),
        "lastplayed": 0,
        "lyricsvideo": 0,
        "vbegin": 0,
        "vend": 4,
        "bgcolor": "#101010",
        "fgcolor": "#F0F0F0",
        "hlcolor": "#909090",
    }
    assert database.albums() == []


def test_again_changes_nothing(database: MusicDatabase, music: MusicDirectory) -> None:
    """Not even the time it was added, nor its origin."""
    database.import_video(music, PATH)
    os.utime(music.root / PATH, (1, 1))
    rows = database.rows()
    assert database.import_video(music, PATH, origin="CD").unchanged == (PATH,)
    assert database.rows() == rows


def test_another_file_by_the_same_name(database: MusicDatabase, music: MusicDirectory) -> None:
    """What the file says is taken over; what users noted stays, frames too."""
    database.import_video(music, PATH)
    assert database.set_frames(PATH, VideoFrames("d", "t.jpg", "p.webp"))
    before = database.video(PATH)
    assert before is not None
    (music.root / PATH).write_bytes(make_video(codec="mpeg4", frames=30, size=(32, 32)))
    os.utime(music.root / PATH, (1, 1))
    assert database.import_video(music, PATH).updated == (PATH,)
    after = database.video(PATH)
    assert after is not None
    changed = {key: after[key] for key in after if after[key] != before[key]}
    assert changed.pop("checksum")
    assert changed == {
        "playtime": 6,
        "vend": 6,
        "codec": "mpeg4",
        "xresolution": 32,
        "yresolution": 32,
    }


def test_nothing_tells_the_origin(database: MusicDatabase, music: MusicDirectory) -> None:
    """Then it is the net."""
    database.import_video(music, PATH, origin="")
    assert [video["origin"] for video in database.videos()] == ["internet"]


def test_frames_of_a_video_that_is_not_there(database: MusicDatabase) -> None:
    """Nothing is noted."""
    assert not database.set_frames(PATH, VideoFrames("d", "t.jpg", "p.webp"))


def test_a_thumbnail_leaves_the_preview(database: MusicDatabase, music: MusicDirectory) -> None:
    """Only what was made is noted."""
    database.import_video(music, PATH)
    database.set_frames(PATH, VideoFrames("d", "frame-01.jpg", "preview.webp"))
    database.set_frames(PATH, VideoFrames("d", "thumbnail.jpg"))
    video = database.video(PATH)
    assert video is not None
    columns = ("framesdirectory", "thumbnailfile", "previewfile")
    assert [video[column] for column in columns] == ["d", "thumbnail.jpg", "preview.webp"]


def test_what_is_no_video(database: MusicDatabase, music: MusicDirectory) -> None:
    """It is named, and nothing is written, the artist neither."""
    (music.root / "AC∕DC" / "2021 - B.webm").write_bytes(b"no video")
    with pytest.raises(MediaError, match=r"2021 - B\.webm"):
        database.import_video(music, "AC∕DC/2021 - B.webm")
    with pytest.raises(InvalidPath):
        database.import_video(music, "AC∕DC/Clip.mp4")
    with pytest.raises(FileNotFoundError):
        database.import_video(music, "AC∕DC/2022 - C.mp4")
    assert database.artists() == []


def test_a_large_one_can_be_stopped(database: MusicDatabase, music: MusicDirectory) -> None:
    """Also while it is hashed: a task that is removed does not read gigabytes to their end."""
    with (music.root / PATH).open("r+b") as file:
        file.seek(0, 2)
        file.write((64 * 1024 * 1024).to_bytes(4, "big") + b"free")
        file.truncate(file.tell() + 64 * 1024 * 1024 - 8)
    calls = []

    def check() -> None:
        calls.append(1)
        if len(calls) > 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        database.import_video(music, PATH, check=check)
    assert database.videos() == []
