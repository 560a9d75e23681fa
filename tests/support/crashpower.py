"""The power fails at every effect of a way: what each possible disk holds, and what becomes of it.

Run as a program (`python -m crashpower WAY DIRECTORY`); prints what it found as JSON.
"""

from __future__ import annotations

import argparse
import errno
import functools
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from attrs import define, field, frozen
from crashimages import Image, Recording
from crashkit import Room, Struck, at_path
from crashruns import Lane
from crashsweeps import judged, prepare
from crashtakeover import WAYS
from musictasks.errors import InvalidTaskFile
from musictasks.files import upload_marks, using
from musictasks.music.takeover import RelativePaths
from musictasks.persistence import make_converter
from musictasks.statemachine import MUSIC, MusicTask

#: The states in which an upload's data must be whole.
_DATA_NEEDED = {
    "uploadcomplete",
    "preprocessing",
    "readyforintegration",
    "startintegration",
    "integrating",
}
#: The states that say that the file is at its place.
_PLACED = {"readyforimport", "startmusicimport", "importingmusic", "startartworkimport"}
_PLACED |= {"importingartwork", "importcomplete"}
#: Of a power cut after so many more notifications than before a shared fsync that was refused,
#: nothing is to be learnt of it.
_TOLD_AFTER = 5
#: By content type, the states in which what was made of the upload must be whole.
_PREPROCESSED_NEEDED = {
    "artwork": {"readyforintegration", "startartworkimport"},
    "album": {"readyforintegration", "startintegration", "integrating"},
}


@functools.cache
def _sha256(data: bytes) -> bytes:
    """Remembered: most files are the same on most of the disks."""
    return hashlib.sha256(data).digest()


