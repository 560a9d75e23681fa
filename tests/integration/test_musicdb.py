"""Programs written for MusicDB, from the upload to the database, on real files."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import musictasks.musicdb as face
import pytest
from archivekit import album_files, make_zip
from clikit import copy_album
from musicdbkit import ALBUM, COVER, DATA, SONG, World
from musictasks.library import MusicDatabase, sample_album
from musictasks.musicdb import StartTaskManagementThread, StopTaskManagementThread, TaskManager
from videokit import make_video

DOCUMENT = (Path(__file__).parents[2] / "docs" / "musicdb.md").read_text(encoding="utf-8")
STARTED = ["waitforchunk", "uploadcomplete", "preprocessing", "readyforintegration"]

Answer = Callable[[Callable[[], Any]], Any]


@pytest.fixture(autouse=True)
def stopped() -> Iterator[None]:
    yield
    StopTaskManagementThread()


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    StartTaskManagementThread(world.config, tmp_path / "data" / "music.db")
    return world


@pytest.fixture
def large(tmp_path: Path) -> World:
    """The same with chunks for files of some kB."""
    world = World(tmp_path, chunksize=10_000)
    StartTaskManagementThread(world.config)
    return world


def upload(world: World, contenttype: str, mimetype: str, data: bytes, name: str) -> str:
    """A whole upload, driven from inside the callback; it is ready for its integration."""
    answer_requests(world, data, lambda send: send())
    sha1 = hashlib.sha1(data).hexdigest()
    world.uploads.InitiateUpload("task", mimetype, contenttype, len(data), sha1, name)
    world.recorder.wait_for_state("task", "readyforintegration")
    return "task"


def integrate(world: World, taskid: str, target: str) -> None:
    """And then the import, with artwork."""
    task = world.integration.GetTaskByID(taskid)
    world.integration.SaveTask(task | {"triggerimport": True, "includeartwork": True})
    assert world.integration.InitiateIntegration(taskid, target) == taskid
    world.recorder.wait_for_state(taskid, "importcomplete")


def answer_requests(world: World, data: bytes, answer: Answer) -> None:
    """Answers each `ChunkRequest` with what it asks for, when and where `answer` says."""

    def callback(notification: str, status: dict[str, Any]) -> None:
        if notification == "ChunkRequest":
            start, size, taskid = status["offset"], status["chunksize"], status["taskid"]
            answer(lambda: world.uploads.NewChunk(taskid, data[start : start + size]))

    world.uploads.RegisterCallback(callback)


def test_the_callback_answers(world: World):
    """An upload is driven to its end from inside the callback."""
    answer_requests(world, DATA, lambda send: send())
    world.begin()
    world.recorder.wait_for_state("task", "readyforintegration")
    assert world.recorder.states("task") == STARTED
    offsets = [s["offset"] for name, s in world.recorder.of("task") if name == "ChunkRequest"]
    assert offsets == [0, 7, 14]


def test_another_thread_answers(world: World):
    """Requests are put in a queue that somebody else works off."""
    requests: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()

    def work() -> None:
        while (send := requests.get()) is not None:
            send()

    thread = threading.Thread(target=work)
    thread.start()
    answer_requests(world, DATA, requests.put)
    world.begin()
    world.recorder.wait_for_state("task", "readyforintegration")
    requests.put(None)
    thread.join()
    assert world.recorder.states("task") == STARTED


def test_a_late_answer(tmp_path: Path):
    """Requests of before a stop, and of before a start, are answered after the start."""
    world = World(tmp_path)
    late: list[Callable[[], Any]] = []
    answer_requests(world, DATA, late.append)
    world.begin()
    world.recorder.wait_for(lambda r: r.all)
    StopTaskManagementThread()
    StartTaskManagementThread(world.config)
    world.recorder.wait_for(lambda r: len(r.all) == 2)  # the start asks again
    StopTaskManagementThread()
    late.clear()
    answer_requests(world, DATA, lambda send: send())
    StartTaskManagementThread(world.config)
    world.recorder.wait_for_state("task", "readyforintegration")


def test_a_chunk_sent_twice(world: World):
    """The SHA-1 finds it, and the upload starts over; or it is too long, and changes nothing."""
    world.begin()
    for start in (0, 0, 14):
        assert world.uploads.NewChunk("task", DATA[start : start + 7])
    task = world.uploads.GetTaskByID("task")
    assert task["state"] == "uploadfailed"
    world.uploads.UpdateTaskState(task, "waitforchunk")
    assert (task["state"], task["offset"]) == ("waitforchunk", 0)
    results = [world.uploads.NewChunk("task", DATA[i : i + 7]) for i in (0, 7, 7, 14)]
    assert results == [True, True, False, True]
    world.recorder.wait_for_state("task", "readyforintegration")


def test_the_whole_way_of_a_song(world: World):
    """Uploaded, annotated, integrated, imported, with its artwork; then the task is forgotten."""
    data = (sample_album() / "02 Ebbe-Flut.mp3").read_bytes()
    target = f"{ALBUM}/02 Ebbe∕Flut.mp3"
    answer_requests(world, data, lambda send: send())
    sha1 = hashlib.sha1(data).hexdigest()
    world.begin("song", mimetype="audio/mpeg", filesize=len(data), checksum=sha1)
    assert world.uploads.AnnotateUpload("song", {"note": "mine"})
    world.recorder.wait_for_state("song", "readyforintegration")
    task = world.integration.GetTaskByID("song")
    world.integration.SaveTask(task | {"triggerimport": True, "includeartwork": True})
    assert world.integration.InitiateIntegration("song", target) == "song"
    world.recorder.wait_for_state("song", "importcomplete")
    assert (world.root / "music" / target).read_bytes() == data
    song = MusicDatabase(world.config.settings.database).song(target)
    assert song is not None
    assert song["name"] == "Ebbe/Flut"
    finished = world.uploads.GetTaskByID("song")
    assert finished["annotations"]["note"] == "mine"
    assert "importingartwork" in [entry["to"] for entry in finished["history"]]
    world.uploads.RemoveTask("song")
    assert world.uploads.GetTasks() == {}


def test_an_album_its_artwork_and_a_scan(world: World):
    """What is in the Music Directory is found, imported, and given its artwork."""
    scan = world.scans.InitiateFilesystemScan()
    world.recorder.wait_for_state(scan, "fsscancomplete")
    found = world.scans.GetTaskByID(scan)["annotations"]
    assert ALBUM in str(found["newpaths"])
    album = world.import_album()
    world.recorder.wait_for_state(album, "importcomplete")
    for source in (SONG, COVER):
        artwork = world.artwork.InitiateImport(source, ALBUM)
        world.recorder.wait_for_state(artwork, "importcomplete")
    again = world.scans.InitiateFilesystemScan()
    world.recorder.wait_for_state(again, "fsscancomplete")
    assert ALBUM not in str(world.scans.GetTaskByID(again)["annotations"]["newpaths"])


def test_artwork_that_is_uploaded(world: World):
    """Its target is the album, which has to be imported."""
    album = world.import_album()
    world.recorder.wait_for_state(album, "importcomplete")
    data = (sample_album() / "cover.png").read_bytes()
    answer_requests(world, data, lambda send: send())
    sha1 = hashlib.sha1(data).hexdigest()
    changes: dict[str, Any] = {"contenttype": "artwork", "mimetype": "image/png"}
    world.begin("art", filesize=len(data), checksum=sha1, sourcefilename="c.png", **changes)
    world.recorder.wait_for_state("art", "readyforintegration")
    assert world.integration.InitiateIntegration("art", ALBUM) == "art"
    world.recorder.wait_for_state("art", "importcomplete")


class Browser:
    """Uploads as MusicDB's browser client does: the id of a task is the SHA-1 of the file."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._files: dict[str, bytes] = {}
        world.uploads.RegisterCallback(self._answer)

    def _answer(self, notification: str, status: dict[str, Any]) -> None:
        if notification == "ChunkRequest":
            start, size, taskid = status["offset"], status["chunksize"], status["taskid"]
            self._world.uploads.NewChunk(taskid, self._files[taskid][start : start + size])

    def upload(self, contenttype: str, mimetype: str, data: bytes, name: str) -> str:
        taskid = hashlib.sha1(data).hexdigest()
        self._files[taskid] = data
        self._world.recorder.all.clear()
        size = len(data)
        self._world.uploads.InitiateUpload(taskid, mimetype, contenttype, size, taskid, name)
        self._world.recorder.wait_for_state(taskid, "readyforintegration")
        return taskid


