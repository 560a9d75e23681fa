"""An engine that a test moves step by step: no thread works, no time passes by itself."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any

from attrs import define, field

from ..engine import Engine, open_engine
from ..errors import LifecycleViolation
from ..statemachine import Handler, Lifecycle, Task
from ..uploads import Uploads
from .recorder import Recorder

#: How long a subscriber's thread is awaited at the end.
_PATIENCE_S = 10.0


@define
class Clock:
    """A clock that a test moves, in unix seconds."""

    now: float = field(factory=time.time)

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class InlineExecutor(Executor):
    """Works at once, in the thread that submits: so every order is the same each time."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future


class HeldExecutor(Executor):
    """Works when the test says so: a handler that is as slow as one likes."""

    def __init__(self) -> None:
        self._held: deque[tuple[Future[Any], Callable[[], Any]]] = deque()

    def __len__(self) -> int:
        return len(self._held)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._held.append((future, lambda: fn(*args, **kwargs)))
        return future

    def run_one(self) -> None:
        """Lets the worker that waits longest do its work."""
        future, work = self._held.popleft()
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)


@define(eq=False)
class SteppedEngine:
    """A real engine on real files whose thread is the test's.

    `settle` does all that can be done now; workers wait in `workers` until the test lets them run.
    Every notification is checked: its state must be on disk.
    """

    #: Those of the engine: `EngineSettings`, or what `opener` takes in their place.
    settings: Any
    lifecycle: Lifecycle
    handlers: Mapping[str, Handler] = field(factory=dict)
    clock: Clock = field(factory=Clock)
    #: Opens the engine: `open_engine`, or what takes the same options.
    opener: Callable[..., Engine[Any]] = open_engine
    workers: HeldExecutor = field(factory=HeldExecutor, init=False)
    engine: Any = field(init=False)
    #: What receives the uploads, where `open_engine` opens an engine whose lifecycle takes chunks;
    #: an opener of your own sees to that itself.
    uploads: Any = field(default=None, init=False)
    _numbers: Iterator[int] = field(factory=itertools.count, init=False)
    #: What was notified since the start: name, record, message.
    told: list[tuple[str, Task | None, str | None]] = field(factory=list, init=False)
    #: The states that tasks entered since the start.
    entered: list[str] = field(factory=list, init=False)
    #: The changes of state that were told, also before a restart: event, from, to.
    taken: set[tuple[str, str, str]] = field(factory=set, init=False)
    #: What a subscriber got since the start.
    recorder: Recorder = field(factory=Recorder, init=False)

    def start(self) -> Any:
        """Opens the directory and recovers, as a new process would."""
        self.workers = HeldExecutor()
        self.engine = self.opener(
            self.settings,
            lifecycle=self.lifecycle,
            handlers=self.handlers,
            executor=lambda: self.workers,
            clock=self.clock,
        )
        # Ids that are the same each time, so that a run can be repeated.
        self.engine._new_id = lambda: f"task-{next(self._numbers):04}"
        self._listen()
        self.recorder = Recorder(self.engine)
        if self.opener is open_engine and any(one.takes_chunks for one in self.lifecycle.states):
            self.uploads = Uploads(self.engine)
        runner = self.engine._runner
        runner.start = partial(runner.start, threaded=False)
        self.engine.start()
        self.settle()
        return self.engine

    def settle(self) -> None:
        """Does all that can be done without a worker, a client, or the time passing."""
        self.engine._runner.dispatcher.run_pending()

    def look(self) -> None:
        """Sees what was done to the tasks directory, as the watch does at times."""
        self.engine._runner.looking.compare(set(self.engine._table.store.names()))
        self.settle()

    def work(self) -> None:
        """Lets one worker run, and takes its outcome."""
        self.workers.run_one()
        self.settle()

    def kill(self) -> None:
        """Ends as `kill -9` does: nothing is saved, said or cleaned; only the lock is free."""
        self.engine._closed = True
        self.engine._parts.owner.release()
        # Only the subscribers' threads end properly, or tests would collect them.
        self.engine._notifier.close(_PATIENCE_S)

    def close(self) -> None:
        """Ends cleanly; held workers are left behind and their tasks queued again."""
        self.engine._runner.workers.stop()
        self.settle()
        self.engine._runner.save_amended()
        self.kill()

    def _listen(self) -> None:
        self.told, self.entered = [], []
        notifier = self.engine._notifier
        tell = notifier.tell

        def checked(name: str, record: Any, message: str | None = None, **more: Any) -> None:
            if isinstance(record, Task) and "progress" not in record.annotations:
                self._on_disk(record)
            if record is not None and more.get("entered"):
                entry = record.history[-1]
                self.taken.add((entry.event, entry.source, entry.target))
                self.entered.append(entry.target)
            self.told.append((name, record, message))
            tell(name, record, message, **more)

        notifier.tell = checked

    def _on_disk(self, record: Task) -> None:
        store = self.engine._table.store
        if store.exists(record.id) and store.load(record.id)[1].state != record.state:
            raise LifecycleViolation(
                f"state {record.state!r}", "told before it was on disk", (f"task {record.id}",)
            )
