"""A state machine for hypothesis over the real engine: clients, handlers, crashes, users."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import partial
from pathlib import Path

from attrs import evolve
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from ..engine import read_tasks
from ..errors import IllegalTransition, TaskFailed
from ..statemachine import (
    Role,
    Task,
)
from .faults import Killed
from .world import ALBUM, VIDEO, World

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


class LifecycleStateMachine(World):
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

    # -- clients ----------------------------------------------------------------------------

    @rule(draw=st.data(), kind=st.sampled_from(["albumfile", "artwork", "album", "video"]))
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

    @rule(path=st.sampled_from([ALBUM, VIDEO]), artwork=st.booleans())
    def begin_import(self, path: str, artwork: bool) -> None:
        kind = "video" if path == VIDEO else "album"
        self._try(lambda: self.engine.import_music(kind, path, with_artwork=artwork))

    @rule(source=st.sampled_from([f"{ALBUM}/01 Song.mp3", VIDEO]))
    def begin_artwork(self, source: str) -> None:
        target = VIDEO if source == VIDEO else ALBUM
        self._try(lambda: self.engine.import_artwork(source=source, target=target))

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
            found = self.engine._table.store.load(task.id)[1]
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
            entry = self.engine._table.entries[task.id]
            role = self.lifecycle.role(task.state)
            if role is Role.QUEUED:
                queued = any(one is entry for one, _ in self.engine._runner.workers._ready)
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