def test_the_same_song_again_has_the_same_id(large: World):
    """From the upload to the import, twice: the finished task gives way to the second upload."""
    data = (sample_album() / "02 Ebbe-Flut.mp3").read_bytes()
    target = f"{ALBUM}/02 Ebbe∕Flut.mp3"
    browser, sha1 = Browser(large), hashlib.sha1(data).hexdigest()
    for first in (True, False):
        assert browser.upload("albumfile", "audio/mpeg", data, "02.mp3") == sha1
        integrate(large, sha1, target)
        told = large.recorder.states(sha1)
        assert told == (WHOLE_WAY if first else ["remove", *WHOLE_WAY])
    assert (large.root / "music" / target).read_bytes() == data
    assert len(MusicDatabase(large.config.settings.database).songs(ALBUM)) == 1
    assert list(large.uploads.GetTasks()) == [sha1]


def test_one_cover_for_two_albums(large: World):
    """The same image, so the same id, has another target the second time."""
    data = (sample_album() / "cover.png").read_bytes()
    second = "Artist/2021 - Another"
    shutil.copytree(large.root / "music" / ALBUM, large.root / "music" / second)
    browser = Browser(large)
    for album in (ALBUM, second):
        imported = large.imports.InitiateImport("album", album)
        assert imported is not None
        large.recorder.wait_for_state(imported, "importcomplete")
        taskid = browser.upload("artwork", "image/png", data, "cover.png")
        assert large.integration.InitiateIntegration(taskid, album) == taskid
        large.recorder.wait_for_state(taskid, "importcomplete")
    database = MusicDatabase(large.config.settings.database)
    made = [album["artworkpath"] for path in (ALBUM, second) if (album := database.album(path))]
    assert made == ["Artist - Album.jpg", "Artist - Another.jpg"]


