"""What the rules of the state machine act on: an engine, its library, and what is known of both."""

from __future__ import annotations

import hashlib
import itertools
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize

from ..engine import Engine, Settings
from ..errors import MusicTasksError, TaskNotFound
from ..library import sample_album
from ..persistence import make_converter
from ..statemachine import (
    MUSIC,
    ContentType,
    Handler,
    HistoryEntry,
    Lifecycle,
    Outcome,
    Role,
    Task,
    Work,
    fail,
    reject,
    succeed,
)
from .bench import walk_to
from .faults import FaultInjector
from .stepping import SteppedEngine

ALBUM = "Artist/2020 - Album"
VIDEO = "Artist/2020 - Video.mp4"


class World(RuleBasedStateMachine):
    """An engine in a temporary library, with played handlers; the rules are `stateful`'s."""

    lifecycle: ClassVar[Lifecycle] = MUSIC
    handlers: ClassVar[Mapping[str, Handler]] = {}
    #: What clients upload; few, so that the same bytes meet.
    contents: ClassVar[Sequence[bytes]] = (b"one", b"two!", b"three")
    #: Settings of the engine, by name.
    settings: ClassVar[Mapping[str, Any]] = {}

    def __init__(self) -> None:
        super().__init__()
        self._directory = Path(tempfile.mkdtemp(prefix="musictasks-stateful-"))
        options = {
            "durability": "none",
            "workers": 2,
            "artwork_scales": (8,),
            "stop_timeout_s": 0.0,
            **self.settings,
        }
        played = {stage.name: self._play for stage in self.lifecycle.stages}
        chosen = Settings.in_directory(self._directory, **options)
        handlers = {**played, **self.handlers, **self.handlers_in(chosen)}
        self.stepped = SteppedEngine(chosen, self.lifecycle, handlers)
        self._outcome = "succeed"
        self._numbers = itertools.count()
        #: The files that do not load, as they were put there.
        self._damaged: dict[Path, bytes] = {}
        #: By state: what an `on_enter` callback got, and how much was told before it listened.
        self._watched: dict[str, tuple[list[Task], int]] = {}
        self._faults = FaultInjector()
        self._exits = ExitStack()

    def handlers_in(self, settings: Settings) -> Mapping[str, Handler]:
        """Override it for handlers that need to know the directories; else give `handlers`."""
        return {}

    @initialize()
    def start(self) -> None:
        self._exits.enter_context(self._faults.active())
        album = self.stepped.settings.music / ALBUM
        album.mkdir(parents=True)
        song = next(path for path in sorted(sample_album().iterdir()) if path.suffix == ".mp3")
        shutil.copy(song, album / "01 Song.mp3")
        # Played handlers do not look into it.
        (self.stepped.settings.music / VIDEO).write_bytes(b"a video")
        self.stepped.start()

    @property
    def edges(self) -> set[tuple[str, str, str]]:
        """The changes of state that were told so far: event, from, to."""
        return self.stepped.taken

    @property
    def engine(self) -> Engine:
        return self.stepped.engine

    def teardown(self) -> None:
        try:
            if hasattr(self.stepped, "engine"):
                self._end()
        finally:
            self._exits.close()
            shutil.rmtree(self._directory)

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
        left = [*settings.tasks.iterdir(), *settings.uploads.iterdir(), *self.engine.tasks()]
        temporary = list(settings.music.rglob(".*"))
        self.stepped.kill()
        self._heard_what_was_told()
        assert not left, f"left behind: {left}"
        assert not temporary, f"left behind: {temporary}"

    def _let_workers_end(self) -> None:
        self.stepped.settle()
        while len(self.stepped.workers):
            self.stepped.work()

    def _play(self, task: Task, work: Work) -> Outcome:
        if self._outcome == "raise":
            raise RuntimeError("a handler that raises")
        outcomes = {"fail": fail("played"), "reject": reject("played"), "begin": Outcome("begin")}
        if self._outcome == "nonsense":
            return None  # pyright: ignore[reportReturnType]
        return outcomes.get(self._outcome, succeed(annotations={"by": task.state}))

    def _upload(self, data: bytes, kind: str) -> Task:
        return self.engine.begin_upload(
            content_type=kind,
            file_size=len(data),
            checksum=hashlib.sha1(data).hexdigest(),
            source_filename="x.pdf",
        )

    def _rest(self, task: Task) -> bytes:
        """What is still to be sent of an upload."""
        digests = {hashlib.sha1(data).hexdigest(): data for data in self.contents}
        return digests.get(str(task.source_checksum), b"?")[task.offset or 0 :]

    def _integrate(self, task: Task, flags: tuple[bool, bool]) -> None:
        targets = {
            "artwork": ALBUM,
            "album": f"Artist/2020 - {task.id}",
            "video": f"Artist/2020 - {task.id}.mp4",
        }
        target = targets.get(task.content_type or "", f"{ALBUM}/{task.id}.pdf")
        options = {"then_import": flags[0], "then_artwork": flags[1]}
        self._try(lambda: self.engine.integrate(task.id, target, **options))

    def _tasks(self) -> list[Task]:
        return self.engine.tasks() if hasattr(self.stepped, "engine") else []

    def _settled(self) -> list[Task]:
        """The tasks, after all has been done that the engine does by itself."""
        if hasattr(self.stepped, "engine"):
            self.stepped.settle()
        return self._tasks()

    def _in(self, state: str) -> list[Task]:
        return [task for task in self._tasks() if task.state == state]

    def _able(self, event: str) -> list[Task]:
        return [t for t in self._tasks() if event in self.lifecycle.events_from(t.state)]

    def _staying(self) -> list[Task]:
        return [task for task in self._tasks() if task.state != self.lifecycle.removing]

    def _put(self, draw: st.DataObject, state: str) -> Task:
        """A task file in this state, whose history leads there."""
        last = draw.draw(st.sampled_from([e for e in self.lifecycle.edges if e.target == state]))
        walk = (*walk_to(self.lifecycle, last.source), last)
        working = self.lifecycle.role(state) is Role.WORKING
        record = Task(
            id=f"backup-{next(self._numbers)}",
            state=state,
            content_type=draw.draw(st.sampled_from(ContentType)).value,
            trigger_import=draw.draw(st.booleans()),
            include_artwork=draw.draw(st.booleans()),
            attempts=draw.draw(st.integers(1, 3)) if working else 0,
            history=tuple(HistoryEntry(1.0, e.event, e.source, str(e.target)) for e in walk),
        )
        self._file(record).write_bytes(make_converter(self.lifecycle).dump(record))
        self.stepped.look()
        return record

    def _state(self, task_id: str) -> str | None:
        task = self._now(task_id)
        return None if task is None else task.state

    def _try(self, call: Callable[[], object]) -> None:
        """A call that may be refused, with an error of ours and no other."""
        with suppress(MusicTasksError):
            call()

    def _file(self, task: Task) -> Path:
        return self.stepped.settings.tasks / f"{task.id}.json"

    def _content(self, task: Task) -> bytes | None:
        path = self._file(task)
        return path.read_bytes() if path.exists() else None

    def _now(self, task_id: str) -> Task | None:
        try:
            return self.engine.get(task_id)
        except TaskNotFound:
            return None
