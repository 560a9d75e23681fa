"""Runs of one way: undisturbed, killed at an effect, or with an error at one."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from attrs import Factory, define
from crashkit import Room, Struck, descriptors, differences, fresh_copy, half, tree
from crashways import FirstStart, Way
from musictasks.engine.notifications import INTERNAL_ERROR
from musictasks.files import using

#: Who was told before a kill: task, state, keys of its annotations.
Told = list[tuple[str, str, list[str]]]
#: What each effect can be refused with; `short` takes half of the bytes, `full` refuses the rest.
_ERRORS = {
    "open": ("ENOSPC", "EMFILE"),
    "write": ("ENOSPC", "EIO", "short", "full"),
}
_OTHER_ERRORS = ("EIO", "ENOSPC")


@define(eq=False)
class Remains:
    """What a process leaves that is killed: the library, and what it had told."""

    library: Path
    told: Told
    #: As `_exactly` has it: where no effect changes anything, a kill after it leaves the same.
    exactly: dict[str, tuple[object, ...]] = Factory(dict)
    #: What was wrong after it, once that is known.
    wrong: list[str] | None = None

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
