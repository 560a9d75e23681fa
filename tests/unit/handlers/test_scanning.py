"""The handler of the scan, alone and in an engine."""

from __future__ import annotations

import os
import pickle
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import orjson
import pytest
from attrs import evolve, frozen
from musictasks.errors import TaskFailed
from musictasks.handlers import FilesystemScan, scanning
from musictasks.music import Settings, open_library
from musictasks.statemachine import MusicTask, Outcome, Work, WorkStopped
from scankit import Shelf

ALBUM = "Artist/2020 - Album"
SONG = f"{ALBUM}/01 Song.mp3"
TASK = MusicTask(id="t", content_type="any")
MIB = 1024 * 1024


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path).prepare()


@pytest.fixture
def handler(shelf: Shelf) -> FilesystemScan:
    return FilesystemScan(shelf.music, shelf.database, shelf.cache)


def test_the_annotations_are_the_documented_ones(shelf: Shelf, handler: FilesystemScan) -> None:
    """Lists of objects with paths and checksums, rows as objects, pairs, and what was skipped."""
    old, kept = shelf.import_album(ALBUM, "01 Song.mp3", "02 Song.mp3")
    checksum, lost = shelf.checksum(old), shelf.database.song(old)
    assert lost is not None
    lost["id"] = lost.pop("songid")
    shelf.path(old).rename(shelf.path(f"{ALBUM}/03 Song.mp3"))
    shelf.put("New/2020 - Album/01 Song.mp3", "New/2020 - Video.mp4", "New/loose.mp3")
    other = {path: shelf.checksum(path) for path in ("New/2020 - Album/01 Song.mp3",)}
    video = "New/2020 - Video.mp4"

    outcome = handler(TASK, Work())

    moved = {"path": f"{ALBUM}/03 Song.mp3", "checksum": checksum}
    new = [{"path": path, "checksum": sha256} for path, sha256 in other.items()]
    annotations = dict(outcome.annotations)
    (skipped,) = annotations.pop("skippedpaths")
    assert evolve(outcome, annotations=annotations) == Outcome(
        "succeed",
        annotations={
            "newpaths": {
                "artists": [{"path": "New"}],
                "albums": [{"path": "New/2020 - Album"}],
                "songs": [moved, *new],
                "filteredsongs": [moved],
                "videos": [{"path": video, "checksum": shelf.checksum(video)}],
            },
            "lostpaths": {"artists": [], "albums": [], "songs": [lost], "videos": []},
            "movedpaths": [{"lost": old, "new": f"{ALBUM}/03 Song.mp3", "checksum": checksum}],
        },
    )
    assert skipped["path"] == "New/loose.mp3"
    assert kept not in str(outcome)


def test_lost_rows_have_their_own_key_as_id(shelf: Shelf, handler: FilesystemScan) -> None:
    """As MusicDB's objects: `albumid`, `artistid` and `songid` in them are those of other rows."""
    shelf.import_album("Other/2020 - Album", "01 Song.mp3")
    shelf.import_album(ALBUM, "01 Song.mp3", "02 Song.mp3")
    with closing(sqlite3.connect(shelf.database.path)) as connection, connection:
        connection.execute(
            "insert into videos (videoid, songid, albumid, artistid, name, path) "
            "values (9, 3, 2, 2, 'V', 'Artist/2020 - V.mp4')"
        )
    rows = shelf.database.content()
    shutil.rmtree(shelf.path("Artist"))

    lost = handler(TASK, Work()).annotations["lostpaths"]

    keys = {"artists": "artistid", "albums": "albumid", "songs": "songid", "videos": "videoid"}
    for table, key in keys.items():
        expected = [row for row in rows[table] if row["path"].startswith("Artist")]
        for row in expected:
            row["id"] = row.pop(key)
        assert lost[table] == expected
    assert [row["id"] for row in lost["songs"]] == [2, 3]
    assert [(row["id"], row["artistid"]) for row in lost["albums"]] == [(2, 2)]
    (video,) = lost["videos"]
    assert [video[key] for key in ("id", "songid", "albumid", "artistid")] == [9, 3, 2, 2]


def test_running_again_changes_nothing(shelf: Shelf, handler: FilesystemScan) -> None:
    """The same outcome, and neither music nor database are written."""
    shelf.import_album(ALBUM, "01 Song.mp3")
    shelf.put(f"{ALBUM}/02 Song.mp3")
    before = shelf.database.path.read_bytes(), sorted(shelf.music.root.rglob("*"))

    assert handler(TASK, Work()) == handler(TASK, Work())
    assert (shelf.database.path.read_bytes(), sorted(shelf.music.root.rglob("*"))) == before


