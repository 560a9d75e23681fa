"""The music import of real albums into a real database."""

import pickle
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from musictasks.handlers import MusicImport
from musictasks.library import MusicDatabase, MusicDirectory, sample_album
from musictasks.statemachine import MusicTask, Work, WorkStopped
from videokit import make_video

ALBUM = "Søren Größenwald/2020 - Über den Wäldern"
VIDEO = "Søren Größenwald/2021 - Clip.mp4"
SONG = f"{ALBUM}/02 Ebbe-Flut.mp3"


@pytest.fixture
def handler(tmp_path: Path) -> MusicImport:
    shutil.copytree(sample_album(), tmp_path / "music" / ALBUM)
    database = MusicDatabase(tmp_path / "music.db", busy_timeout_s=0.01)
    database.prepare()
    return MusicImport(MusicDirectory(tmp_path / "music"), database)


def album_task(path: str | None = ALBUM) -> MusicTask:
    return MusicTask(id="t", content_type="album", album_path=path)


def file_task(path: str | None) -> MusicTask:
    return MusicTask(id="t", content_type="albumfile", album_file_path=path)


class Watched(Work):
    """Notes the progress, and stops after some calls."""

    def __init__(self, stop_at: int = 99) -> None:
        self.seen: list[tuple[int, int, str | None]] = []
        self.stop_at = stop_at

    @property
    def stopped(self) -> bool:
        return len(self.seen) >= self.stop_at

    def progress(self, done: int, total: int, path: str | None = None) -> None:
        self.seen.append((done, total, path))


def test_an_album_is_imported_with_its_songs(handler: MusicImport) -> None:
    """The album of the task is in the database, and each song was told of."""
    work = Watched()

    outcome = handler(album_task(), work)

    assert outcome.event == "succeed"
    assert len(handler.database.songs(ALBUM)) == 3
    assert [(done, total) for done, total, _ in work.seen] == [(0, 3), (1, 3), (2, 3)]


def test_running_again_changes_nothing(handler: MusicImport) -> None:
    """A second run succeeds and leaves the database byte for byte."""
    handler(album_task(), Work())
    before = handler.database.path.read_bytes()

    assert handler(album_task(), Work()).event == "succeed"
    assert handler(file_task(SONG), Work()).event == "succeed"
    assert handler.database.path.read_bytes() == before


def test_one_file_of_an_album_brings_one_song(handler: MusicImport) -> None:
    """An album file that is a song is imported into its album, alone."""
    assert handler(file_task(SONG), Work()).event == "succeed"

    assert [song["path"] for song in handler.database.songs()] == [SONG]
    assert [album["numofsongs"] for album in handler.database.albums()] == [1]


def test_a_booklet_succeeds_and_imports_nothing(handler: MusicImport) -> None:
    """What is no song needs no row; the message says so."""
    before = handler.database.path.read_bytes()

    outcome = handler(file_task(f"{ALBUM}/booklet.pdf"), Work())

    assert outcome.event == "succeed"
    assert outcome.message is not None
    assert "booklet.pdf" in outcome.message
    assert handler.database.path.read_bytes() == before


@pytest.mark.parametrize(
    "task",
    [
        album_task("Artist/2020 - Missing"),
        album_task("../2020 - Album"),
        album_task(None),
        file_task(f"{ALBUM}/09 Missing.mp3"),
        file_task(f"{ALBUM}/missing.pdf"),
        file_task("../../music.db"),
        file_task(None),
    ],
)
def test_what_is_not_there_fails(handler: MusicImport, task: MusicTask) -> None:
    """A missing album or file, or a path that leads out, may be put right: fail, no rows."""
    outcome = handler(task, Work())

    assert outcome.event == "fail"
    assert outcome.message
    assert handler.database.albums() == []


def test_a_song_that_cannot_be_read_is_rejected_by_name(handler: MusicImport) -> None:
    """The broken song is named, and nothing is imported."""
    (handler.music.root / SONG).write_bytes(b"no song")

    for task in (album_task(), file_task(SONG)):
        outcome = handler(task, Work())
        assert outcome.event == "reject"
        assert SONG in (outcome.message or "")
    assert handler.database.albums() == []


def test_a_locked_database_fails(handler: MusicImport) -> None:
    """While another program holds the database the import fails; later it works."""
    with closing(sqlite3.connect(handler.database.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        outcome = handler(album_task(), Work())
        other.execute("ROLLBACK")

    assert outcome.event == "fail"
    assert "locked" in (outcome.message or "")
    assert handler(album_task(), Work()).event == "succeed"


def test_a_video_is_imported(handler: MusicImport) -> None:
    """With the origin of its annotations; a second run changes nothing."""
    (handler.music.root / VIDEO).write_bytes(make_video())
    task = MusicTask(
        id="t", content_type="video", video_path=VIDEO, annotations={"origin": " bandcamp "}
    )
    assert handler(task, Work()).event == "succeed"
    rows = handler.database.rows()
    assert [(row["path"], row["origin"]) for row in handler.database.videos()] == [
        (VIDEO, "bandcamp")
    ]
    assert handler(task, Work()).event == "succeed"
    assert handler.database.rows() == rows


def test_a_video_that_is_none(handler: MusicImport) -> None:
    """Rejected where it is no video, failed where it is missing."""
    (handler.music.root / VIDEO).write_bytes(b"no video")
    task = MusicTask(id="t", content_type="video", video_path=VIDEO, annotations={"origin": 7})
    assert handler(task, Work()).event == "reject"
    (handler.music.root / VIDEO).unlink()
    assert handler(task, Work()).event == "fail"
    assert handler(MusicTask(id="t", content_type="video"), Work()).event == "fail"
    assert handler.database.artists() == []


def test_a_video_without_the_extra(handler: MusicImport, broken_av: None) -> None:
    """It fails, and says what to install."""
    (handler.music.root / VIDEO).write_bytes(make_video())
    outcome = handler(MusicTask(id="t", content_type="video", video_path=VIDEO), Work())
    assert outcome.event == "fail"
    assert "pip install 'musictasks[video]'" in (outcome.message or "")


@pytest.mark.parametrize("content_type", ["artwork", "any", None])
def test_other_content_is_rejected(handler: MusicImport, content_type: str | None) -> None:
    """Artwork and the rest never go this way."""
    task = MusicTask(id="t", content_type=content_type, album_path=ALBUM, album_file_path=SONG)

    assert handler(task, Work()).event == "reject"
    assert handler.database.albums() == []


def test_a_stopped_import_ends_at_the_next_song(handler: MusicImport) -> None:
    """The engine's wish to stop passes through, and no row was made."""
    work = Watched(stop_at=2)

    with pytest.raises(WorkStopped):
        handler(album_task(), work)
    assert len(work.seen) == 2
    assert handler.database.albums() == []


def test_the_handler_can_be_pickled(handler: MusicImport) -> None:
    """It may go to a worker in another process, also after it has worked."""
    handler(album_task(), Work())

    assert pickle.loads(pickle.dumps(handler)) == handler
