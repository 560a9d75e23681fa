"""A state machine for hypothesis over the real engine: clients, handlers, crashes, users."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from attrs import evolve
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ..engine import Engine, Settings, read_tasks
from ..errors import IllegalTransition, MusicTasksError, TaskFailed, TaskNotFound
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
from .faults import FaultInjector, Killed
from .stepping import SteppedEngine

_ALBUM = "Artist/2020 - Album"
_CHUNKS = ("all", "all", "one", "wrong", "long", "empty", "late")
_OUTCOMES = ("succeed", "succeed", "succeed", "fail", "reject", "raise", "nonsense", "begin")
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

    Stages without a handler here are played: they succeed, fail, reject, raise, or give nonsense,
    and are as slow as it takes. The choice of what happens next knows the states of the tasks, so
    that it reaches the depths (`docs/testing.md` has the measurements).
    """

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
        album = self.stepped.settings.music / _ALBUM
        album.mkdir(parents=True)
        song = next(path for path in sorted(sample_album().iterdir()) if path.suffix == ".mp3")
        shutil.copy(song, album / "01 Song.mp3")
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

    # -- clients ----------------------------------------------------------------------------

    @rule(draw=st.data(), kind=st.sampled_from(["albumfile", "artwork"]))
    def begin_upload(self, draw: st.DataObject, kind: str) -> None:
        self._try(partial(self._upload, draw.draw(st.sampled_from(self.contents)), kind))

    @precondition(lambda self: self._in("waitforchunk"))
    @rule(draw=st.data(), how=st.sampled_from(_CHUNKS))
    def receive_chunk(self, draw: st.DataObject, how: str) -> None:
        task = draw.draw(st.sampled_from(self._in("waitforchunk")))
        rest = self._rest(task)
        chunk = {
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

    @rule()
    def scan(self) -> None:
        self._try(self.engine.scan)

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

    @precondition(lambda self: self._tasks())
    @rule(draw=st.data())
    def remove(self, draw: st.DataObject) -> None:
        self.engine.remove(draw.draw(st.sampled_from(self._tasks())).id)

    @precondition(lambda self: self._tasks())
    @rule(draw=st.data(), value=st.integers(0, 9))
    def annotate(self, draw: st.DataObject, value: int) -> None:
        task = draw.draw(st.sampled_from(self._tasks()))
        self._try(lambda: self.engine.annotate(task.id, {"value": value}))

    @precondition(lambda self: self._tasks())
    @rule(draw=st.data())
    def send_any_event(self, draw: st.DataObject) -> None:
        """An event of the integrator's goes where it is declared, any other is illegal."""
        task = draw.draw(st.sampled_from(self._tasks()))
        events = [event for event in self.lifecycle.events if event not in _CALLS]
        event = draw.draw(st.sampled_from([*events, "undeclared"]))
        if event not in _ENGINES and event in self.lifecycle.events_from(task.state):
            self._try(lambda: self.engine.send(task.id, event))
            return
        before = self._content(task)
        try:
            self.engine.send(task.id, event)
        except IllegalTransition:
            assert self.engine.get(task.id) == task
            assert self._content(task) == before
        else:
            raise AssertionError(f"{event!r} was taken in {task.state!r}")

    @precondition(lambda self: self._tasks())
    @rule(draw=st.data())
    def wait(self, draw: st.DataObject) -> None:
        """What `wait` gives is a record in a state that was asked for."""
        task = draw.draw(st.sampled_from(self._tasks()))
        states = draw.draw(st.sets(st.sampled_from([*self.lifecycle.storable]), min_size=1))
        with suppress(TaskFailed, TimeoutError):
            found = self.engine.wait(task.id, states, timeout=0)
            assert (found.id, found.state in states) == (task.id, True)

    @rule(draw=st.data())
    def on_enter(self, draw: st.DataObject) -> None:
        state = draw.draw(st.sampled_from(sorted(self.lifecycle.storable)))
        if state not in self._watched:
            heard: list[Task] = []
            self.stepped.settle()
            self._watched[state] = heard, self._entries(state)
            self.engine.on_enter(state, heard.append)

    # -- handlers ---------------------------------------------------------------------------

    @precondition(lambda self: len(self.stepped.workers) > 0)
    @rule(outcome=st.sampled_from(_OUTCOMES))
    def let_a_worker_end(self, outcome: str) -> None:
        self._outcome = outcome
        self.stepped.work()

    # -- users ------------------------------------------------------------------------------

    @precondition(lambda self: self._tasks())
    @rule(draw=st.data())
    def delete_a_task_file(self, draw: st.DataObject) -> None:
        task = draw.draw(st.sampled_from(self._tasks()))
        self._file(task).unlink(missing_ok=True)
        self.stepped.look()
        current = self._now(task.id)
        assert current is None or current.state == self.lifecycle.removing

    @precondition(lambda self: self._staying())
    @rule(draw=st.data(), value=st.integers(0, 9))
    def edit_a_task_file(self, draw: st.DataObject, value: int) -> None:
        """What a person notes in a file counts from the next save on; a state does not."""
        task = draw.draw(st.sampled_from(self._staying()))
        record = json.loads(self._file(task).read_bytes())
        record["annotations"]["hand"] = value
        record["state"] = draw.draw(st.sampled_from(sorted(self.lifecycle.storable)))
        self._file(task).write_text(json.dumps(record))
        after = self.engine.annotate(task.id, {"client": value})
        assert (after.state, after.history) == (task.state, task.history)
        assert after.annotations == task.annotations | {"hand": value, "client": value}

    @rule(draw=st.data())
    def put_a_task_file_there(self, draw: st.DataObject) -> None:
        """A backup, say, in any state: the engine takes it in and goes on with it."""
        self._put(draw, draw.draw(st.sampled_from(sorted(self.lifecycle.storable))))

    @rule(content=st.sampled_from([b"", b"{", b"[]", b'{"id": 1}', b"\xff"]))
    def put_a_damaged_file_there(self, content: bytes) -> None:
        path = self.stepped.settings.tasks / f"damaged-{next(self._numbers)}.json"
        path.write_bytes(content)
        self._damaged[path] = content
        self.stepped.look()

    # -- crashes and time -------------------------------------------------------------------

    @rule(how=st.sampled_from(["kill", "kill", "stop"]))
    def restart(self, how: str) -> None:
        if how == "kill":
            self.stepped.kill()
        else:
            self.stepped.close()
        self._heard_what_was_told()
        found = read_tasks(self.stepped.settings, self.lifecycle).tasks
        self.stepped.start()
        came = {(t.id, t.history[-1].event) for _, t, _ in self.stepped.told if t and t.history}
        for task in found:
            if self.lifecycle.role(task.state) is Role.WORKING:
                assert (task.id, "recover") in came, f"{task.id} was at work and did not recover"

    @rule(at=st.integers(1, 8), then=st.sampled_from(["work", "work", "upload", "remove"]))
    def crash_at_a_file_operation(self, at: int, then: str) -> None:
        """Something begins, and the process is killed in the middle of it."""
        self._faults.kill(at)
        self._outcome = "succeed"
        try:
            if then == "work" and len(self.stepped.workers):
                self.stepped.work()
            elif then == "remove" and self._tasks():
                self.engine.remove(self._tasks()[0].id)
            else:
                self._try(partial(self._upload, self.contents[0], "albumfile"))
            self.stepped.settle()
        except Killed:
            pass
        finally:
            self._faults.clear()
        self.restart("kill")

    @rule(draw=st.data())
    def take_an_edge(self, draw: st.DataObject) -> None:
        """Any declared edge: a task is found or put where it begins, and what takes it happens."""
        edges = [
            e for e in self.lifecycle.edges if e.target and e.source in self.lifecycle.storable
        ]
        edge = draw.draw(st.sampled_from(edges))
        there = self._in(edge.source)
        task = draw.draw(st.sampled_from(there)) if there else self._put(draw, edge.source)
        if edge.event in _OUTCOMES and self.lifecycle.role(edge.source) is Role.WORKING:
            self._outcome = edge.event
            while len(self.stepped.workers) and self._state(task.id) == edge.source:
                self.stepped.work()
        elif edge.event == "recover":
            self.restart("kill")
        elif edge.event == "remove":
            self._try(lambda: self.engine.remove(task.id))
        elif edge.event == "retry":
            self._try(lambda: self.engine.retry(task.id))
        elif edge.source == "readyforintegration":
            self._integrate(task, (False, False))
        else:
            self._try(lambda: self.engine.send(task.id, edge.event))

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
            if self.engine._tasks.wants_chunks(task):
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
        """Every task is at rest, queued, at work, or on its way out."""
        for task in self._settled():
            entry = self.engine._tasks.entries[task.id]
            role = self.lifecycle.role(task.state)
            if role is Role.QUEUED:
                queued = any(one is entry for one, _ in self.engine._runner._ready)
                assert queued or entry.work is not None, f"{task.id} is in no queue"
            elif role is Role.WORKING:
                assert entry.work is not None, f"nobody works on {task.id}"
                most = self.stepped.settings.attempts
                assert 1 <= task.attempts <= most, f"attempt {task.attempts} of {most}"
            elif role is Role.REMOVING:
                assert entry.work is not None, f"{task.id} is not being removed"
            else:
                assert role in {Role.WAITING, Role.FINISHED, Role.FAILED}, task.state

    @invariant()
    def damaged_files_are_left_alone(self) -> None:
        for path, content in self._damaged.items():
            assert path.read_bytes() == content
        if self._settled() or self._damaged:
            refused = {Path(error.path) for error in self.engine.invalid()}
            assert refused == set(self._damaged)

    # -- helpers ----------------------------------------------------------------------------

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
