"""A state machine for hypothesis over the real engine: clients, handlers, crashes, users."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from ..errors import IllegalTransition, TaskFailed
from ..statemachine import Edge, Role, Sender, Task
from .faults import Killed
from .invariants import Invariants

_CHUNKS = ("all", "all", "one", "wrong", "wrong", "long", "empty", "late")
_OUTCOMES = ("succeed", "litter", "succeed", "fail", "reject", "raise", "nonsense", "begin")
#: What somebody does, in the middle of which the process is killed or the disk is full.
_DEEDS = ("work", "work", "create", "chunk", "remove")
#: File operations that a full disk refuses, and a broken one.
_REFUSED = (("write",), ("open", "write", "mkdir", "link"), ("exchange", "replace", "rmdir"))


class LifecycleStateMachine(Invariants):
    """Does to an engine whatever clients, handlers, users and crashes can do, in any order.

    Subclass it with a lifecycle and handlers of your own; `TestCase` is what a test runner takes:

        class MyMachine(LifecycleStateMachine):
            lifecycle = mine
            handlers = {"transcoding": transcode}

        TestMine = MyMachine.TestCase

    Stages without a handler here are played: they succeed, leave files behind, fail, reject,
    raise, or give nonsense, and are as slow as it takes. The choice of what happens next knows the
    states of the tasks, so that it reaches the depths (`docs/testing.md` has the measurements).
    An engine with calls of its own has rules of its own: add them with hypothesis' `rule`.
    """

    # -- clients ----------------------------------------------------------------------------

    @precondition(lambda self: self.first_events())
    @rule(draw=st.data())
    def create(self, draw: st.DataObject) -> None:
        event, fields = draw.draw(st.sampled_from(self.first_events())), self.fields(draw)
        self._try(lambda: self.engine.create(event, **fields))

    @precondition(lambda self: self.receiving is not None)
    @rule(draw=st.data(), announced=st.booleans())
    def begin_upload(self, draw: st.DataObject, announced: bool) -> None:
        data, fields = draw.draw(st.sampled_from(self.contents)), self.fields(draw)
        self._try(lambda: self.upload(data, announced=announced, **fields))

    @precondition(lambda self: self._in(self.receiving))
    @rule(draw=st.data(), how=st.sampled_from(_CHUNKS))
    def send_chunk(self, draw: st.DataObject, how: str) -> None:
        task = draw.draw(st.sampled_from(self._in(self.receiving)))
        rest = self._rest(task)
        chunk = {
            "one": rest[:1],
            "wrong": b"?" * len(rest),
            "long": rest + b"!",
            "empty": b"",
        }.get(how, rest)
        offset = 99 if how == "late" else None
        self._try(lambda: self.receive(task.id, chunk, offset))

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
            elif self.lifecycle.role(task.state) is Role.WAITING:
                self.lead(draw, task)
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
        """A client's event goes where it is declared, any other is illegal."""
        task = draw.draw(st.sampled_from(self._tasks()))
        calls = self.calls | {"remove", "retry"}
        events = [event for event in self.lifecycle.events if event not in calls]
        event = draw.draw(st.sampled_from([*events, "undeclared"]))
        if event in self._events_of_clients(task.state):
            fields = self.fields(draw)
            self._try(lambda: self.engine.send(task.id, event, changes=fields))
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

    @rule(draw=st.data())
    def put_data_of_no_task_there(self, draw: st.DataObject) -> None:
        """The next start removes it, unless a task file does not load: it may be that task's."""
        name = draw.draw(st.sampled_from(self.orphans)).format(next(self._numbers))
        path = self.stepped.settings.uploads / name
        data = path / "data" if name.endswith("/") else path
        data.parent.mkdir(exist_ok=True)
        data.write_bytes(b"of nobody")
        self._orphans.add(path)

    # -- crashes, full disks and time -------------------------------------------------------

    @rule(how=st.sampled_from(["kill", "kill", "stop"]), start_killed_at=st.integers(-9, 9))
    def restart(self, how: str, start_killed_at: int = 0) -> None:
        """The next start goes on; now and then it is killed itself, and the one after it does."""
        if how == "kill":
            self.stepped.kill()
        else:
            self.stepped.close()
        self._heard_what_was_told()
        # Deleted while its removal waited for a worker: nobody knows of the task any more.
        forgotten = [self._own(task) for task in self._tasks() if not self._file(task).exists()]
        self._orphans |= {path for path in forgotten if path.exists()}
        if start_killed_at > 0:
            self._start_and_be_killed(start_killed_at)
        found = self.stored_tasks()
        self.stepped.start()
        came = {(t.id, t.history[-1].event) for _, t, _ in self.stepped.told if t and t.history}
        for task in found:
            if self.lifecycle.role(task.state) is Role.WORKING:
                assert (task.id, "recover") in came, f"{task.id} was at work and did not recover"
        there = {path for path in self._orphans if path.exists()}
        assert there == (self._orphans if self._damaged else set())
        self._orphans = there

    def _start_and_be_killed(self, at: int) -> None:
        self._killed(at, self.stepped.start)
        self.stepped.kill()

    def _killed(self, at: int, call: Callable[[], object]) -> None:
        """Runs a call that is killed at its `at`-th file operation, if it has so many."""
        self._faults.kill(at)
        try:
            with suppress(Killed):
                self._try(call)
        finally:
            self._faults.clear()

    def begin_something(self, draw: st.DataObject, deed: str) -> None:
        """Something begins, which may be cut off or refused at any file operation."""
        self._outcome = draw.draw(st.sampled_from(["succeed", "litter"]))
        waiting = self._in(self.receiving)
        if deed == "work" and len(self.stepped.workers):
            self.stepped.work()
        elif deed == "remove" and self._tasks():
            self.engine.remove(draw.draw(st.sampled_from(self._tasks())).id)
        elif deed == "chunk" and waiting:
            task = draw.draw(st.sampled_from(waiting))
            self.receive(task.id, self._rest(task))
        elif self.receiving is not None and draw.draw(st.booleans()):
            self.begin_upload(draw, draw.draw(st.booleans()))
        elif self.first_events():
            self.create(draw)
        self.stepped.settle()

    @rule(draw=st.data(), at=st.integers(1, 12), deed=st.sampled_from(_DEEDS))
    def crash_at_a_file_operation(self, draw: st.DataObject, at: int, deed: str) -> None:
        """Something begins, and the process is killed in the middle of it."""
        self._killed(at, partial(self.begin_something, draw, deed))
        self.restart("kill")

    @rule(draw=st.data(), refused=st.sampled_from(_REFUSED), deed=st.sampled_from(_DEEDS))
    def disk_refuses(self, draw: st.DataObject, refused: tuple[str, ...], deed: str) -> None:
        """Something begins while the disk is full, or broken; then there is room again."""
        code = errno.EIO if "exchange" in refused else errno.ENOSPC
        self._faults.refuse(*refused, code=code)
        try:
            self._try(partial(self.begin_something, draw, deed))
        finally:
            self._faults.clear()
        # What the engine tries again, it does within a minute.
        self.stepped.clock.advance(61)
        self.stepped.settle()

    @rule(draw=st.data(), count=st.integers(1, 3))
    def take_an_edge(self, draw: st.DataObject, count: int) -> None:
        """Any declared edge, those first that were not taken yet: a task is found or put where it
        begins, and what takes it happens.
        """
        edges = [
            e for e in self.lifecycle.edges if e.target and e.source in self.lifecycle.storable
        ]
        for _ in range(count):
            new = [e for e in edges if (e.event, e.source, e.target) not in self.edges]
            edge = draw.draw(st.sampled_from(new or edges))
            there = self._in(edge.source)
            task = draw.draw(st.sampled_from(there)) if there else self._put(draw, edge.source)
            self.take_along(draw, edge, task)
            self.stepped.settle()

    def take_along(self, draw: st.DataObject, edge: Edge, task: Any) -> None:
        """Does what takes a task along an edge, if the guards allow it."""
        if edge.sender is Sender.HANDLER:
            self._outcome = edge.event
            while len(self.stepped.workers) and self._state(task.id) == edge.source:
                self.stepped.work()
        elif edge.event == "recover":
            self.restart("kill")
        elif edge.event == "remove":
            self._try(lambda: self.engine.remove(task.id))
        elif edge.event == "retry":
            self._try(lambda: self.engine.retry(task.id))
        elif edge.sender is Sender.UPLOAD:
            rest = self._rest(task)
            chunk = b"?" * len(rest) if edge.event == "fail" else rest
            self._try(lambda: self.receive(task.id, chunk))
        elif edge.event in self.calls:
            self.lead(draw, task)
        elif edge.sender is Sender.CLIENT:
            self._try(lambda: self.engine.send(task.id, edge.event))

    @rule(seconds=st.sampled_from([1, 61, 3 * 24 * 3600]))
    def time_passes(self, seconds: int) -> None:
        self.stepped.clock.advance(seconds)
