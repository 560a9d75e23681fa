"""A state machine for hypothesis over the real engine: clients, handlers, crashes, users."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from attrs import evolve
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ..engine import Engine, Settings
from ..errors import IllegalTransition, MusicTasksError, TaskNotFound
from ..library import sample_album
from ..statemachine import (
    MUSIC,
    Handler,
    Lifecycle,
    Outcome,
    Role,
    Task,
    Work,
    fail,
    reject,
    succeed,
)
from .stepping import SteppedEngine

_ALBUM = "Artist/2020 - Album"
#: What clients upload; few, so that the same bytes meet.
_CHUNKS = ("all", "all", "one", "wrong", "long", "empty", "late")
_CONTENTS = (b"one", b"two!", b"three")
#: Events that only the engine may fire.
_ENGINES = frozenset(
    ("begin", "succeed", "fail", "reject", "recover", "forget", "receive_chunk", "complete_upload")
)
#: Events for which the engine has a call of its own, with arguments that `send` does not check.
_CALLS = frozenset(
    ("request_upload", "request_music_import", "request_artwork_import", "request_scan")
) | {"request_integration", "remove", "retry"}


class LifecycleStateMachine(RuleBasedStateMachine):
    """Does to an engine whatever clients, handlers, users and crashes can do, in any order.

    Subclass it with a lifecycle and handlers of your own; `TestCase` is what a test runner takes:

        class MyMachine(LifecycleStateMachine):
            lifecycle = mine
            handlers = {"transcoding": transcode}

        TestMine = MyMachine.TestCase

    Stages without a handler here are played: they succeed, fail, reject, raise, or give nonsense.
    The choice of tasks knows their states, so that it reaches the depths.
    """

    lifecycle: ClassVar[Lifecycle] = MUSIC
    handlers: ClassVar[Mapping[str, Handler]] = {}
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
        self.stepped = SteppedEngine(
            Settings.in_directory(self._directory, **options),
            self.lifecycle,
            {**played, **self.handlers},
        )
        self._outcome = "succeed"

    @initialize()
    def start(self) -> None:
        album = self.stepped.settings.music / _ALBUM
        album.mkdir(parents=True)
        song = next(path for path in sorted(sample_album().iterdir()) if path.suffix == ".mp3")
        shutil.copy(song, album / "01 Song.mp3")
        self.stepped.start()

    @property
    def edges(self) -> set[tuple[str, str, str]]:
        """The changes of state that were told so far: event, from, to."""
        records = [record for _, record, _ in self.stepped.told if record is not None]
        return {(e.event, e.source, e.target) for record in records for e in record.history}

    @property
    def engine(self) -> Engine:
        return self.stepped.engine

    def teardown(self) -> None:
        try:
            if hasattr(self.stepped, "engine"):
                self._end()
        finally:
            shutil.rmtree(self._directory)

    # -- clients ----------------------------------------------------------------------------

    @rule(data=st.sampled_from(_CONTENTS), kind=st.sampled_from(["albumfile", "artwork"]))
    def begin_upload(self, data: bytes, kind: str) -> None:
        self._try(
            lambda: self.engine.begin_upload(
                content_type=kind,
                file_size=len(data),
                checksum=hashlib.sha1(data).hexdigest(),
                source_filename="x.pdf",
            )
        )

    @precondition(lambda self: self._in("waitforchunk"))
    @rule(
        draw=st.data(), how=st.sampled_from(["all", "all", "one", "wrong", "long", "empty", "late"])
    )
    def send_chunk(self, draw: st.DataObject, how: str) -> None:
        task = draw.draw(st.sampled_from(self._in("waitforchunk")))
        rest = self._rest(task)
        chunk = {
            "all": rest,
            "one": rest[:1],
            "wrong": b"?" * len(rest),
            "long": rest + b"!",
            "empty": b"",
        }.get(how, rest)
        offset = 99 if how == "late" else None
        self._try(lambda: self.engine.receive_chunk(task.id, chunk, offset=offset))

    @precondition(lambda self: self._in("readyforintegration"))
    @rule(draw=st.data(), flags=st.tuples(st.booleans(), st.booleans()))
    def integrate(self, draw: st.DataObject, flags: tuple[bool, bool]) -> None:
        task = draw.draw(st.sampled_from(self._in("readyforintegration")))
        self._integrate(task, flags)

    @rule(what=st.sampled_from(["album", "album with artwork", "artwork"]))
    def begin_import(self, what: str) -> None:
        if what == "artwork":
            source = f"{_ALBUM}/01 Song.mp3"
            self._try(lambda: self.engine.import_artwork(source=source, target=_ALBUM))
        else:
            artwork = what == "album with artwork"
            self._try(lambda: self.engine.import_music("album", _ALBUM, with_artwork=artwork))

    @precondition(lambda self: self._tasks())
    @rule(draw=st.data(), steps=st.integers(1, 4))
    def get_on(self, draw: st.DataObject, steps: int) -> None:
        """Leads a task some steps towards its end."""
        task_id = draw.draw(st.sampled_from(self._tasks())).id
        for _ in range(steps):
            task = self._now(task_id)
            if task is None:
                return
            if len(self.stepped.workers):
                self._outcome = "succeed"
                self.stepped.work()
            elif task.state == "waitforchunk":
                self._try(partial(self.engine.receive_chunk, task_id, self._rest(task)))
            elif task.state == "readyforintegration":
                self._integrate(task, (True, True))
            self.stepped.settle()

    @precondition(lambda self: self._able("retry"))
    @rule(draw=st.data())
    def retry(self, draw: st.DataObject) -> None:
        task = draw.draw(st.sampled_from(self._able("retry")))
        self._try(lambda: self.engine.retry(task.id))

    @precondition(lambda self: self.engine.tasks())
    @rule(draw=st.data())
    def remove(self, draw: st.DataObject) -> None:
        self.engine.remove(draw.draw(st.sampled_from(self.engine.tasks())).id)

    @precondition(lambda self: self.engine.tasks())
    @rule(draw=st.data(), value=st.integers(0, 9))
    def annotate(self, draw: st.DataObject, value: int) -> None:
        task = draw.draw(st.sampled_from(self.engine.tasks()))
        self._try(lambda: self.engine.annotate(task.id, {"value": value}))

    @precondition(lambda self: self.engine.tasks())
    @rule(draw=st.data())
    def send_any_event(self, draw: st.DataObject) -> None:
        """An event of the integrator's goes where it is declared, any other is illegal."""
        task = draw.draw(st.sampled_from(self.engine.tasks()))
        events = [event for event in self.lifecycle.events if event not in _CALLS]
        event = draw.draw(st.sampled_from([*events, "undeclared"]))
        if event not in _ENGINES and event in self.lifecycle.events_from(task.state):
            self._try(lambda: self.engine.send(task.id, event))
            return
        before = self._content(task) if self._file(task).exists() else None
        try:
            self.engine.send(task.id, event)
        except IllegalTransition:
            assert self.engine.get(task.id) == task
            assert before is None or self._content(task) == before
        else:
            raise AssertionError(f"{event!r} was taken in {task.state!r}")

    # -- handlers, users, crashes, time -----------------------------------------------------

    @precondition(lambda self: len(self.stepped.workers) > 0)
    @rule(
        outcome=st.sampled_from(
            ["succeed", "succeed", "succeed", "fail", "reject", "raise", "nonsense", "begin"]
        )
    )
    def let_a_worker_end(self, outcome: str) -> None:
        self._outcome = outcome
        self.stepped.work()

    @precondition(lambda self: self.engine.tasks())
    @rule(draw=st.data())
    def delete_a_task_file(self, draw: st.DataObject) -> None:
        task = draw.draw(st.sampled_from(self.engine.tasks()))
        self._file(task).unlink(missing_ok=True)
        self.stepped.look()
        current = self._now(task.id)
        assert current is None or current.state == self.lifecycle.removing

    @rule(how=st.sampled_from(["kill", "kill", "stop"]))
    def restart(self, how: str) -> None:
        if how == "kill":
            self.stepped.kill()
        else:
            self.stepped.close()
        self.stepped.start()

    @rule(seconds=st.sampled_from([1, 61, 3 * 24 * 3600]))
    def time_passes(self, seconds: int) -> None:
        self.stepped.clock.advance(seconds)

    # -- what must always hold --------------------------------------------------------------

    @invariant()
    def disk_says_what_memory_says(self) -> None:
        for task in self._settled():
            if task.state == self.lifecycle.removing and not self._file(task).exists():
                continue  # deleted once more while its worker still runs: it goes all the same
            found = self.engine._tasks.store.load(task.id)[1]
            if task.state == "waitforchunk":
                found = evolve(found, offset=task.offset)
            assert found == task, f"on disk {found}, in memory {task}"

    @invariant()
    def every_history_is_a_walk(self) -> None:
        for task in self._settled():
            state = task.history[0].source
            for entry in task.history:
                assert entry.source == state, f"{entry} does not begin at {state!r}"
                targets = [e.target for e in self.lifecycle.edges_from(state, entry.event)]
                assert entry.target in targets, f"{entry} is no edge"
                state = entry.target
            assert state == task.state

    @invariant()
    def nobody_is_stuck(self) -> None:
        runner = self.engine._runner if hasattr(self.stepped, "engine") else None
        for task in self._settled():
            entry = self.engine._tasks.entries[task.id]
            role = self.lifecycle.role(task.state)
            assert runner is not None
            if role is Role.QUEUED:
                queued = any(one is entry for one, _ in runner._ready)
                assert queued or entry.work is not None, f"{task.id} is in no queue"
            elif role is Role.WORKING:
                assert entry.work is not None, f"nobody works on {task.id}"
            elif role is Role.REMOVING:
                assert entry.work is not None, f"{task.id} is not being removed"
            else:
                assert role in {Role.WAITING, Role.FINISHED, Role.FAILED}, task.state

    # -- helpers ----------------------------------------------------------------------------

    def _end(self) -> None:
        """Removes every task: then nothing of them is left."""
        self._outcome = "succeed"
        self.stepped.settle()
        for task in self.engine.tasks():
            self.engine.remove(task.id)
        self.stepped.settle()
        while len(self.stepped.workers):
            self.stepped.work()
        settings = self.stepped.settings
        left = [*settings.tasks.iterdir(), *settings.uploads.iterdir(), *self.engine.tasks()]
        temporary = list(settings.music.rglob(".*"))
        self.stepped.kill()
        assert not left, f"left behind: {left}"
        assert not temporary, f"left behind: {temporary}"

    def _play(self, task: Task, work: Work) -> Outcome:
        if self._outcome == "raise":
            raise RuntimeError("a handler that raises")
        outcomes = {"fail": fail("played"), "reject": reject("played"), "begin": Outcome("begin")}
        if self._outcome == "nonsense":
            return None  # pyright: ignore[reportReturnType]
        return outcomes.get(self._outcome, succeed(annotations={"by": task.state}))

    @staticmethod
    def _rest(task: Task) -> bytes:
        """What is still to be sent of an upload."""
        digests = {hashlib.sha1(data).hexdigest(): data for data in _CONTENTS}
        return digests[str(task.source_checksum)][task.offset or 0 :]

    def _integrate(self, task: Task, flags: tuple[bool, bool]) -> None:
        target = _ALBUM if task.content_type == "artwork" else f"{_ALBUM}/{task.id}.pdf"
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

    def _try(self, call: Callable[[], object]) -> None:
        """A call that may be refused, with an error of ours and no other."""
        with suppress(MusicTasksError):
            call()

    def _file(self, task: Task) -> Path:
        return self.stepped.settings.tasks / f"{task.id}.json"

    def _content(self, task: Task) -> bytes:
        return self._file(task).read_bytes()

    def _now(self, task_id: str) -> Task | None:
        try:
            return self.engine.get(task_id)
        except TaskNotFound:
            return None