@functools.cache
def _sha1(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


@define
class Power:
    """One recorded way, and its judge."""

    lane: Lane
    choice: Choice
    told: list[MusicTask] = field(factory=list)
    final: dict[str, bytes] = field(factory=dict)
    seen: set[bytes] = field(factory=set)
    recording: Recording = field(init=False)
    room: Room = field(init=False)

    #: Reads a task file. Remembered: most are the same on most of the disks.
    load: Callable[[bytes, str], Any] = field(init=False)

    #: The effect that the disk refuses, once; what it should have made durable is not.
    refused: int | None = None
    #: The fsyncs that several saves shared.
    shared: list[int] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        uploads = RelativePaths(self.lane.root / "data/uploads")
        self.load = functools.cache(make_converter(MUSIC, uploads).load)

    def record(self) -> None:
        room = self.room = self.lane.room()
        self.recording = Recording(room.root, room.settings.database, lambda: len(room.told))
        self.recording.strike = self._refuse
        if self.choice.combined is not None:
            self.recording.combined_most = self.choice.combined
        self.lane.run(room, self.recording)
        self.recording.cut()
        self.told = [task for _, task in room.told]
        for path in (*room.settings.music.rglob("*"), *room.settings.artwork.rglob("*")):
            if path.is_file():
                self.final[str(path.relative_to(room.root))] = path.read_bytes()

    def _refuse(self, number: int, name: str) -> None:
        if self.room.sharing > 1:
            self.shared.append(number)
        if number == self.refused:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def refusable(self) -> list[int]:
        """The fsyncs that are refused: those that saves share, or else those of the start."""
        if self.lane.way.turns is not None:
            # Evenly, from the second on, if not all: in the first one tasks are made, of no data.
            step = len(self.shared) // (self.choice.shared or len(self.shared))
            return self.shared[min(step, 2) - 1 :: step]
        opening = sum(cut.told == 0 for cut in self.recording.cuts)
        return [n for n, name in enumerate(self.recording.calls[:opening], 1) if name == "fsync"]

    def _told_most(self) -> int | None:
        if self.refused is not None and self.lane.way.turns is not None:
            return self.recording.cuts[self.refused - 1].told + _TOLD_AFTER
        most = self.lane.way.told_most if self.choice.told is None else self.choice.told
        # The next start asks again.
        return most if most is None or self.refused is None else most + 1

    def images(self) -> Iterator[tuple[str, Image, list[MusicTask]]]:
        """Every different image, with what was told before the power failed."""
        most = self._told_most()
        for number, cut in enumerate(self.recording.cuts, 1):
            if most is not None and cut.told > most:
                break
            if number <= (self.refused or 0):
                continue  # as if nothing was refused
            for image in self.recording.images(cut):
                if cut.database:
                    image.files["data/music.db"] = cut.database
                digest = hashlib.sha256(repr((cut.told, sorted(image.directories))).encode())
                for name, data in sorted(image.files.items()):
                    digest.update(name.encode() + b"\0" + _sha256(data))
                if digest.digest() not in self.seen:
                    self.seen.add(digest.digest())
                    yield f"before call {number}", image, self.told[: cut.told]

    def wrong(self, image: Image, told: list[MusicTask]) -> list[str]:
        """What such a disk must not hold, or must."""
        wrong: list[str] = []
        tasks: dict[str, Any] = {}
        for name, data in image.files.items():
            directory, _, base = name.rpartition("/")
            hidden = base.startswith(".")
            if directory == "data/tasks" and base.endswith(".json"):
                task_id = base.removesuffix(".json")
                try:
                    tasks[task_id] = self.load(data, task_id)
                except InvalidTaskFile as error:
                    wrong.append(f"{error}: {data[:60]!r} of {len(data)} bytes")
            in_music = name.startswith(("music/", "data/webdata/"))
            if in_music and not hidden and data != self.final.get(name, data):
                wrong.append(f"{name} is torn: {len(data)} bytes")
        wrong += self._half(image)
        wrong += _forgotten(tasks, told)
        for task in tasks.values():
            wrong += self._missing(image, task)
        return wrong

    def _half(self, image: Image) -> Iterator[str]:
        """What is at its place in part, of that which appears as a whole."""
        place = f"music/{self.lane.way.whole}"
        found = at_path(place, image.files)
        if (found or place in image.directories) and found != at_path(place, self.final):
            yield f"{place} is there, but not whole: {list(found)}"

    def _missing(self, image: Image, task: MusicTask) -> Iterator[str]:
        """What a task's record says there is, and is not."""
        if task.state in _DATA_NEEDED and task.upload_path is not None:
            data = image.files.get(self._place(image, task, task.upload_path), b"")
            if _sha1(data) != task.source_checksum:
                yield f"{task.state}, but the upload's data are {len(data)} other bytes"
        if kept := self.lane.way.kept(task):
            data = image.files.get(self._place(image, task, str(task.upload_path)), b"")
            if not data.startswith(kept):
                yield f"of {len(kept)} bytes that were uploaded, not all are in {len(data)}"
        place = f"music/{task.album_file_path or task.album_path}"
        if task.state in _PLACED and at_path(place, image.files) != at_path(place, self.final):
            yield f"{task.state}, but {place} is not at its place"
        if task.state in _PREPROCESSED_NEEDED.get(task.content_type or "", ()):
            made = at_path(self._place(image, task, str(task.preprocessed_path)), image.files)
            whole = at_path(f"music/{self.lane.way.whole}", self.final)
            enough = len(whole) if task.content_type == "album" else 1
            if len(made) != enough or not set(made.values()) <= set(self.final.values()):
                yield f"{task.state}, but what was preprocessed is not whole: {list(made)}"
        with_artwork = task.include_artwork or task.content_type == "artwork"
        if task.state == "importcomplete" and with_artwork:
            for name, data in self.final.items():
                if name.startswith("data/webdata/") and image.files.get(name) != data:
                    yield f"{task.state}, but {name} is not there"

    @staticmethod
    def _place(image: Image, task: MusicTask, path: str) -> str:
        """Where the uploaded data is that a record names."""
        flat, own = f"data/uploads/{path}", f"data/uploads/{task.id}/{path}"
        # Of a record that is to be taken over, the data may be in its new place already.
        moved = "/" not in path and own in {*image.files, *image.directories}
        return own if moved else flat

    def recovers(self, image: Image) -> list[str]:
        """What is wrong after an engine and a client went on from such a disk."""
        root = self.lane.root
        shutil.rmtree(root)
        root.mkdir()
        image.lay_out(root)
        room = self.lane.reopened()
        effects = Struck()
        effects.links, effects.before = self.lane.way.links, room.before
        with using(effects), patch.object(upload_marks, "this_boot", lambda: "after-the-cut"):
            room.open()
            try:
                self.lane.way.go(room)
            finally:
                room.close()
        found = room.library()
        # A power cut may lose the mode of a new directory or file: only content counts here.
        wrong = [f"left over: {name}" for name in room.leftovers()]
        for part in ("music", "artwork"):
            contents = {name: digest for name, (_, digest) in found[part].items()}
            wanted = {name: digest for name, (_, digest) in self.lane.wanted[part].items()}
            if contents != wanted:
                wrong.append(f"{part}: {set(contents.items()) ^ set(wanted.items())}")
        if found["database"] != self.lane.wanted["database"]:
            wrong.append(f"database: {found['database']}")
        return wrong


def _forgotten(tasks: dict[str, MusicTask], told: list[MusicTask]) -> Iterator[str]:
    """The states and annotations that a client was told of, and that the disk does not know."""
    removed = {task.id for task in told if task.state == "remove"}
    for task in told:
        record = tasks.get(task.id)
        if record is None:
            if task.id not in removed:
                yield f"told of {task.state}, but there is no task file"
        elif task.state not in {entry.target for entry in record.history}:
            yield f"told of {task.state}, but the disk has {record.state}"
        elif not task.annotations.keys() - {"progress"} <= record.annotations.keys():
            yield f"told of {task.annotations}, but the disk has {record.annotations}"


@frozen
class Choice:
    """Which of all images are looked at."""

    #: Of so many images, one recovers.
    stride: int = 1
    #: Those after each fsync of the start, or each shared one, was refused once, and done later.
    refused: bool = False
    #: Of the shared ones so many are refused; None: all.
    shared: int | None = None
    #: Nothing after so many notifications, if it is less than the way has.
    told: int | None = None
    #: So many name operations are combined in every way; None: as many as there usually are.
    combined: int | None = None


def recorded(lane: Lane, choice: Choice) -> Iterator[Power]:
    """The runs whose images are looked at."""
    first = Power(lane, choice)
    first.record()
    if not choice.refused:
        yield first
        return
    for number in first.refusable():
        power = Power(lane, choice, refused=number, seen=first.seen)
        power.record()
        yield power


def main(way: str, directory: Path, choice: Choice) -> dict[str, Any]:
    """Looks at the images of a way; `directory` is an empty one."""
    prepare(WAYS[way], directory / "template")
    lane = Lane(WAYS[way], directory / "template", directory / "lane")
    lane.undisturbed()
    bad: list[str] = []
    cuts = images = recovered = 0
    for power in recorded(lane, choice):
        cuts += len(power.recording.cuts)
        for where, image, told in power.images():
            images += 1
            wrong = power.wrong(image, told)
            if images % choice.stride == 0:
                recovered += 1
                wrong += judged(lambda power=power, image=image: power.recovers(image))
            if wrong:
                bad.append(f"{where}, {power.refused} refused: " + "; ".join(wrong)[:1000])
    return {
        "cuts": cuts,
        "groups": lane.groups,
        "images": images,
        "recovered": recovered,
        "bad": bad[:20],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=[name for name in WAYS if name != "first start"])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--refused", action="store_true")
    parser.add_argument("--stride", type=int, default=1)
    for name in ("--shared", "--told", "--combined"):
        parser.add_argument(name, type=int)
    given = vars(parser.parse_args())
    print(json.dumps(main(given.pop("way"), given.pop("directory"), Choice(**given))))
