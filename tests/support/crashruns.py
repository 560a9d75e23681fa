"""Runs of one way: undisturbed, killed at an effect, or with an error at one."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from attrs import Factory, define, evolve, frozen
from crashkit import Room, Struck, descriptors, differences, fresh_copy, half, in_child, tree
from crashways import FirstStart, Way
from musictasks.engine.notifications import INTERNAL_ERROR
from musictasks.files import using

_KILLED = 77
#: Who was told before a kill: task, state, keys of its annotations.
Told = list[tuple[str, str, list[str]]]
#: What each effect can be refused with; `short` takes half of the bytes, `full` refuses the rest.
_ERRORS = {
    "open": ("ENOSPC", "EMFILE"),
    "write": ("ENOSPC", "EIO", "short", "full"),
}
_OTHER_ERRORS = ("EIO", "ENOSPC")


@frozen
class Remains:
    """What a process leaves that is killed: the library, and what it had told."""

    library: Path
    told: Told

    def shape(self) -> tuple[object, ...]:
        """What is the same of two runs; ids and the numbers in temporary names are not."""
        ids = {task_id for task_id, _, _ in self.told}
        ids |= {path.stem for path in (self.library / "data" / "tasks").glob("*.json")}
        some_id = re.compile("|".join(sorted(map(re.escape, ids))) or "$^")

        def alike(name: object) -> str:
            return re.sub(r"\.\d+\.\d+\.", ".", some_id.sub("ID", str(name)))

        names = (alike(path.relative_to(self.library)) for path in self.library.rglob("*"))
        states = [(state, noted) for _, state, noted in self.told]
        hashes = {alike(name): found for name, found in tree(self.library / "music").items()}
        return states, sorted(names), hashes


@define
class Lane:
    """One directory in which runs are made, one after the other."""

    way: Way
    template: Path
    root: Path
    #: The effects of the undisturbed run, the states it told of, and the library it made.
    calls: list[str] = Factory(list)
    states: set[str] = Factory(set)
    wanted: dict[str, Any] = Factory(dict)
    before: dict[str, Any] = Factory(dict)
    #: The calls at which there is a run.
    struck: set[int] = Factory(set)
    #: What kills leave at these calls.
    remains: dict[int, Remains] = Factory(dict)
    #: As `Room.groups`, of the undisturbed run.
    groups: list[int] = Factory(list)
    #: The effects that are fsyncs which several saves shared.
    shared: list[int] = Factory(list)

    def room(self) -> Room:
        fresh_copy(self.template, self.root)
        self.way.arrive(room := self.reopened())
        return room

    def reopened(self) -> Room:
        """What the next process finds."""
        return Room(self.root, self.way.turns)

    def run(self, room: Room, effects: Struck, **options: Any) -> None:
        """The whole way, from the opening of the engine to its close."""
        wrong, strike = list[str](), effects.strike

        def look(number: int, name: str) -> int | None:
            wrong.extend(self.half(room))
            return strike(number, name)

        effects.strike, effects.links, effects.before = look, self.way.links, room.before
        with using(effects):
            while not room.attempt(room.open):
                pass
            try:
                self.way.go(room, **options)
            finally:
                room.close()
        wrong += self.half(room)
        assert not wrong, wrong[0]

    def half(self, room: Room) -> list[str]:
        """What is at its place in part, of that which appears as a whole."""
        if not self.wanted:
            return []
        return half(room.settings.music, self.way.whole, self.wanted["music"])

    def undisturbed(self) -> None:
        room, effects = self.room(), Struck(lambda number, name: self._note_shared(room, number))
        if not isinstance(self.way, FirstStart):
            self.before = room.library()
        self.run(room, effects)
        self.calls, self.wanted, self.groups = effects.calls, room.library(), room.groups
        self.states = {task.state for _, task in room.told}
        assert not room.leftovers(), room.leftovers()
        assert isinstance(self.way, FirstStart) or self.wanted != self.before

    def _note_shared(self, room: Room, number: int) -> None:
        if room.sharing > 1:
            self.shared.append(number)

    def wrong(self, room: Room) -> list[str]:
        """What is not as after the undisturbed run."""
        left = [f"left over: {name}" for name in room.leftovers()]
        return differences(self.wanted, room.library()) + left


#: A method's runs: a name for each, and what makes it and says what was wrong.
Run = tuple[str, Callable[[Lane], list[str]]]


def at_each_call(calls: list[str], run: Callable[[int, Lane], list[str]]) -> Iterator[Run]:
    for at, name in enumerate(calls, 1):
        yield f"{at} {name}", partial(run, at)


# -- kill -----------------------------------------------------------------------------------------


def kill(at: int, lane: Lane) -> list[str]:
    """The process is killed at one effect; another one goes on."""
    room = lane.room()
    told = _killed(lane, room, at)
    if isinstance(told, str):
        return [told]
    wrong = lane.half(room) + _not_on_disk(room, told)
    return wrong + _goes_on(lane, lane.reopened())


def kill_twice(at: int, lane: Lane) -> list[str]:
    """The process that goes on is killed, too; the third one ends it."""
    room = lane.room()
    told = _killed(lane, room, at)
    second = 1 + (at * 7) % max(len(lane.calls) - at, 8)
    told_then = _killed(lane, lane.reopened(), second, may_end=True)
    if isinstance(told, str) or isinstance(told_then, str):
        return [str(told), str(told_then)]
    return lane.half(room) + _goes_on(lane, lane.reopened())


def kill_and_remove(at: int, lane: Lane) -> list[str]:
    """The process is killed at one effect; the next does not try it again, and the task goes."""
    room = lane.room()
    told = _killed(lane, room, at)
    wrong = [told] if isinstance(told, str) else []
    room = lane.reopened()
    # As after the last of more attempts: a stage that was at work has failed.
    room.settings = evolve(room.settings, attempts=1)
    effects = Struck()
    effects.before = room.before
    with using(effects):
        room.open()
        room.at_once([partial(room.engine.remove, task.id) for task in room.engine.tasks()])
        room.close()
    wrong += [f"left over: {name}" for name in room.leftovers()] + lane.half(room)
    found = room.library()
    for part in ("music", "artwork"):
        files = {(name, digest) for name, (_, digest) in found[part].items() if digest}
        wanted = {(name, digest) for name, (_, digest) in lane.wanted[part].items()}
        wrong += [f"{part} holds {name}" for name, _ in files - wanted]
    return wrong


def _killed(lane: Lane, room: Room, at: int, *, may_end: bool = False) -> Told | str:
    """What was told before the kill; or what went wrong with killing."""
    if may_end:
        return _really_killed(lane, room, at, may_end=True)
    if not lane.remains and (wrong := _gather_remains(lane, at)):
        return wrong
    remains = lane.remains.pop(at)
    shutil.rmtree(lane.root)
    remains.library.rename(lane.root)
    return remains.told


def _gather_remains(lane: Lane, first: int) -> str | None:
    """One run, of which what is there before an effect is kept: the same that a kill leaves.

    So not each kill needs a run of its own. Returns what a real one leaves, if it is not the same.
    """
    room = lane.room()

    def keep(number: int, name: str) -> None:
        if number >= first and number in lane.struck:
            copy = lane.root.with_name(f"{lane.root.name}-{number}")
            _copy_as_it_is(lane.root, copy)
            lane.remains[number] = Remains(copy, _told(room))

    lane.run(room, Struck(keep))
    middle = sorted(lane.remains)[len(lane.remains) // 2]
    told = _really_killed(lane, lane.room(), middle)
    if isinstance(told, str):
        return told
    real, kept = Remains(lane.root, told).shape(), lane.remains[middle].shape()
    return None if real == kept else f"a kill before {middle} leaves {real}, and not {kept}"


def _copy_as_it_is(library: Path, copy: Path) -> None:
    """Two names of one file are two names of one file in the copy, too."""
    copies: dict[int, str] = {}

    def copy_file(source: str, target: str) -> str:
        first = copies.setdefault(Path(source).stat().st_ino, target)
        if first == target:
            return shutil.copy2(source, target)
        os.link(first, target)
        return target

    shutil.copytree(library, copy, copy_function=copy_file)


def _told(room: Room) -> Told:
    records = [task for _, task in room.told]
    return [(r.id, r.state, sorted(r.annotations.keys() - {"progress"})) for r in records]


def _really_killed(lane: Lane, room: Room, at: int, *, may_end: bool = False) -> Told | str:
    said = lane.root.with_suffix(".told")
    said.unlink(missing_ok=True)

    def die(number: int, name: str) -> None:
        if number == at:
            said.write_text(json.dumps(_told(room)))
            os._exit(_KILLED)

    status = in_child(lambda: lane.run(room, Struck(die)), said)
    if status == 0 and may_end:
        return []
    if status != _KILLED:
        return f"no kill, but status {status}: {said.exists() and said.read_text()}"
    return [tuple(one) for one in json.loads(said.read_text())]


def _not_on_disk(room: Room, told: Told) -> list[str]:
    """The states and annotations that a client was told of, and that the disk does not know."""
    if not room.settings.tasks.is_dir():
        return [f"told, but there are no tasks: {told}"] if told else []
    on_disk, wrong = room.records_on_disk(), []
    removed = {task_id for task_id, state, _ in told if state == "remove"}
    for task_id, state, noted in told:
        record = on_disk.get(task_id)
        if record is None:
            if task_id not in removed:
                wrong.append(f"told of {state}, but there is no task file")
        elif state not in {entry["to"] for entry in record["history"]}:
            wrong.append(f"told of {state}, but the disk has {record['state']}")
        elif not set(noted) <= set(record["annotations"]):
            wrong.append(f"told of {noted}, but the disk has {record['annotations']}")
    return wrong


def _goes_on(lane: Lane, room: Room) -> list[str]:
    ahead: list[str] = []
    lane.run(room, Struck(), rested=lambda: ahead.extend(room.ahead_of_disk()))
    raised = [f"raised: {error!r}" for error in room.raised]
    told = {task.state for _, task in room.told}
    detours = [f"went to {state}, as it need not" for state in told - lane.states]
    return raised + detours + ahead[:1] + lane.wrong(room)


# -- errors ---------------------------------------------------------------------------------------


def errors(calls: list[str]) -> Iterator[Run]:
    for at, name in enumerate(calls, 1):
        kinds = _ERRORS.get(name, _OTHER_ERRORS)
        # Turned by one each time, so that every second run is not always of the same kind.
        for kind in kinds[at % len(kinds) :] + kinds[: at % len(kinds)]:
            yield f"{at} {name} {kind}", partial(error, at, kind)


def error(at: int, kind: str, lane: Lane) -> list[str]:
    """One effect is refused, once; the client tries again, and so does the engine."""

    sharing = list[int]()

    def refuse(number: int, name: str) -> int | None:
        if kind in ("short", "full") and number == at:
            return 1
        if number == at + (kind == "full"):
            sharing.append(room.sharing)
            code = getattr(errno, "ENOSPC" if kind == "full" else kind)
            raise OSError(code, os.strerror(code))
        return None

    room, before, ahead = lane.room(), descriptors(), list[str]()
    lane.run(room, effects := Struck(refuse), rested=lambda: ahead.extend(room.ahead_of_disk()))
    leaked = descriptors() - before
    wrong = [f"left open: descriptor {fd}" for fd in leaked] + ahead[:1]
    if lane.way.turns is not None:
        wrong += _heard_by_others(room, sharing[0] if sharing else 0)
    found = lane.wrong(room)
    harmless = (".tmp", "tasks.owner.json", *lane.way.nobodys)
    struck = at - 1 + (kind == "full")
    swept = effects.calls[struck : struck + 1] == ["unlink"] or lane.way.nobodys
    if swept and all(line.endswith(harmless) for line in found):
        # What is nobody's and could not be removed stays until the next start.
        room.open()
        room.close()
        found = lane.wrong(room)
    return wrong + found


def _heard_by_others(room: Room, sharing: int) -> list[str]:
    """Of many, those alone hear of an error whose save has failed: as many as shared the fsync."""
    heard = len(room.raised) + sum(name == INTERNAL_ERROR for name, _ in room.told)
    if heard == sharing or (not sharing and heard <= 1):
        return []
    return [f"{heard} heard of an error of {sharing or 1}: {room.raised}"]
