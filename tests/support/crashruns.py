"""Runs of one way: undisturbed, killed at an effect, or with an error at one."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from attrs import Factory, define, evolve
from crashkit import Room, Struck, descriptors, differences, fresh_copy, half, in_child
from crashways import FirstStart, Way
from musictasks.engine.notifications import INTERNAL_ERROR
from musictasks.files import using

_KILLED = 77
#: What each effect can be refused with; `short` takes half of the bytes, `full` refuses the rest.
_ERRORS = {
    "open": ("ENOSPC", "EMFILE"),
    "write": ("ENOSPC", "EIO", "short", "full"),
}
_OTHER_ERRORS = ("EIO", "ENOSPC")


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


def _killed(
    lane: Lane, room: Room, at: int, *, may_end: bool = False
) -> list[tuple[str, str, list[str]]] | str:
    """What was told before the kill; or what went wrong with killing."""
    said = lane.root.with_suffix(".told")
    said.unlink(missing_ok=True)

    def die(number: int, name: str) -> None:
        if number == at:
            records = [task for _, task in room.told]
            told = [(r.id, r.state, list(r.annotations.keys() - {"progress"})) for r in records]
            said.write_text(json.dumps(told))
            os._exit(_KILLED)

    status = in_child(lambda: lane.run(room, Struck(die)), said)
    if status == 0 and may_end:
        return []
    if status != _KILLED:
        return f"no kill, but status {status}: {said.exists() and said.read_text()}"
    return json.loads(said.read_text())


def _not_on_disk(room: Room, told: list[tuple[str, str, list[str]]]) -> list[str]:
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