@pytest.mark.parametrize("how", ["unmounted", "damaged database", "no directory"])
def test_what_cannot_be_scanned_fails(shelf: Shelf, handler: FilesystemScan, how: str) -> None:
    """The server could not do it; the reason says what is wrong, and nothing is annotated."""
    shelf.import_album(ALBUM, "01 Song.mp3")
    if how == "damaged database":
        shelf.database.path.write_bytes(b"no database" * 1000)
    else:
        shutil.rmtree(shelf.music.root)
    if how == "no directory":
        shelf.music.root.touch()
    reasons = {"unmounted": "mounted", "no directory": "Not a directory"}

    outcome = handler(TASK, Work())

    assert (outcome.event, outcome.annotations) == ("fail", {})
    assert reasons.get(how, "not a database") in (outcome.message or "")


def test_a_result_that_no_task_file_holds_fails(
    shelf: Shelf, handler: FilesystemScan, monkeypatch
) -> None:
    """Better a reason than a task file that does not load; the limit is exact."""
    shelf.put(SONG, "Artist/2021 - Other/01 Song.mp3")
    result = dict(handler(TASK, Work()).annotations)
    record = {"annotations": result}
    dumped = orjson.dumps(record, option=orjson.OPT_INDENT_2)
    size_bytes = len(dumped) - len(orjson.dumps({"annotations": None}, option=orjson.OPT_INDENT_2))
    monkeypatch.setattr(scanning, "RESULT_MAX_BYTES", size_bytes + 4)
    assert handler(TASK, Work()).event == "succeed"
    monkeypatch.setattr(scanning, "RESULT_MAX_BYTES", size_bytes - 4)

    outcome = handler(TASK, Work())

    assert (outcome.event, outcome.annotations) == ("fail", {})
    assert "bytes" in (outcome.message or "")


def test_it_can_be_pickled(shelf: Shelf, handler: FilesystemScan) -> None:
    """It may go to a worker in another process, also after it has worked."""
    shelf.put(SONG)
    handler(TASK, Work())

    assert pickle.loads(pickle.dumps(handler)) == handler


class Stoppable(Work):
    """Asked to stop at its n-th step; counts what is told after that."""

    def __init__(self, stop_at: int) -> None:
        self.steps = 0
        self.stop_at = stop_at

    @property
    def stopped(self) -> bool:
        return self.steps >= self.stop_at

    def progress(self, done: int, total: int, path: str | None = None) -> None:
        self.steps += 1


@pytest.mark.parametrize("stop_at", [0, 1, 2, 3, 30])
def test_a_stop_is_heard_at_every_step(shelf: Shelf, handler: FilesystemScan, stop_at: int) -> None:
    """At each directory, each file, and each MiB of a file; not one step more is done."""
    shelf.put(SONG)
    os.truncate(shelf.path(SONG), 100 * MIB)
    work = Stoppable(stop_at)

    with pytest.raises(WorkStopped):
        handler(TASK, work)
    assert work.steps == stop_at


@frozen
class Watched:
    """The real handler, held at the first MiB of a song until the test says so."""

    handler: FilesystemScan
    at_work: threading.Event
    go_on: threading.Event
    #: What was done after the wish to stop, and how it ended.
    after: list[object]

    def __call__(self, task: MusicTask, work: Work) -> Outcome:
        try:
            return self.handler(task, _Held(self, work))
        except WorkStopped:
            self.after.append(WorkStopped)
            raise


class _Held(Work):
    def __init__(self, watched: Watched, work: Work) -> None:
        self.watched, self.work = watched, work

    @property
    def stopped(self) -> bool:
        return self.work.stopped

    def progress(self, done: int, total: int, path: str | None = None) -> None:
        if self.stopped:
            self.watched.after.append(path)
        if path == SONG:
            self.watched.at_work.set()
            assert self.watched.go_on.wait(30)


def test_removing_the_task_ends_the_scan_at_once(shelf: Shelf, handler: FilesystemScan) -> None:
    """A removal in the middle of a large file: not a MiB more is hashed, and the task is gone."""
    shelf.put(SONG)
    os.truncate(shelf.path(SONG), 1024 * MIB)
    watched = Watched(handler, threading.Event(), threading.Event(), [])
    settings = Settings.in_directory(shelf.root)
    with open_library(settings, handlers={"file system scan": watched}) as engine:
        task = engine.scan()
        assert watched.at_work.wait(30)
        assert engine.get(task.id).state == "scanningfs"
        engine.remove(task.id)
        watched.go_on.set()
        engine.wait(task.id, "notexisting", timeout=30)
        assert engine.tasks() == []
    assert watched.after == [WorkStopped]
    assert list(settings.tasks.iterdir()) == []


