"""Others who act in the middle of an effect: a person at the task file, another client."""

from __future__ import annotations

import json
import threading
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from attrs import Factory, define
from crashkit import PATIENCE_S, Room, Struck, differences
from crashmany import FILES, MANY, target
from crashruns import Lane
from crashways import HAND
from musictasks.engine.entry import Entry
from musictasks.errors import ChunkRefused, IllegalTransition, TaskNotFound, UploadRefused
from musictasks.statemachine import MusicTask

# -- a person ---------------------------------------------------------------------------------


@define
class Person:
    """Somebody who does something to the task file at one effect."""

    room: Room
    at: int
    do: Callable[[Person, Path, bytes], object]
    #: Whose file it is.
    task: str = "*"
    effects: Struck = Factory(lambda self: Struck(self.strike), takes_self=True)
    file: Path | None = None
    state: str = ""
    before: bytes = b""

    def strike(self, number: int, name: str) -> None:
        if number != self.at or not self.room.settings.tasks.is_dir():
            return
        for file in self.room.settings.tasks.glob(f"{self.task}.json"):
            self.file, self.before = file, file.read_bytes()
            self.state = json.loads(self.before)["state"]
            self.do(self, file, self.before)

    def write(self, file: Path, data: bytes) -> None:
        """In place, or by a new file in the old one's place, as editors do it."""
        if self.at % 2:
            file.write_bytes(data)
        else:
            new = self.room.root / "editor"
            new.write_bytes(data)
            new.replace(file)


def delete(at: int, lane: Lane) -> list[str]:
    """The task goes to `remove`, and nothing of it stays but what reached the library."""
    person = Person(room := lane.room(), at, lambda self, file, data: file.unlink())
    lane.run(room, person.effects, again=False)
    if person.file is None:
        return lane.wrong(room)
    wrong = [f"left over: {name}" for name in room.leftovers()]
    removals = [task for _, task in room.told if task.state == "remove"]
    if not removals:
        wrong.append("`remove` was not told")
    elif person.state != "remove" and removals[0].came_from != person.state:
        wrong.append(f"deleted in {person.state}, it went on to {removals[0].came_from}")
    found = room.library()
    for part in ("music", "artwork"):
        extra = found[part].items() - lane.wanted[part].items()
        wrong += [f"{part} holds {item}" for item in extra]
    for path in room.settings.music.rglob("*"):
        if path.is_dir() and not any(path.iterdir()):
            wrong.append(f"an empty directory stays: {path}")
    songs = found["database"]["songs"]
    if songs not in (lane.before["database"]["songs"], lane.wanted["database"]["songs"]):
        wrong.append(f"the database holds half of it: {songs}")
    return wrong


def delete_one(at: int, lane: Lane) -> list[str]:
    """Of many, one goes to `remove`, and the others reach their ends."""
    victim = sorted(FILES)[at % MANY]
    person = Person(room := lane.room(), at, lambda self, file, data: file.unlink(), victim)
    room.shared = True
    lane.run(room, person.effects, again=False)
    wrong = [f"left over: {name}" for name in room.leftovers()]
    if person.file is not None and ("remove", victim) not in {
        (t.state, t.id) for _, t in room.told
    }:
        wrong.append("`remove` was not told")
    removed = {task.id for _, task in room.told if task.state == "remove" and not _is_done(task)}
    wrong += [f"{task_id} was removed, too" for task_id in removed - {victim}]
    found, its_own = room.library()["music"], target(victim)
    if found.pop(its_own, None) not in (None, lane.wanted["music"][its_own]):
        wrong.append(f"{its_own} is not whole")
    others = {path: one for path, one in lane.wanted["music"].items() if path != its_own}
    return wrong + differences({"music": others}, {"music": found})


def _is_done(task: MusicTask) -> bool:
    return any(entry.target == "readyforimport" for entry in task.history)


def edit(at: int, lane: Lane) -> list[str]:
    """What a person notes in the file survives, and the task reaches its end."""

    def note(self: Person, file: Path, data: bytes) -> None:
        record = json.loads(data)
        record["annotations"] |= HAND
        self.write(file, json.dumps(record).encode())

    person = Person(room := lane.room(), at, note)
    lane.run(room, person.effects)
    wrong = lane.wrong(room)
    if person.file is not None and person.state != "remove":
        last = room.told[-1][1]
        if not HAND.items() <= last.annotations.items():
            wrong.append(f"the last record, in {last.state}, has {last.annotations}")
    return wrong


def garbage(at: int, lane: Lane) -> list[str]:
    """A broken file is left as it is; mended, the task goes on."""
    bad, wrong = b'{"id": broken', list[str]()
    person = Person(room := lane.room(), at, lambda self, file, data: self.write(file, bad))

    def mend() -> None:
        file, person.file = person.file, None
        if file is None or person.state == "remove":
            return
        room.pass_time()  # what could not be saved is tried again, and once more in vain
        if not file.exists() or file.read_bytes() != bad:
            wrong.append("the broken file was changed")
            return
        person.write(file, person.before)

    lane.run(room, person.effects, rested=mend)
    return wrong + lane.wrong(room)


# -- another thread -------------------------------------------------------------------------------


class _TellingLock:
    """A lock that says when somebody has to wait for it."""

    def __init__(self, blocked: threading.Event) -> None:
        self._lock, self._blocked = threading.Lock(), blocked

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            self._blocked.set()
            self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()


@define
class Rival:
    """Another client's thread that acts in the middle of an effect of the first one's."""

    room: Room
    at: int
    act: Callable[[MusicTask], Callable[[], object] | None]
    effects: Struck = Factory(lambda self: Struck(self.strike), takes_self=True)
    blocked: threading.Event = Factory(threading.Event)
    thread: threading.Thread | None = None
    noted: bool = False
    wrong: list[str] = Factory(list)

    def rested(self) -> None:
        if self.thread is not None:
            self.thread.join(PATIENCE_S)
            self.room.rest()

    def strike(self, number: int, name: str) -> None:
        tasks = self.room.engine.tasks() if number == self.at and self.room.is_open else []
        if tasks:
            self.thread = threading.Thread(target=self._run, args=(tasks[0],))
            self.thread.start()
            if not self.blocked.wait(PATIENCE_S):
                self.wrong.append("the rival hangs")

    def _run(self, task: MusicTask) -> None:
        self.effects.others.add(threading.get_ident())
        try:
            # What the first client does or will do, too; or something of its own.
            call = self.act(task) if self.at % 2 else None
            if call is not None:
                call()
            else:
                self.room.engine.annotate(task.id, {"rival": self.at})
                self.noted = True
        except (ChunkRefused, IllegalTransition, TaskNotFound, UploadRefused):
            pass
        except Exception:
            self.wrong.append(traceback.format_exc())
        finally:
            self.blocked.set()


def rival(at: int, lane: Lane) -> list[str]:
    """Another client does the same, or notes something: that counts, and the end is right."""
    room = lane.room()
    room.shared = True
    one = Rival(room, at, partial(lane.way.act, room))
    lock: Any = partial(_TellingLock, one.blocked)
    telling = patch("musictasks.engine.table.Entry", lambda *a, **k: Entry(*a, **k, lock=lock()))
    with telling:
        lane.run(room, one.effects, rested=one.rested)
    if one.noted and room.told[-1][1].annotations.get("rival") != at:
        one.wrong.append(f"noted, but lost: {room.told[-1][1].annotations}")
    return one.wrong + lane.wrong(room)
