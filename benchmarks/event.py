"""What one event costs: in memory, in files, and durable, each beside its bare floor."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any, Literal, cast

import transitions
from attrs import define
from figures import Figure, interleaved, ratio
from musictasks.engine import Engine, Settings, open_engine
from musictasks.files.effects import Effects
from musictasks.statemachine import MUSIC, Edge, Role, StateSpec, Task
from transitions.core import EventData

_TASK_ID = "cycled"


def _is_album_file(task: Task, payload: Mapping[str, Any]) -> bool:
    return task.content_type == "albumfile"


#: Two events that can be sent in turn for ever; every second one has a guard.
LIFECYCLE = (
    MUSIC.with_state(StateSpec("paused", "upload", Role.WAITING))
    .with_edge(
        Edge(event="pause", source="waitforchunk", target="paused", guard=_is_album_file),
    )
    .with_edge(Edge(event="resume", source="paused", target="waitforchunk"))
)


def measure(directory: Path) -> Iterator[Figure]:
    with ExitStack() as stack:

        def engine(name: str, durability: Literal["none", "fsync"]) -> Engine:
            return stack.enter_context(_engine(directory / name, durability))

        memory, files, durable = (
            engine("memory", "none"),
            engine("files", "none"),
            engine("durable", "fsync"),
        )
        _keep_in_memory(memory)
        yield from _beside_a_trigger(memory, files)
        yield from _beside_the_disk(durable, directory / "bare")


def _beside_a_trigger(memory: Engine, files: Engine) -> Iterator[Figure]:
    in_memory_us, bare_us = interleaved(31, 1000, _cycle(memory), _bare_cycle())
    in_files_us, bare_too_us = interleaved(31, 100, _cycle(files), _bare_cycle())
    yield Figure("a bare trigger of transitions", median(bare_us), "µs")
    yield Figure("an event, its store in memory", median(in_memory_us), "µs")
    yield Figure("  times the trigger", ratio(in_memory_us, bare_us), "x", 3)
    yield Figure("an event, in files, no fsync", median(in_files_us), "µs")
    yield Figure("  times the trigger", ratio(in_files_us, bare_too_us), "x")


def _beside_the_disk(durable: Engine, directory: Path) -> Iterator[Figure]:
    (task_file,) = durable.settings.tasks.glob("*.json")
    _cycle(durable)(100)  # the history is as long as it gets
    size_bytes = task_file.stat().st_size
    with _bare_saves(directory, size_bytes) as bare:
        durable_us, bare_us = interleaved(400, 2, _cycle(durable), bare)
    note = f"{size_bytes:,} bytes"
    yield Figure("a bare durable exchange", median(bare_us), "µs", note=note)
    yield Figure("an event, in files, fsync", median(durable_us), "µs", note=note)
    yield Figure("  times the exchange", ratio(durable_us, bare_us), "x", 1.25)


@contextmanager
def _engine(directory: Path, durability: Literal["none", "fsync"]) -> Iterator[Engine]:
    """An engine with one task.

    Not started: what a state starts waits in the queue, and does not run beside the events.
    """
    settings = Settings.in_directory(directory, durability=durability)
    engine = open_engine(settings, lifecycle=LIFECYCLE)
    try:
        engine.begin_upload(
            content_type="albumfile",
            mime_type="audio/flac",
            file_size=3,
            checksum="a" * 40,
            source_filename="01 Song.flac",
            task_id=_TASK_ID,
        )
        engine.annotate(_TASK_ID, {"artist": "Artist", "album": "Album", "songnumber": 1})
        yield engine
    finally:
        engine.close()


def _cycle(engine: Engine) -> Callable[[int], None]:
    def events(number: int) -> None:
        for _ in range(number // 2):
            engine.send(_TASK_ID, "pause")
            engine.send(_TASK_ID, "resume")

    return events


@define
class _Kept:
    """In the place of a task's file: a store that costs nothing."""

    record: Task
    modified_s: float | None = None

    def save(self, record: Task) -> None:
        self.record = record


def _keep_in_memory(engine: Engine) -> None:
    entry = engine._tasks.entries[_TASK_ID]
    entry.file = _Kept(entry.record)  # pyright: ignore[reportAttributeAccessIssue]


@define
class _Model:
    state: str = "waitforchunk"
    content_type: str = "albumfile"


def _nothing(event: EventData) -> None:
    pass


def _bare_guard(event: EventData) -> bool:
    return cast(_Model, event.model).content_type == "albumfile"


def _bare_cycle() -> Callable[[int], None]:
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
def _bare_saves(directory: Path, size_bytes: int) -> Iterator[Callable[[int], None]]:
    """Temporary + fsync + exchange + fsync(directory), by bare system calls."""
    directory.mkdir()
    (directory / "task.json").write_bytes(bytes(size_bytes))
    data, numbers, exchange = b"x" * size_bytes, count(), Effects().exchange
    dir_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)

    def saves(number: int) -> None:
        for _ in range(number):
            temporary = f".task.{next(numbers)}.tmp"
            fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o664, dir_fd=dir_fd)
            os.pwrite(fd, data, 0)
            os.fsync(fd)
            os.close(fd)
            exchange(temporary, "task.json", dir_fd=dir_fd)
            os.fsync(dir_fd)
            os.unlink(temporary, dir_fd=dir_fd)

    try:
        yield saves
    finally:
        os.close(dir_fd)
