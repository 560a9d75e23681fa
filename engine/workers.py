"""The workers: the queue before them, the handlers at work, and what becomes of their outcomes."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue

from ..files import OwnedDirectories
from ..statemachine import Handler, Outcome, Role, Task, fail
from .entry import Entry
from .notifications import STATE_UPDATE, progressed
from .own_events import OwnEvents
from .settings import EngineSettings
from .working import LocalWork, Stopped, checked, run

_log = logging.getLogger(__name__)


class Workers:
    """Gives queued tasks to an executor, so many at a time. Only for the dispatcher's thread."""

    def __init__(
        self,
        settings: EngineSettings,
        directories: OwnedDirectories,
        events: OwnEvents,
        executor: Callable[[], Executor],
        start_anew: Callable[[Entry], object],
    ) -> None:
        """`start_anew` is called when a worker ends whose task has moved on meanwhile."""
        self._settings = settings
        self._directories = directories
        self._events = events
        self._tasks = events.tasks
        self._dispatcher = events.dispatcher
        self._new_executor = executor
        self._start_anew = start_anew
        self._executor: Executor | None = None
        self._ready: deque[tuple[Entry, int]] = deque()
        self._running: set[str] = set()
        self._stopping = False
        #: Told of each handler that has ended, once they are to stop. No `Condition`: its lock is
        #: taken in Python code, and a Ctrl-C between the taking and the block would leave it taken.
        self._rested: SimpleQueue[None] = SimpleQueue()
        #: Held while `_futures` and `_at_rest` are changed.
        self._resting = threading.Lock()
        #: The handlers that work, also those that were left behind at the stop.
        self._futures: set[Future[Outcome | Stopped]] = set()
        self._at_rest: Callable[[], object] | None = None

    @property
    def are_started(self) -> bool:
        return self._executor is not None

    def start(self) -> None:
        self._executor = self._new_executor()

    def when_idle(self, job: Callable[[], object]) -> None:
        """Calls `job` when no handler works any more: now, or when the last one ends."""
        with self._resting:
            self._at_rest = job
            idle = not self._futures
        if idle:
            job()

    def stop(self) -> None:
        """Asks the handlers to stop and gives them time; who does not end is queued again."""
        self._stopping = True
        for entry in list(self._tasks.table.entries.values()):
            with entry.lock:
                stop_worker(entry)
        self._wait_for_rest(self._settings.stop_timeout_s)
        self._dispatcher.put(self._give_back)
        self._dispatcher.stop()
        if self._executor is not None:
            _shut_down(self._executor)

    def _wait_for_rest(self, timeout_s: float) -> None:
        until_s = time.monotonic() + timeout_s
        while self._running and (left_s := until_s - time.monotonic()) > 0:
            with suppress(Empty):
                self._rested.get(timeout=left_s)

    def _give_back(self) -> None:
        for entry in list(self._tasks.table.entries.values()):
            if entry.worker is not None and self._tasks.table.role(entry.record) is Role.WORKING:
                self._take_back(entry, entry.serial)

    def _take_back(self, entry: Entry, serial: int) -> None:
        """A handler was asked to stop: the attempt does not count."""
        changes = {"attempts": max(entry.record.attempts - 1, 0)}
        limit = {"attempts_limit": self._settings.attempts + 1}
        self._events.fire(entry, serial, "recover", changes=changes, payload=limit)

    def enqueue(self, entry: Entry, serial: int) -> None:
        """Appends a task to the queue; it is begun when a worker is free."""
        self._ready.append((entry, serial))
        self._pump()

    def _pump(self) -> None:
        while self._ready and not self._stopping and len(self._running) < self._settings.workers:
            entry, serial = self._ready.popleft()
            # A worker of an earlier entry that still runs starts it anew when it ends.
            if entry.worker is None:
                self._running.add(entry.record.id)
                self._dispatcher.put(partial(self._begin, entry, serial), saves=True)

    def _begin(self, entry: Entry, serial: int) -> None:
        begun = False
        try:
            begun = self._events.fire(entry, serial, "begin")
        finally:
            if not begun:
                self._dispatcher.put(partial(self._ended, entry.record))

    def start_work(self, handler: Handler, entry: Entry, serial: int) -> None:
        """Lets a handler work on a task that has entered its working state."""
        with entry.lock:
            record = entry.record
            report = partial(self._report, entry, serial)
            work = LocalWork(self._directories, record.id, report)
            if entry.serial == serial:
                entry.worker = work
                if self._stopping:
                    work.stop()
        if entry.worker is not work:
            self._ended(record)
            return
        self._running.add(record.id)
        executor = self._executor
        assert executor is not None
        try:
            future = executor.submit(run, handler, record, work)
        except Exception as error:
            future = Future()
            future.set_exception(error)
        worked = partial(self._worked, entry, serial, executor)
        with self._resting:
            self._futures.add(future)
        # Invariant: first it works no more, then its end is seen; an engine that has waited for the
        # ends would else be closed before its directory is free.
        future.add_done_callback(self._done)
        future.add_done_callback(lambda future: self._dispatcher.put(partial(worked, future)))

    def _done(self, future: Future[Outcome | Stopped]) -> None:
        with self._resting:
            self._futures.discard(future)
            last = self._at_rest if not self._futures else None
        if last is not None:
            last()

    def _ended(self, record: Task) -> None:
        self._running.discard(record.id)
        self._pump()
        if self._stopping:
            self._rested.put(None)

    def _report(self, entry: Entry, serial: int, done: int, total: int, path: str | None) -> None:
        with entry.lock:
            if entry.serial == serial:
                self._tasks.tell(STATE_UPDATE, progressed(entry.record, done, total, path))

    def _worked(
        self, entry: Entry, serial: int, executor: Executor, future: Future[Outcome | Stopped]
    ) -> None:
        with entry.lock:
            entry.worker = None
            record, current = entry.record, entry.serial
        if not future.cancelled() and isinstance(future.exception(), BrokenExecutor):
            self._renew(executor)
        if current == serial:
            apply = partial(self._apply_outcome, entry, serial, record, future)
            self._dispatcher.put(partial(self._then_ended, apply, record), saves=True)
            return
        _log.info("task %s has moved on: an outcome is dropped", record.id)
        self._then_ended(partial(self._start_anew, entry), record)

    def _then_ended(self, job: Callable[[], object], record: Task) -> None:
        try:
            job()
        finally:
            self._dispatcher.put(partial(self._ended, record))

    def _apply_outcome(
        self,
        entry: Entry,
        serial: int,
        record: Task,
        future: Future[Outcome | Stopped],
    ) -> None:
        try:
            outcome = future.result()
        except BrokenExecutor as error:
            limit = {"attempts_limit": self._settings.attempts}
            message = f"the worker died: {error}"
            self._events.fire(entry, serial, "recover", payload=limit, message=message)
            return
        except BaseException as error:
            outcome = fail(f"{type(error).__name__}: {error}")
        if isinstance(outcome, Stopped):
            if self._stopping:
                self._take_back(entry, serial)
                return
            outcome = fail("the handler stopped without having been asked to")
        outcome = checked(outcome, record, self._tasks.lifecycle, entry.file.check)
        outcome = self._allowed(outcome, record)
        self._events.fire(
            entry,
            serial,
            outcome.event,
            changes=outcome.changes,
            annotations=outcome.annotations,
            by_handler=True,
            message=outcome.message,
        )

    def _allowed(self, outcome: Outcome, record: Task) -> Outcome:
        """The outcome, or a `fail` if the guards of its event refuse it."""
        try:
            edge = self._tasks.machine.edge_taken(record, outcome.event)
        except Exception as error:
            return fail(f"a guard of {outcome.event!r} raised {type(error).__name__}: {error}")
        return outcome if edge is not None else fail(f"every guard of {outcome.event!r} refused it")

    def _renew(self, broken: Executor) -> None:
        if self._executor is broken:
            _shut_down(broken)
            try:
                self._executor = self._new_executor()
            except Exception:
                # Invariant: the outcome is applied all the same; the next one tries again.
                _log.exception("the executor is broken, and no new one could be made")


def stop_worker(entry: Entry) -> None:
    """Asks the worker of a task to stop, if there is one that can be asked."""
    if isinstance(entry.worker, LocalWork):
        entry.worker.stop()


def _shut_down(executor: Executor) -> None:
    """Ends an executor without waiting for it; not every kind of executor can cancel."""
    try:
        executor.shutdown(wait=False, cancel_futures=True)
    except TypeError:
        executor.shutdown(wait=False)
