"""What one event costs: in memory, in files, and durable, each beside its bare floor."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count, cycle
from pathlib import Path
from statistics import median
from typing import Any, Literal, cast

import transitions
from attrs import define
from figures import Figure, interleaved, ratio
from musictasks.files.effects import Effects
from musictasks.music import MusicEngine, Settings, open_library
from musictasks.statemachine import MUSIC, Edge, MusicTask, Role, StateSpec, Task
from transitions.core import EventData


def _is_album_file(task: MusicTask, payload: Mapping[str, Any]) -> bool:
    return task.content_type == "albumfile"


#: Two events that can be sent in turn for ever; every second one has a guard.
LIFECYCLE = (
    MUSIC.with_state(StateSpec("paused", "upload", Role.WAITING))
    .with_edge(
        Edge(event="pause", source="waitforchunk", target="paused", guard=_is_album_file),
    )
    .with_edge(Edge(event="resume", source="paused", target="waitforchunk"))
)


#: An album file meets so many events on its way from `waitforchunk` to `remove`.
EVENTS_OF_A_TASK = 8
DURABLE_ROUNDS = 100


def measure(directory: Path) -> Iterator[Figure]:
    yield from _beside_a_trigger(directory)
    yield from _beside_the_disk(directory)


def _beside_a_trigger(directory: Path) -> Iterator[Figure]:
    """With a history as long as it gets: the most that a record costs."""
    with _engine(directory / "memory", "none") as memory, _engine(directory / "files") as files:
        _keep_in_memory(memory)
        in_memory_us, bare_us = interleaved(301, 100, _events(memory), _bare_events())
        in_files_us, bare_too_us = interleaved(101, 20, _events(files), _bare_events())
    yield Figure("a bare trigger of transitions", median(bare_us), "µs")
    yield Figure("an event, its store in memory", median(in_memory_us), "µs")
    yield Figure("  times the trigger", ratio(in_memory_us, bare_us), "x", 2)
    yield Figure("an event, in files, no fsync", median(in_files_us), "µs")
    yield Figure("  times the trigger", ratio(in_files_us, bare_too_us), "x")


def _beside_the_disk(directory: Path) -> Iterator[Figure]:
    with _engine(directory / "durable", "fsync", DURABLE_ROUNDS + 2) as engine:
        events = _events(engine)
        events(EVENTS_OF_A_TASK // 2)
        (half_way,) = (task for task in engine.tasks() if len(task.history) > 1)
        size_bytes = (engine.settings.tasks / f"{half_way.id}.json").stat().st_size
        names = [task.id for task in engine.tasks()]
        with _bare_saves(directory / "bare", names, size_bytes) as saves:
            durable_us, bare_us = interleaved(DURABLE_ROUNDS, EVENTS_OF_A_TASK, events, saves)
    note = f"{size_bytes:,} bytes"
    yield Figure("a bare durable exchange", median(bare_us), "µs", note=note)
    yield Figure("an event, in files, fsync", median(durable_us), "µs", note=note)
    yield Figure("  times the exchange", ratio(durable_us, bare_us), "x", 1.2)


@contextmanager
def _engine(
    directory: Path, durability: Literal["none", "fsync"] = "none", tasks: int = 1
) -> Iterator[MusicEngine]:
    """An engine that is not started: what a state starts waits, and runs beside no event."""
    settings = Settings.in_directory(directory, durability=durability)
    engine = open_library(settings, lifecycle=LIFECYCLE)
    try:
        for number in range(tasks):
            task = engine.begin_upload(
                content_type="albumfile",
                mime_type="audio/flac",
                file_size=3,
                checksum=f"{number:040x}",
                source_filename="01 Song.flac",
            )
            engine.annotate(task.id, {"artist": "Artist", "album": "Album", "songnumber": 1})
        yield engine
    finally:
        engine.close()


def _events(engine: MusicEngine) -> Callable[[int], None]:
    """Sends so many events to a task; each call takes the next task."""
    task_ids = cycle([task.id for task in engine.tasks()])

    def events(number: int) -> None:
        task_id = next(task_ids)
        for _ in range(number // 2):
            engine.send(task_id, "pause")
            engine.send(task_id, "resume")

    return events


@define
class _Kept:
    """In the place of a task's file: a store that costs nothing."""

    record: Task
    modified_s: float | None = None

    def save(self, record: Task) -> None:
        self.record = record


def _keep_in_memory(engine: MusicEngine) -> None:
    (entry,) = engine._table.entries.values()
    entry.file = _Kept(entry.record)  # pyright: ignore[reportAttributeAccessIssue]


@define
class _Model:
    state: str = "waitforchunk"
    content_type: str = "albumfile"


def _nothing(event: EventData) -> None:
    pass


def _bare_guard(event: EventData) -> bool:
    return cast(_Model, event.model).content_type == "albumfile"


def _bare_events() -> Callable[[int], None]:
    """The same states and edges on `transitions` alone."""
    machine = transitions.Machine(
        model=None,
        states=[transitions.State(state.name, on_enter=[_nothing]) for state in LIFECYCLE.states],
        initial=None,  # pyright: ignore[reportArgumentType]
        auto_transitions=False,
        send_event=True,
        before_state_change=_nothing,
    )
    for edge in LIFECYCLE.edges:
        machine.add_transition(
            edge.event,
            edge.source,
            edge.target,
            conditions=[_bare_guard] if edge.guard else None,
        )
    model, pause, resume = _Model(), machine.events["pause"], machine.events["resume"]

    def events(number: int) -> None:
        for _ in range(number // 2):
            pause.trigger(model)
            resume.trigger(model)

    return events


@contextmanager
def _bare_saves(
    directory: Path, names: list[str], size_bytes: int
) -> Iterator[Callable[[int], None]]:
    """Temporary + fsync + exchange + fsync(directory), by bare system calls.

    Among as many files as there are tasks, and one after the other like these: what a directory
    costs to sync depends on its size.
    """
    directory.mkdir()
    for name in names:
        (directory / f"{name}.json").write_bytes(bytes(size_bytes))
    data, numbers, exchange = b"x" * size_bytes, count(), Effects().exchange
    dir_fd, turns = os.open(directory, os.O_RDONLY | os.O_DIRECTORY), cycle(names)

    def saves(number: int) -> None:
        name = next(turns)
        for _ in range(number):
            temporary = f".{name}.{next(numbers)}.tmp"
            fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o664, dir_fd=dir_fd)
            os.pwrite(fd, data, 0)
            os.fsync(fd)
            os.close(fd)
            exchange(temporary, f"{name}.json", dir_fd=dir_fd)
            os.fsync(dir_fd)
            os.unlink(temporary, dir_fd=dir_fd)

    try:
        yield saves
    finally:
        os.close(dir_fd)