WHOLE_WAY = [
    *STARTED,
    *("startintegration", "integrating", "startmusicimport", "importingmusic"),
    *("startartworkimport", "importingartwork", "importcomplete"),
]


def test_the_whole_way_of_a_video(large: World):
    """Uploaded, annotated, integrated and imported, with frames and a preview; then made again."""
    data, target = make_video(), "Someone/1999 - A Clip.mp4"
    taskid = upload(large, "video", "video/mp4", data, "clip.mp4")
    found = large.uploads.GetTaskByID(taskid)["annotations"]
    assert (found["codec"], found["resolution"], found["duration"]) == ("h264", "64x48", 4.0)
    people = {"artistname": "Someone", "release": 1999, "name": "A Clip", "origin": "iTunes"}
    assert large.uploads.AnnotateUpload(taskid, people)
    integrate(large, taskid, target)
    states = large.recorder.states(taskid)
    assert [state for state in WHOLE_WAY if state in states] == WHOLE_WAY
    assert (large.root / "music" / target).read_bytes() == data
    database = MusicDatabase(large.config.settings.database)
    video = database.video(target)
    assert video is not None
    assert (video["name"], video["release"], video["origin"]) == ("A Clip", 1999, "iTunes")
    frames = large.config.settings.video_frames_root / video["framesdirectory"]
    made = {path.name for path in frames.iterdir()}
    assert {video["thumbnailfile"], video["previewfile"], "frame-05.jpg"} <= made

    imported = large.imports.InitiateImport("video", target)
    assert imported is not None
    large.recorder.wait_for_state(imported, "importcomplete")
    shutil.rmtree(frames)
    artwork = large.artwork.InitiateImport(target, target)
    large.recorder.wait_for_state(artwork, "importcomplete")
    assert {path.name for path in frames.iterdir()} == made
    assert database.videos() == [database.video(target)]
    large.uploads.RemoveTask(taskid)
    assert list(large.config.settings.uploads.iterdir()) == []


