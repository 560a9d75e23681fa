"""What the rules of the state machine act on: an engine, its files, and what is known of both."""

from __future__ import annotations

import hashlib
import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, ClassVar

from attrs import evolve
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize

from ..engine import Engine, EngineSettings, open_engine, read_tasks
from ..errors import MusicTasksError, TaskNotFound
from ..persistence import make_converter
from ..statemachine import (
    Edge,
    Handler,
    HistoryEntry,
    Lifecycle,
    Outcome,
    Role,
    Sender,
    Task,
    UploadTask,
    Work,
    fail,
    reject,
    succeed,
)
from .bench import walk_to
from .faults import FaultInjector
from .stepping import SteppedEngine
from .strategies import fields_of


class World(RuleBasedStateMachine):
    """An engine in a temporary directory, with played handlers; the rules are `stateful`'s.

    What an engine of your own does in its own way, its machine says by overriding `opener`,
    `settings_in`, `stored_tasks`, `prepare`, `fields`, `upload`, `receive`, `lead` and `leftovers`.
    """

    #: What is under test; a subclass sets it.
    lifecycle: ClassVar[Lifecycle]
    handlers: ClassVar[Mapping[str, Handler]] = {}
    #: What clients upload; few, so that the same bytes meet, and each of another length.
    contents: ClassVar[Sequence[bytes]] = (b"one", b"two!", b"three")
    #: Settings of the engine, by name.
    settings: ClassVar[Mapping[str, Any]] = {}
    #: Events of clients for which the engine has calls of its own, with arguments that neither
    #: `create` nor `send` checks: rules of yours do what they do.
    calls: ClassVar[frozenset[str]] = frozenset()
    #: What is called what a start removes from the uploads directory where it is of no task, with
    #: a number for `{}`; a directory ends with a slash.
    orphans: ClassVar[Sequence[str]] = ("orphan-{}/",)
    #: Opens the engine; takes the options of `open_engine`.
    opener: ClassVar[Callable[..., Engine[Any]]] = staticmethod(open_engine)

    def __init__(self) -> None:
        super().__init__()
        self._directory = Path(tempfile.mkdtemp(prefix="musictasks-stateful-"))
        options = {"durability": "none", "workers": 2, "stop_timeout_s": 0.0, **self.settings}
        played = {stage.name: self._play for stage in self.lifecycle.stages}
        chosen = self.settings_in(self._directory, **options)
        handlers = {**played, **self.handlers, **self.handlers_in(chosen)}
        self.stepped = SteppedEngine(chosen, self.lifecycle, handlers, opener=self.opener)
        self._outcome = "succeed"
        self._numbers = itertools.count()
        #: The files that do not load, as they were put there.
        self._damaged: dict[Path, bytes] = {}
        #: What lies in the uploads directory, and belongs to no task.
        self._orphans: set[Path] = set()
        #: By state: what an `on_enter` callback got, and how much was told before it listened.
        self._watched: dict[str, tuple[list[Task], int]] = {}
        self._faults = FaultInjector()
        self._exits = ExitStack()

    # -- to be overridden -------------------------------------------------------------------

    def settings_in(self, directory: Path, **options: Any) -> Any:
        """The engine's settings, with everything in this directory."""
        return EngineSettings(tasks=directory / "tasks", uploads=directory / "uploads", **options)

    def handlers_in(self, settings: Any) -> Mapping[str, Handler]:
        """Override it for handlers that need to know the directories; else give `handlers`."""
        return {}

    def stored_tasks(self) -> Iterable[Task]:
        """The tasks as their files say, without the engine."""
        return read_tasks(self.stepped.settings, self.lifecycle).tasks

    def prepare(self) -> None:
        """Makes what has to be there before the engine is opened."""

    def fields(self, draw: st.DataObject) -> dict[str, Any]:
        """Fields of a record, as a client gives them: any values of those that are yours."""
        base = UploadTask if issubclass(self.lifecycle.record, UploadTask) else Task
        return draw.draw(fields_of(self.lifecycle.record, base))

    def upload(self, data: bytes, *, announced: bool, **fields: Any) -> Task:
        """Begins an upload, with or without its SHA-1."""
        checksum = hashlib.sha1(data).hexdigest() if announced else None
        return self.stepped.uploads.begin(
            file_size=len(data), checksum=checksum, source_filename="x.pdf", **fields
        )

    def receive(self, task_id: str, chunk: bytes, offset: int | None = None) -> Task:
        """Sends a chunk of an upload."""
        return self.stepped.uploads.receive(task_id, chunk, offset=offset)

    def lead(self, draw: st.DataObject, task: Task) -> None:
        """Does what leads a task on that waits for its client."""
        if self.lifecycle.state(task.state).takes_chunks:
            self._try(lambda: self.receive(task.id, self._rest(task)))
        elif events := self._events_of_clients(task.state):
            self._try(lambda: self.engine.send(task.id, draw.draw(st.sampled_from(events))))

    def leftovers(self) -> Iterable[Path]:
        """What must not be there when all tasks are gone, besides what the engine's are."""
        return ()

    # -- what is known ----------------------------------------------------------------------

    @property
    def edges(self) -> set[tuple[str, str, str]]:
        """The changes of state that were told so far: event, from, to."""
        return self.stepped.taken

    @property
    def engine(self) -> Any:
        return self.stepped.engine

    @property
    def receiving(self) -> str | None:
        """The state that takes chunks; None where the lifecycle has none."""
        return next((state.name for state in self.lifecycle.states if state.takes_chunks), None)

    def first_events(self) -> list[str]:
        """The events by which `Engine.create` makes tasks."""
        found = {edge.event for edge in self.lifecycle.edges_from(self.lifecycle.initial)}
        return sorted(found - self.calls)

    def _events_of_clients(self, state: str) -> list[str]:
        """The events that lead on from a state, if a client sends them."""
        edges = self.lifecycle.edges_from(state)
        ours = {edge.event for edge in edges if edge.sender is Sender.CLIENT}
        return sorted(ours - self.calls - {"remove", "retry"})

    def _tasks(self) -> list[Any]:
        return self.engine.tasks() if hasattr(self.stepped, "engine") else []

    def _settled(self) -> list[Any]:
        """The tasks, after all has been done that the engine does by itself."""
        if hasattr(self.stepped, "engine"):
            self.stepped.settle()
        return self._tasks()

    def _in(self, state: str | None) -> list[Any]:
        return [task for task in self._tasks() if task.state == state]

    def _able(self, event: str) -> list[Any]:
        return [t for t in self._tasks() if event in self.lifecycle.events_from(t.state)]

    def _staying(self) -> list[Any]:
        return [task for task in self._tasks() if task.state != self.lifecycle.removing]

    def _now(self, task_id: str) -> Any:
        try:
            return self.engine.get(task_id)
        except TaskNotFound:
            return None

    def _state(self, task_id: str) -> str | None:
        task = self._now(task_id)
        return None if task is None else task.state

    def _file(self, task: Task) -> Path:
        return self.stepped.settings.tasks / f"{task.id}.json"

    def _content(self, task: Task) -> bytes | None:
        path = self._file(task)
        return path.read_bytes() if path.exists() else None

    def _own(self, task: Task) -> Path:
        """The task's own directory, whether it is there or not."""
        return self.stepped.settings.uploads / task.id

    def _rest(self, task: Any) -> bytes:
        """What is still to be sent of an upload."""
        announced = (task.source_checksum or "").lower()
        fitting = [
            data
            for data in self.contents
            if len(data) == task.file_size and announced in ("", hashlib.sha1(data).hexdigest())
        ]
        return fitting[0][task.offset or 0 :] if fitting else b"?"

    # -- beginning and end ------------------------------------------------------------------

    @initialize()
    def start(self) -> None:
        self._exits.enter_context(self._faults.active())
        self.prepare()
        self.stepped.start()

    def teardown(self) -> None:
        try:
            if hasattr(self.stepped, "engine"):
                self._end()
        finally:
            self._exits.close()
            shutil.rmtree(self._directory)

    def _end(self) -> None:
        """Lets all work end, then removes every task: nothing of them is left."""
        self._outcome = "succeed"
        for path in self._damaged:
            path.unlink()
        self._damaged = {}
        self.stepped.look()
        self._let_workers_end()
        roles = {task.id: self.lifecycle.role(task.state) for task in self.engine.tasks()}
        assert not {Role.QUEUED, Role.WORKING} & {*roles.values()}, f"not worked on: {roles}"
        for task in self.engine.tasks():
            self.engine.remove(task.id)
        self._let_workers_end()
        settings = self.stepped.settings
        files = {*settings.tasks.iterdir(), *settings.uploads.iterdir()} - self._orphans
        left = [*files - self._spare_files(), *self.engine.tasks(), *self.leftovers()]
        self.stepped.kill()
        self._heard_what_was_told()
        assert not left, f"left behind: {left}"

    def _spare_files(self) -> set[Path]:
        """What the engine keeps for the next saves."""
        return {
            self.stepped.settings.tasks / name for name in self.engine._table.store.spares.names
        }

    def _let_workers_end(self) -> None:
        self.stepped.settle()
        while len(self.stepped.workers):
            self.stepped.work()

    def _heard_what_was_told(self) -> None:
        """After the end of an engine: its callbacks got all there was to get, in order."""
        told = [(name, task and task.state, why) for name, task, why in self.stepped.told]
        heard = [(n, s["state"], s["message"]) for n, s in self.stepped.recorder.all]
        assert heard == told
        for state, (records, before) in self._watched.items():
            assert len(records) == self._entries(state) - before
            assert {record.state for record in records} <= {state}
        self._watched = {}

    def _entries(self, state: str) -> int:
        """How often `state` was entered since the start."""
        return self.stepped.entered.count(state)

    # -- what happens -----------------------------------------------------------------------

    def _play(self, task: Task, work: Work) -> Outcome:
        if self._outcome == "raise":
            raise RuntimeError("a handler that raises")
        outcomes = {"fail": fail("played"), "reject": reject("played"), "begin": Outcome("begin")}
        if self._outcome == "nonsense":
            return None  # pyright: ignore[reportReturnType]
        if self._outcome == "litter":
            (work.directory / "litter").write_text(task.state)
        return outcomes.get(self._outcome, succeed(annotations={"by": task.state}))

    def _try(self, call: Callable[[], object]) -> None:
        """A call that may be refused, with an error of ours and no other."""
        with suppress(MusicTasksError):
            call()

    def _put(self, draw: st.DataObject, state: str) -> Task:
        """A task file in this state, whose history leads there, and what is there of its upload."""
        last = draw.draw(st.sampled_from([e for e in self.lifecycle.edges if e.target == state]))
        record = self._record(draw, state, last)
        if state == self.receiving:
            data = draw.draw(st.sampled_from(self.contents))
            path = self._own(record) / "x.pdf"
            path.parent.mkdir()
            path.write_bytes(data[: draw.draw(st.integers(0, len(data)))])
            record = evolve(
                record,
                file_size=len(data),
                upload_path=f"{record.id}/x.pdf",
                source_checksum=hashlib.sha1(data).hexdigest(),
            )
        self._file(record).write_bytes(make_converter(self.lifecycle).dump(record))
        self.stepped.look()
        return record

    def _record(self, draw: st.DataObject, state: str, last: Edge) -> Any:
        walk = (*walk_to(self.lifecycle, last.source), last)
        working = self.lifecycle.role(state) is Role.WORKING
        return self.lifecycle.record(
            id=f"backup-{next(self._numbers)}",
            state=state,
            attempts=draw.draw(st.integers(1, 3)) if working else 0,
            history=tuple(HistoryEntry(1.0, e.event, e.source, str(e.target)) for e in walk),
            **self.fields(draw),
        )
