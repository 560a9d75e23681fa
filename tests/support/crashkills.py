"""Kills: the process ends at one effect, and the next one goes on with what is there."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from attrs import evolve
from crashkit import Room, Struck, in_child, tree
from crashruns import Lane, Remains, Told
from musictasks.files import using

_KILLED = 77


def kill(at: int, lane: Lane) -> list[str]:
    """The process is killed at one effect; another one goes on."""
    return _after_kill(at, lane, _goes_on_after)


def _goes_on_after(lane: Lane, told: Told) -> list[str]:
    room = lane.reopened()
    return lane.half(room) + _not_on_disk(room, told) + _goes_on(lane, lane.reopened())


def kill_twice(at: int, lane: Lane) -> list[str]:
    """The process that goes on is killed, too; the third one ends it."""
    remains = _remains(at, lane)
    if isinstance(remains, str):
        return [remains]
    _put_back(remains, lane)
    second = 1 + (at * 7) % max(len(lane.calls) - at, 8)
    told_then = _really_killed(lane, room := lane.reopened(), second, may_end=True)
    if isinstance(told_then, str):
        return [told_then]
    return lane.half(room) + _goes_on(lane, lane.reopened())


def kill_and_remove(at: int, lane: Lane) -> list[str]:
    """The process is killed at one effect; the next does not try it again, and the task goes."""
    return _after_kill(at, lane, _removed_after)


def _removed_after(lane: Lane, told: Told) -> list[str]:
    room = lane.reopened()
    # As after the last of more attempts: a stage that was at work has failed.
    room.settings = evolve(room.settings, attempts=1)
    effects = Struck()
    effects.before = room.before
    with using(effects):
        room.open()
        room.at_once([partial(room.engine.remove, task.id) for task in room.engine.tasks()])
        room.close()
    wrong = [f"left over: {name}" for name in room.leftovers()] + lane.half(room)
    found = room.library()
    for part in ("music", "artwork"):
        files = {(name, digest) for name, (_, digest) in found[part].items() if digest}
        wanted = {(name, digest) for name, (_, digest) in lane.wanted[part].items()}
        wrong += [f"{part} holds {name}" for name, _ in files - wanted]
    return wrong


def _after_kill(at: int, lane: Lane, next_run: Callable[[Lane, Told], list[str]]) -> list[str]:
    """What is wrong after a kill and the next run: asked once of what several kills leave."""
    remains = _remains(at, lane)
    if isinstance(remains, str):
        return [remains]
    if remains.wrong is None:
        _put_back(remains, lane)
        remains.wrong = next_run(lane, remains.told)
    return remains.wrong


def _remains(at: int, lane: Lane) -> Remains | str:
    """What a kill before this effect leaves; or what went wrong with killing."""
    if not lane.remains and (wrong := _gather_remains(lane, at)):
        return wrong
    return lane.remains.pop(at)


def _put_back(remains: Remains, lane: Lane) -> None:
    """The library is as the killed process left it."""
    shutil.rmtree(lane.root)
    if any(other is remains for other in lane.remains.values()):
        _copy_as_it_is(remains.library, lane.root)
    else:
        remains.library.rename(lane.root)


def _gather_remains(lane: Lane, first: int) -> str | None:
    """One run, of which what is there before an effect is kept: the same that a kill leaves.

    So not each kill needs a run of its own. Returns what a real one leaves, if it is not the same.
    """
    room = lane.room()
    last: Remains | None = None

    def keep(number: int, name: str) -> None:
        nonlocal last
        if number < first or number not in lane.struck:
            return
        told, exactly = _told(room), _exactly(lane.root)
        if last is None or (told, exactly) != (last.told, last.exactly):
            copy = lane.root.with_name(f"{lane.root.name}-{number}")
            _copy_as_it_is(lane.root, copy)
            last = Remains(copy, told, exactly)
        lane.remains[number] = last

    lane.run(room, Struck(keep))
    middle = sorted(lane.remains)[len(lane.remains) // 2]
    told = _really_killed(lane, lane.room(), middle)
    if isinstance(told, str):
        return told
    real, kept = Remains(lane.root, told).shape(), lane.remains[middle].shape()
    return None if real == kept else f"a kill before {middle} leaves {real}, and not {kept}"


def _exactly(library: Path) -> dict[str, tuple[object, ...]]:
    """By path all that a process can see: mode and hash, which file it is, and when it changed."""
    found = dict[str, tuple[object, ...]]()
    for name, seen in tree(library).items():
        status = (library / name).stat()
        found[name] = (*seen, status.st_ino, status.st_mtime_ns)
    return found


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