def test_a_scan_in_an_engine(shelf: Shelf) -> None:
    """The states, the result in the task's file, progress in notifications only, and a retry."""
    songs = shelf.import_album(ALBUM, "01 Song.mp3", "02 Song.mp3")
    shelf.path(ALBUM).rename(shelf.path("Artist/2021 - Album"))
    settings = Settings.in_directory(shelf.root, keep_finished_s=1000)
    seen = []
    with open_library(settings) as engine:
        engine.subscribe(lambda notification, status: seen.append(status["task"]))
        task = engine.scan()
        assert (task.state, task.content_type) == ("startfsscan", "any")
        task = engine.wait(task.id, "fsscancomplete", timeout=30)
        shutil.rmtree(shelf.path("Artist"))
        failed = engine.scan()
        with pytest.raises(TaskFailed, match="mounted"):
            engine.wait(failed.id, "fsscancomplete", timeout=30)
        shelf.put(*songs)
        engine.retry(failed.id)
        again = engine.wait(failed.id, "fsscancomplete", timeout=30)
    file = orjson.loads((settings.tasks / f"{task.id}.json").read_bytes())
    assert file["annotations"] == task.annotations
    assert [pair["lost"] for pair in task.annotations["movedpaths"]] == songs
    assert again.annotations["lostpaths"]["songs"] == []
    assert "progress" not in task.annotations
    told = [t["annotations"]["progress"] for t in seen if t and "progress" in t["annotations"]]
    assert told[0] == {"done": 0, "total": 1, "path": "Artist"}
    assert [entry.target for entry in task.history] == [
        "startfsscan",
        "scanningfs",
        "fsscancomplete",
    ]


def test_a_scan_that_was_cut_off_goes_on(shelf: Shelf) -> None:
    """A scan that waits when the engine is closed is done by the next one."""
    shelf.put(SONG)
    settings = Settings.in_directory(shelf.root, keep_finished_s=1000)
    engine = open_library(settings)
    task = engine.scan()
    engine.close()

    with open_library(settings) as engine:
        done = engine.wait(task.id, "fsscancomplete", timeout=30)

    assert done.annotations["newpaths"]["songs"] == [
        {"path": SONG, "checksum": shelf.checksum(SONG)}
    ]


def test_odd_values_of_other_programs_do_not_stop_it(shelf: Shelf, handler: FilesystemScan) -> None:
    """Rows without path or checksum, and paths that lead out, are no reason to fail."""
    shelf.import_album(ALBUM, "01 Song.mp3")
    with closing(sqlite3.connect(shelf.database.path)) as connection, connection:
        for path in (None, "", "../../etc/passwd", "/etc/passwd", "AC\\DC/x.mp3", "a/\x00.mp3"):
            query = "insert into songs (name, path, checksum) values ('x', ?, null)"
            connection.execute(query, (path,))

    outcome = handler(TASK, Work())

    assert outcome.event == "succeed"
    assert {row["path"] for row in outcome.annotations["lostpaths"]["songs"]} <= {None, ""}


@pytest.mark.parametrize("wanted", ["scan", "album", "song"])
def test_a_locked_database_does_not_keep_a_removed_task(shelf: Shelf, wanted: str) -> None:
    """Who waits for another process hears that it shall stop, long before the wait is over."""
    shelf.put(SONG)
    patient = evolve(shelf.database, busy_timeout_s=60)
    calls = {
        "scan": lambda check: patient.content(check),
        "album": lambda check: patient.import_album(shelf.music, ALBUM, lambda *_: check()),
        "song": lambda check: patient.import_song(shelf.music, SONG, check),
    }
    checked = 0

    def check() -> None:
        nonlocal checked
        checked += 1
        if checked == 3:
            raise WorkStopped

    with closing(sqlite3.connect(patient.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(WorkStopped):
            calls[wanted](check)
        other.execute("ROLLBACK")
    assert patient.content(check)["songs"] == []


def test_a_scan_waits_for_another_process(shelf: Shelf, handler: FilesystemScan) -> None:
    """What is read when the other process is done is what that one has written."""
    old, _ = shelf.import_album(ALBUM, "01 Song.mp3", "02 Song.mp3")
    patient = evolve(handler, database=evolve(shelf.database, busy_timeout_s=60))
    other = sqlite3.connect(shelf.database.path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    other.execute("DELETE FROM songs WHERE path = ?", (old,))

    class Ending(Work):
        def progress(self, done: int, total: int, path: str | None = None) -> None:
            if not path and other.in_transaction:
                other.execute("COMMIT")

    with closing(other):
        found = patient(TASK, Ending()).annotations
    assert [song["path"] for song in found["newpaths"]["songs"]] == [old]