def test_the_whole_way_of_an_archive(large: World):
    """Uploaded, unpacked, placed as one album, imported, with artwork; nothing else is left."""
    target = "Someone/2001 - From an Archive"
    taskid = upload(large, "album", "application/zip", make_zip(album_files()), "Album.zip")
    task = large.uploads.GetTaskByID(taskid)
    assert task["preprocessedpath"] == f"{taskid}/album-{task['sourcechecksum']}.preprocessed"
    assert large.uploads.AnnotateUpload(taskid, {"artist": "Someone", "origin": "bandcamp"})
    integrate(large, taskid, target)
    states = large.recorder.states(taskid)
    assert [state for state in WHOLE_WAY if state in states] == WHOLE_WAY
    placed = {path.read_bytes() for path in (large.root / "music" / target).iterdir()}
    assert placed == set(album_files().values())
    database = MusicDatabase(large.config.settings.database)
    album = database.album(target)
    assert album is not None
    assert len(database.songs(target)) == album["numofsongs"] == 3
    assert album["artworkpath"] == "Someone - From an Archive.jpg"
    large.uploads.RemoveTask(taskid)
    assert list(large.config.settings.uploads.iterdir()) == []


@pytest.mark.parametrize("contenttype", ["video", "album"])
def test_what_is_neither_video_nor_archive_is_rejected(large: World, contenttype: str):
    """The message names the file and why; its data is gone."""
    answer_requests(large, DATA, lambda send: send())
    sha1 = hashlib.sha1(DATA).hexdigest()
    large.uploads.InitiateUpload("task", "", contenttype, len(DATA), sha1, "odd.mp4")
    large.recorder.wait_for_state("task", "invalidcontent")
    large.recorder.wait_for(lambda r: r.of("task")[-1][0] == "StateUpdate")
    (error, status), (update, after) = large.recorder.of("task")[-2:]
    assert (error, update) == ("InternalError", "StateUpdate")
    assert "odd.mp4" in status["message"]
    assert after == status | {"message": None}
    large.uploads.RemoveTask("task")
    assert list(large.config.settings.uploads.iterdir()) == []


def test_the_program_of_the_document(tmp_path: Path):
    """It runs as it stands, and the song is in the library."""
    program, _client = re.findall(r"^```python\n(.*?)^```", DOCUMENT, re.DOTALL | re.MULTILINE)
    (ini,) = re.findall(r"^```ini\n(.*?)^```", DOCUMENT, re.DOTALL | re.MULTILINE)
    copy_album(tmp_path, "01 Morgenroete.flac")
    (tmp_path / "musicdb.ini").write_text(ini)
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=90,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == ["ChunkRequest", "waitforchunk"]
    assert ["StateUpdate", "importcomplete"] in lines
    song = "Artist/2020 - Album/01 Morgenröte.flac"
    assert MusicDatabase(tmp_path / "data" / "music.db").song(song) is not None


def test_the_document_names_every_name():
    """Each class, function and method of the face has its row, with its parameters."""
    rows = dict(re.findall(r"^\| `([\w.]+)\(([^)]*)\)` \|", DOCUMENT, re.MULTILINE))
    expected = {}
    for name in face.__all__:
        value = getattr(face, name)
        if not isinstance(value, type) or value in (face.MusicDatabase, face.MusicDBConfig):
            expected[name] = None
            continue
        own = {n for n in vars(value) if n[0].isupper()}
        expected |= {f"{name}.{method}": None for method in own}
    assert set(rows) == set(expected) | {"TaskManager"}
    for name, parameters in rows.items():
        owner, _, method = name.partition(".")
        function = getattr(getattr(face, owner), method or "__init__", None)
        if owner.endswith("Manager"):
            code = function.__code__  # pyright: ignore[reportOptionalMemberAccess]
            assert parameters == ", ".join(code.co_varnames[1 : code.co_argcount]), name


def test_a_task_file_is_musicdbs_and_ours(world: World):
    """A file that MusicDB wrote goes on here; what is written here a plain reader understands."""
    world.put(
        "old", "importfailed", contenttype="album", albumpath=ALBUM, updatetime=int(time.time())
    )
    task = TaskManager(world.config).GetTaskByID("old")
    world.uploads.UpdateTaskState(task, "startmusicimport")
    world.recorder.wait_for_state("old", "importcomplete")
    stored = world.stored("old")
    assert stored["state"] == "importcomplete"
    assert {key: stored[key] for key in ("contenttype", "albumpath")} == {
        "contenttype": "album",
        "albumpath": ALBUM,
    }
