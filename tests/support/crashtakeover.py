"""A library of version 0.1.0, with MusicDB's absolute paths, and the client that goes on with it.

Its tasks have their data in the Upload Directory itself: an upload half done, an image that was
made into a JPEG, an unpacked album, a finished task; besides, what killed runs left there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from attrs import evolve, frozen
from crashkit import OLD_NAMES, Room, with_names
from crashmany import WAYS_OF_MANY
from crashways import (
    ALBUM,
    ARCHIVE,
    OTHER_ALBUM,
    SONG,
    WAYS_OF_ONE,
    Stuck,
    Way,
    has_artwork,
    has_song,
    sample,
)
from musictasks.statemachine import MusicTask

#: Stands in the template for the Upload Directory, which is another in each copy.
_UPLOADS = "@UPLOADS@"
_SONG, _IMAGE, _ALBUM, _DONE = "a-song", "b-image", "c-album", "d-done"
_DATA = {
    _SONG: ("albumfile", "01 Morgenroete.flac", sample("01 Morgenroete.flac")),
    _IMAGE: ("artwork", "cover.png", sample("cover.png")),
    _ALBUM: ("album", "album.tar", ARCHIVE),
    _DONE: ("albumfile", "booklet.pdf", sample("booklet.pdf")),
}
_TARGETS = {_SONG: SONG, _IMAGE: ALBUM, _ALBUM: OTHER_ALBUM}
#: Of the song's bytes so many were uploaded before.
KEPT_BYTES = 24 * 1024
_LONG_AGO = 1_700_000_000.0


@frozen(kw_only=True)
class TakeOver(Way):
    """All tasks of an older library are taken over, and go on to their ends."""

    #: The ids of its tasks.
    tasks: tuple[str, ...]

    def arrive(self, room: Room) -> None:
        for file in room.settings.tasks.glob("*.json"):
            file.write_text(file.read_text().replace(_UPLOADS, str(room.settings.uploads)))

    def kept(self, task: MusicTask) -> bytes:
        return _DATA[_SONG][2][:KEPT_BYTES] if task.state == "waitforchunk" else b""

    def find(self, room: Room) -> MusicTask | None:
        tasks = sorted(room.engine.tasks(), key=lambda task: task.id)
        ready = [task for task in tasks if self.act(room, task) is not None]
        return next(iter([*ready, *tasks]), None)

    def begin(self, room: Room) -> object:
        if not room.engine.invalid():
            raise Stuck("a task is lost")
        return _restart(room)

    def done(self, room: Room) -> bool:
        album = room.settings.music / OTHER_ALBUM
        done = {_SONG: has_song(room), _IMAGE: has_artwork(room), _ALBUM: album.is_dir()}
        return all(done.get(task, True) for task in self.tasks)

    def act(self, room: Room, task: MusicTask) -> Callable[[], object] | None:
        engine = room.engine
        if engine.invalid():
            # The disk refused while it was taken over: the next start does it.
            return lambda: _restart(room)
        if task.state == "waitforchunk":
            offset = task.offset or 0
            # What came later may be torn: then it is uploaded anew.
            if offset < KEPT_BYTES and not any(one.event == "retry" for one in task.history):
                raise Stuck(f"of {KEPT_BYTES} bytes that were uploaded, {offset} are there")
            chunk = _DATA[task.id][2][offset : offset + room.settings.chunk_size]
            return lambda: engine.receive_chunk(task.id, chunk, offset=offset)
        if task.state == "readyforintegration" and (task.id != _IMAGE or has_song(room)):
            target, with_import = _TARGETS[task.id], task.id == _SONG
            return lambda: engine.integrate(task.id, target, then_import=with_import)
        return super().act(room, task)


def _restart(room: Room) -> None:
    room.close()
    room.open()


def lay_old_library(room: Room, tasks: tuple[str, ...]) -> None:
    """Makes the tasks as the engine makes them, then lays their data flat."""
    for task_id in tasks:
        content_type, name, data = _DATA[task_id]
        options = {"content_type": content_type, "file_size": len(data), "source_filename": name}
        task = room.engine.begin_upload(
            task_id=task_id, **options, checksum=hashlib.sha1(data).hexdigest()
        )
        sent = data[:KEPT_BYTES] if task_id == _SONG else data
        room.engine.receive_chunk(task.id, sent)
        room.rest()
    room.close()
    for file in sorted(room.settings.tasks.glob("*.json")):
        record = json.loads(file.read_text())
        _lay_flat(record, room.settings.uploads)
        file.write_text(json.dumps(record))
    (room.settings.uploads / f"albumfile-{'0' * 40}.pdf").write_bytes(b"of no task")
    (room.settings.uploads / ".upload.1.2.tmp").write_bytes(b"of a killed run")


def _lay_flat(record: dict[str, Any], uploads: Path) -> None:
    task_id = record["id"]
    for path in (uploads / task_id).iterdir():
        path.rename(uploads / path.name)
    (uploads / task_id).rmdir()
    for key in ("uploadpath", "preprocessedpath"):
        record[key] = record[key] and record[key].removeprefix(f"{task_id}/")
    if task_id == _SONG:
        record["offset"] = 0  # it was not saved with each chunk
    if task_id == _IMAGE:  # as MusicDB writes it
        path = f"{_UPLOADS}/{record['preprocessedpath']}"
        record |= {"preprocessedpath": path, "awsourcetype": "imagefile", "awsourcepath": path}
    if task_id == _DONE:
        record["state"] = "importcomplete"
        last = {"event": "succeed", "from": "importingmusic", "to": "importcomplete"}
        record["history"] = [{"time": _LONG_AGO, **last}]


def _take_over(told_most: int, whole: str, *tasks: str) -> TakeOver:
    return TakeOver(
        prepare=partial(lay_old_library, tasks=tasks),
        tasks=tasks,
        whole=whole,
        nobodys=(".pdf",),
        told_most=told_most,
    )


def lay_old_names(room: Room, tasks: tuple[str, ...]) -> None:
    """As `lay_old_library`, and the states have the names that they had in an older version."""
    lay_old_library(room, tasks)
    before = {now: old for old, now in OLD_NAMES.items()}
    for file in room.settings.tasks.glob("*.json"):
        record = json.loads(file.read_text())
        renamed = with_names(record, before)
        assert renamed != record
        file.write_text(json.dumps(renamed))


#: All ways there are.
WAYS: dict[str, Way] = {
    **WAYS_OF_ONE,
    **WAYS_OF_MANY,
    "take-over": _take_over(6, OTHER_ALBUM, *_DATA),
    "take-over of one": _take_over(3, SONG, _SONG),
    "take-over of names": evolve(
        _take_over(3, SONG, _SONG, _IMAGE, _DONE),
        prepare=partial(lay_old_names, tasks=(_SONG, _IMAGE, _DONE)),
    ),
}
