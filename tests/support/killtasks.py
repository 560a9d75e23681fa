"""What the processes do that are killed in the engine's own work, and what they may leave.

An upload without a SHA-1, a removal, the take-over of a library of version 0.1.0, and many uploads
at once. Each program goes on with whatever the one before it left, as those of `killprograms`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from archivekit import album_files, make_zip
from attrs import frozen
from musictasks.errors import TaskNotFound
from musictasks.library.sample_album import sample_album
from musictasks.music import MusicEngine, Settings, open_library, read_tasks
from musictasks.statemachine import MusicTask

#: Longer than any step takes; only broken code meets it.
_PATIENCE_S = 30
_ALBUM = "Søren Größenwald/2020 - Über den Wäldern"


@frozen
class File:
    """What a client uploads, by the id of its task."""

    task_id: str
    content_type: str
    name: str
    data: bytes
    #: None: it only goes to `readyforintegration`, and is removed.
    target: str | None = None
    announced: bool = True

    @property
    def sha1(self) -> str:
        return hashlib.sha1(self.data).hexdigest()


SONG = (sample_album() / "01 Morgenroete.flac").read_bytes()
UNANNOUNCED = File(
    "unannounced", "albumfile", "song.flac", SONG, f"{_ALBUM}/01 Morgenröte.flac", announced=False
)
DISCARDED = File("discarded", "album", "album.zip", make_zip(album_files()))
#: So many at once, each of three chunks.
MANY = tuple(
    File(
        f"many-{number}",
        "albumfile",
        "booklet.pdf",
        bytes([number]) * 40_000,
        f"{_ALBUM}/booklet {number}.pdf",
    )
    for number in range(8)
)
#: The tasks of the older library: half uploaded, unpacked, and finished long ago.
OLD = (
    File("old-song", "albumfile", "song.flac", SONG, f"{_ALBUM}/01 Morgenröte.flac"),
    File("old-album", "album", "album.zip", DISCARDED.data, f"{_ALBUM} (2)"),
    File("old-done", "albumfile", "booklet.pdf", b"finished"),
)
#: Of the song's bytes so many were uploaded before.
KEPT_BYTES = 24 * 1024


# -- programs -------------------------------------------------------------------------------------


def unannounced(config: Path) -> int:
    """A song whose SHA-1 the client does not know goes to its place."""
    with open_library(Settings.from_file(config)) as engine:
        _bring(engine, UNANNOUNCED)
    return 0


def discard(config: Path) -> int:
    """An album is uploaded, unpacked and removed."""
    with open_library(Settings.from_file(config)) as engine:
        _bring(engine, DISCARDED)
    return 0


def reopen(config: Path) -> int:
    """Nobody does anything: what was being removed is gone in the end."""
    with open_library(Settings.from_file(config)) as engine:
        for task in engine.tasks():
            if task.state == "remove":
                _gone(engine, task.id)
    return 0


def take_over(config: Path) -> int:
    """All tasks of an older library go on to their ends."""
    with open_library(Settings.from_file(config)) as engine:
        assert not engine.invalid()
        for file in OLD:
            if file.task_id == "old-done":
                _gone(engine, file.task_id)  # it was kept as long as the settings say
                continue
            task = _found(engine, file)
            if task is not None and task.state == "waitforchunk":
                assert (task.offset or 0) >= KEPT_BYTES, task.offset
            _bring(engine, file)
    return 0


def many(config: Path) -> int:
    """Eight uploads in parallel; whatever a client is told is written down at once."""
    settings, said = Settings.from_file(config), config.with_name("told")
    with _saying(said) as say, open_library(settings) as engine:
        engine.subscribe(lambda _name, status: say(status["task"]))
        with ThreadPoolExecutor(len(MANY)) as pool:
            for run in [pool.submit(_bring, engine, file) for file in MANY]:
                run.result()
    said.unlink()
    return 0


@contextmanager
def _saying(path: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)

    def say(task: dict[str, Any]) -> None:
        os.write(fd, json.dumps(task).encode() + b"\n")

    yield say  # the callbacks may outlive this block


def _found(engine: MusicEngine, file: File) -> MusicTask | None:
    try:
        return engine.get(file.task_id)
    except TaskNotFound:
        return None


def _bring(engine: MusicEngine, file: File) -> None:
    """Whatever was done before: in the end the file is at its target, and the task is gone."""
    settings = engine.settings
    task = _found(engine, file)
    if task is not None and task.state == "remove":
        _gone(engine, task.id)
        task = None
    if task is None and file.target is not None and (settings.music / file.target).exists():
        return
    task = task or engine.begin_upload(
        task_id=file.task_id,
        content_type=file.content_type,
        file_size=len(file.data),
        checksum=file.sha1 if file.announced else None,
        source_filename=file.name,
    )
    if task.state == "waitforchunk":
        for at in range(task.offset or 0, len(file.data), settings.chunk_size):
            engine.receive_chunk(task.id, file.data[at : at + settings.chunk_size], offset=at)
    rests = {"readyforintegration", "readyforimport", "remove"}
    if engine.wait(task.id, rests, _PATIENCE_S).state == "readyforintegration":
        if file.target is None:
            engine.discard(task.id)
            return
        engine.integrate(task.id, file.target)  # from `readyforimport` it goes by itself
    _gone(engine, task.id)


def _gone(engine: MusicEngine, task_id: str) -> None:
    try:
        engine.wait(task_id, "notexisting", _PATIENCE_S)
    except TaskNotFound:  # before this process began
        return


PROGRAMS = (unannounced, discard, reopen, take_over, many)


# -- what they may leave --------------------------------------------------------------------------


def own_files(config: Path, task_id: str) -> dict[str, bytes] | None:
    """What a task has in its directory; None where there is no directory."""
    directory = Settings.from_file(config).uploads / task_id
    if not directory.is_dir():
        return None
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def lay_old_library(library: Path) -> None:
    """The tasks as the engine makes them; then their data is laid flat, as 0.1.0 had it."""
    settings = Settings.from_file(library / "musicdb.ini")
    with open_library(settings) as engine:
        for file in OLD:
            engine.begin_upload(
                task_id=file.task_id,
                content_type=file.content_type,
                file_size=len(file.data),
                checksum=file.sha1,
                source_filename=file.name,
            )
            whole = file.task_id != "old-song"
            for at in range(0, len(file.data) if whole else KEPT_BYTES, settings.chunk_size):
                end = len(file.data) if whole else KEPT_BYTES
                chunk = file.data[at : min(at + settings.chunk_size, end)]
                engine.receive_chunk(file.task_id, chunk, offset=at)
            if whole:
                engine.wait(file.task_id, "readyforintegration", _PATIENCE_S)
    for file in OLD:
        _lay_flat(settings, file.task_id)
    (settings.uploads / f"albumfile-{'0' * 40}.pdf").write_bytes(b"of no task")
    (settings.uploads / ".upload.1.2.tmp").write_bytes(b"of a killed run")


def _lay_flat(settings: Settings, task_id: str) -> None:
    file = settings.tasks / f"{task_id}.json"
    record = json.loads(file.read_text())
    for path in (settings.uploads / task_id).iterdir():
        path.rename(settings.uploads / path.name)
    (settings.uploads / task_id).rmdir()
    for key in ("uploadpath", "preprocessedpath"):
        record[key] = record[key] and record[key].removeprefix(f"{task_id}/")
    if task_id == "old-song":
        record["offset"] = 0  # it was not saved with each chunk
    if task_id == "old-done":
        last = {"event": "succeed", "from": "importingmusic", "to": "importcomplete"}
        record |= {"state": "importcomplete", "history": [{"time": 1_700_000_000.0, **last}]}
    file.write_text(json.dumps(record))


def lost_of_old(config: Path) -> list[str]:
    """What a process that was killed while it took over has made wrong: lost, or there twice."""
    settings, wrong = Settings.from_file(config), []
    for file in settings.tasks.glob("*.json"):
        record = json.loads(file.read_text())
        for path in (record["uploadpath"], record["preprocessedpath"]):
            if path is None or record["state"] in {"importcomplete", "remove"}:
                continue
            name = path.removeprefix(f"{record['id']}/")
            places = [name, f"{record['id']}/{name}"]
            there = [one for one in places if (settings.uploads / one).exists()]
            # A record that names the directory was saved after the data had got there.
            if len(there) != 1 or (path != name and there != [path]):
                wrong.append(f"{record['id']}: {path} is at {there}")
    song = OLD[0]
    found = [*settings.uploads.rglob(f"albumfile-{song.sha1}.flac")]
    if not any(one.read_bytes() == song.data[:KEPT_BYTES] for one in found):
        wrong.append("bytes of the song are lost")
    return wrong


def untrue(config: Path) -> list[str]:
    """What a client was told of many tasks and is not on disk."""
    settings = Settings.from_file(config)
    tasks = {task.id: task for task in read_tasks(settings).tasks}
    targets = {file.task_id: settings.music / str(file.target) for file in MANY}
    lines = config.with_name("told").read_bytes().split(b"\n")[:-1]
    return [
        f"{told['id']}: {told['state']}"
        for told in map(json.loads, lines)
        if not _is_true(told, tasks.get(told["id"]), targets[told["id"]])
    ]


def _is_true(told: dict[str, Any], task: MusicTask | None, target: Path) -> bool:
    if task is None:  # removed: only after it was at its place
        return target.exists()
    was_told = [(one["event"], one["to"]) for one in told["history"]]
    stored = [(one.event, one.target) for one in task.history]
    waits = task.state == told["state"] == "waitforchunk"
    return stored[: len(was_told)] == was_told and (
        not waits or (task.offset or 0) >= told["offset"]
    )
