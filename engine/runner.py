"""What states start: the queue, the workers, timers, removal, and what the disk says."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, Executor, Future
from functools import partial
from typing import Any

from ..errors import IllegalTransition, InvalidPath, InvalidTaskFile, MusicTasksError, TaskNotSaved
from ..persistence import DirectoryWatch
from ..statemachine import Handler, Outcome, Role, Task, fail
from .dispatcher import Dispatcher
from .entry import Entry
from .notifications import INTERNAL_ERROR, STATE_UPDATE, progressed
from .settings import Settings
from .tasks import Start, Tasks, describe
from .uploads import Uploads
from .working import LocalWork, Stopped, checked, run

_log = logging.getLogger(__name__)

#: An event that cannot be saved is tried again after 1, 2, 4 … and at the most so many seconds.
_BACKOFF_MOST_S = 60


class Runner:
    """Does in the dispatcher's thread what the entries into states ask for."""

    def __init__(
        self,
        settings: Settings,
        handlers: Mapping[str, Handler],
        removal: Callable[[Task], object],
        executor: Callable[[], Executor],
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._handlers = handlers
        self._removal = removal
        self._new_executor = executor
        self._executor: Executor | None = None
        self._clock = clock
        self.dispatcher = Dispatcher(clock, self._look)
        self._ready: deque[tuple[Entry, int]] = deque()
        self._running: set[str] = set()
        self._stopping = False
        self._rested = threading.Condition()
        #: The handlers that work, also those that were left behind at the stop.
        self._futures: set[Future[Outcome | Stopped]] = set()
        self._at_rest: Callable[[], object] | None = None
        #: Held while the directory is compared: nothing is taken in twice, or missed by `start`.
        self._comparing = threading.Lock()
        self._tasks: Tasks
        self._uploads: Uploads
        self._watch: DirectoryWatch

    def attach(self, tasks: Tasks, uploads: Uploads, watch: DirectoryWatch) -> None:
        """The other half of the engine, which is made from this one's `starts`."""
        self._tasks, self._uploads, self._watch = tasks, uploads, watch

    @property
    def starts(self) -> dict[Role, Start]:
        """By role: what the entry into a state appends to the dispatcher's queue."""
        return {
            Role.QUEUED: self._later(self._enqueue),
            Role.WORKING: self._later(self._start_work),
            Role.WAITING: self._later(self._age),
            Role.FINISHED: self._later(self._retain),
            Role.FAILED: self._later(self._retain),
            Role.PASSING: self._later(self._pass),
            Role.REMOVING: self._remove_soon,
        }

    def _later(self, job: Callable[[Entry, int], object]) -> Start:
        return lambda entry: self.dispatcher.put(partial(job, entry, entry.serial))

    def _remove_soon(self, entry: Entry) -> None:
        if isinstance(entry.work, LocalWork):
            entry.work.stop()
        self.dispatcher.put(partial(self._remove, entry, entry.serial))

    # -- start and stop ---------------------------------------------------------------------

    def start(self, *, threaded: bool = True) -> None:
        """Recovers all tasks and goes to work; unthreaded, whoever tests runs the dispatcher."""
        # Invariant: cleaned before any handler works, whose files no record names yet.
        try:
            self._uploads.clean()
        except (OSError, InvalidPath) as error:
            _log.warning("what is left over could not be removed: %s", error)
        with self._comparing:
            self._executor = self._new_executor()
            for entry in list(self._tasks.entries.values()):
                # What has entered a state since it was loaded is in the dispatcher's queue.
                if entry.serial == 0:
                    self.dispatcher.put(partial(self.resume, entry))
        if threaded:
            self.dispatcher.start()

    def resume(self, entry: Entry) -> None:
        """Goes on with a task that was loaded: as if it had just entered its state."""
        with entry.lock:
            record, serial = entry.record, entry.serial
        role = self._tasks.role(record)
        if role is Role.WORKING:
            limit = {"attempts_limit": self._settings.attempts}
            self._own(entry, serial, "recover", payload=limit, message="the server had stopped")
        elif self._tasks.wants_chunks(record):
            self._resume_upload(entry, serial)
        elif role in self.starts:
            self.starts[role](entry)

    def _resume_upload(self, entry: Entry, serial: int, tries: int = 0) -> None:
        with entry.lock:
            if entry.serial != serial:
                return
            try:
                self._uploads.resume(entry)
            except (OSError, InvalidPath, TaskNotSaved, InvalidTaskFile) as error:
                self._keep(entry, tries, error, partial(self._resume_upload, entry, serial))
        self._age(entry, serial)

    def sweep(self, entry: Entry) -> None:
        """Removes the temporary files of a task from its target directory.

        Raises:
            TaskNotSaved: The disk refuses.
        """
        try:
            self._removal(entry.record)
        except OSError as error:
            raise TaskNotSaved(entry.record.id, error.strerror or str(error)) from error

    def when_idle(self, job: Callable[[], object]) -> None:
        """Calls `job` when no handler works any more: now, or when the last one ends."""
        with self._rested:
            self._at_rest = job
            idle = not self._futures
        if idle:
            job()

    def schedule(self, entry: Entry) -> None:
        """Starts what the state of a held task starts; the caller holds the entry's lock."""
        if entry.held:
            entry.held = False
            start = self.starts.get(self._tasks.role(entry.record))
            if start is not None:
                start(entry)

    def stop(self) -> None:
        """Asks the handlers to stop and gives them time; who does not end is queued again."""
        self._stopping = True
        for entry in list(self._tasks.entries.values()):
            with entry.lock:
                if isinstance(entry.work, LocalWork):
                    entry.work.stop()
        with self._rested:
            self._rested.wait_for(lambda: not self._running, self._settings.stop_timeout_s)
        self.dispatcher.put(self._give_back)
        self.dispatcher.stop()
        if self._executor is not None:
            _shut_down(self._executor)

    def _give_back(self) -> None:
        for entry in list(self._tasks.entries.values()):
            if entry.work is not None and self._tasks.role(entry.record) is Role.WORKING:
                self._take_back(entry, entry.serial)

    def _take_back(self, entry: Entry, serial: int) -> None:
        """A handler was asked to stop: the attempt does not count."""
        changes = {"attempts": max(entry.record.attempts - 1, 0)}
        limit = {"attempts_limit": self._settings.attempts + 1}
        self._own(entry, serial, "recover", changes=changes, payload=limit)

    # -- events of the engine's own ---------------------------------------------------------

    def _own(self, entry: Entry, serial: int, event: str, tries: int = 0, **request: Any) -> bool:
        """Fires an event of the engine's own, later again if it cannot be saved.

        Returns True when it has been fired.
        """
        with entry.lock:
            if entry.serial != serial:
                _log.info("task %s: %r comes too late, dropped", entry.record.id, event)
                return False
            try:
                self._tasks.fire(entry, event, **request)
            except IllegalTransition as error:
                _log.info("dropped: %s", error)
                return False
            except (TaskNotSaved, InvalidTaskFile) as error:
                self._keep(entry, tries, error, partial(self._own, entry, serial, event), request)
                return False
        return True

    def _keep(
        self,
        entry: Entry,
        tries: int,
        error: MusicTasksError | OSError,
        again: Callable[..., object],
        request: Mapping[str, Any] | None = None,
    ) -> None:
        if tries == 0:
            reason = describe(error)
            _log.warning("task %s: tried again until it can be done: %s", entry.record.id, reason)
            self._tasks.tell(INTERNAL_ERROR, entry.record, reason)
        delay_s = min(2**tries, _BACKOFF_MOST_S)
        self.dispatcher.call_later(delay_s, partial(again, tries=tries + 1, **(request or {})))

    # -- queue and workers ------------------------------------------------------------------

    def _enqueue(self, entry: Entry, serial: int) -> None:
        self._ready.append((entry, serial))
        self._pump()

    def _pump(self) -> None:
        while self._ready and not self._stopping and len(self._running) < self._settings.workers:
            entry, serial = self._ready.popleft()
            # A worker of an earlier entry that still runs calls `resume` when it ends.
            if entry.work is None and self._own(entry, serial, "begin"):
                self._running.add(entry.record.id)

    def _start_work(self, entry: Entry, serial: int) -> None:
        with entry.lock:
            record, work = entry.record, LocalWork(partial(self._report, entry, serial))
            if entry.serial == serial:
                entry.work = work
                if self._stopping:
                    work.stop()
        if entry.work is not work:
            self._ended(record)
            return
        self._running.add(record.id)
        executor = self._executor
        stage = self._tasks.lifecycle.stage_of(record.state)
        assert stage is not None
        assert executor is not None
        try:
            future = executor.submit(run, self._handlers[stage.name], record, work)
        except Exception as error:
            future = Future()
            future.set_exception(error)
        worked = partial(self._worked, entry, serial, executor)
        with self._rested:
            self._futures.add(future)
        future.add_done_callback(lambda future: self.dispatcher.put(partial(worked, future)))
        future.add_done_callback(self._done)

    def _done(self, future: Future[Outcome | Stopped]) -> None:
        with self._rested:
            self._futures.discard(future)
            last = self._at_rest if not self._futures else None
        if last is not None:
            last()

    def _ended(self, record: Task) -> None:
        self._running.discard(record.id)
        self._pump()
        with self._rested:
            self._rested.notify_all()

    def _report(self, entry: Entry, serial: int, done: int, total: int, path: str | None) -> None:
        with entry.lock:
            if entry.serial == serial:
                self._tasks.tell(STATE_UPDATE, progressed(entry.record, done, total, path))

    def _worked(
        self, entry: Entry, serial: int, executor: Executor, future: Future[Outcome | Stopped]
    ) -> None:
        with entry.lock:
            entry.work = None
            record, current = entry.record, entry.serial
        try:
            if current == serial:
                self._take(entry, serial, record, executor, future)
            else:
                _log.info("task %s has moved on: an outcome is dropped", record.id)
                self.resume(entry)
        finally:
            self._ended(record)

    def _take(
        self,
        entry: Entry,
        serial: int,
        record: Task,
        executor: Executor,
        future: Future[Outcome | Stopped],
    ) -> None:
        try:
            outcome = future.result()
        except BrokenExecutor as error:
            self._renew(executor)
            limit = {"attempts_limit": self._settings.attempts}
            message = f"the worker died: {error}"
            self._own(entry, serial, "recover", payload=limit, message=message)
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
        self._own(
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
            edge = self._tasks.lifecycle.edge_taken(record, outcome.event)
        except Exception as error:
            return fail(f"a guard of {outcome.event!r} raised {type(error).__name__}: {error}")
        return outcome if edge is not None else fail(f"every guard of {outcome.event!r} refused it")

    def _renew(self, broken: Executor) -> None:
        if self._executor is broken:
            _shut_down(broken)
            self._executor = self._new_executor()

    # -- rest, age, removal -----------------------------------------------------------------

    def _retain(self, entry: Entry, serial: int) -> None:
        """A finished or failed task: its data goes at once if it is of no use, itself later."""
        self._release(entry, serial)
        role = self._tasks.role(entry.record)
        settings = self._settings
        keep_s = settings.keep_finished_s if role is Role.FINISHED else settings.keep_failed_s
        since = entered_at(entry.record)
        when = self._clock() if since is None else since
        self._at(when + keep_s, self._expire, entry, serial)

    def _at(
        self, when: float, job: Callable[[Entry, int], object], entry: Entry, serial: int
    ) -> None:
        """Calls `job` at a unix time, if there still is such a task: a timer keeps none alive."""
        alive = weakref.ref(entry)

        def due() -> None:
            if (found := alive()) is not None:
                job(found, serial)

        self.dispatcher.call_at(when, due)

    def _release(self, entry: Entry, serial: int, tries: int = 0) -> None:
        with entry.lock:
            if entry.serial != serial or self._uploads.holds(entry.record):
                return
            try:
                self._uploads.drop(entry)
            except (OSError, InvalidPath) as error:
                self._keep(entry, tries, error, partial(self._release, entry, serial))

    def _expire(self, entry: Entry, serial: int) -> None:
        if entry.serial == serial:
            self._own(entry, serial, "remove", message="kept as long as the settings say")

    def _age(self, entry: Entry, serial: int) -> None:
        """A task that waits for a client goes when nothing happens to it for `max_age_s`."""
        if entry.serial != serial:
            return
        due = self._uploads.activity(entry) + self._settings.max_age_s
        if due > self._clock():
            self._at(due, self._age, entry, serial)
        else:
            self._own(
                entry, serial, "remove", message="no activity for as long as the settings say"
            )

    def _pass(self, entry: Entry, serial: int) -> None:
        self._own(entry, serial, "remove")

    def remove_now(self, entry: Entry) -> None:
        """Removes a task where no dispatcher works yet; the caller holds the entry's lock.

        Raises:
            OSError, InvalidPath, TaskNotSaved, InvalidTaskFile: It stays in `remove`; the
                dispatcher goes on with it.
        """
        self._clear(entry)
        self._tasks.fire(entry, "forget")

    def _clear(self, entry: Entry) -> None:
        # Invariant: data first, then the task file: a crash between finds the task again.
        self._removal(entry.record)
        self._uploads.drop(entry)

    def _remove(self, entry: Entry, serial: int, tries: int = 0) -> None:
        with entry.lock:
            if entry.serial != serial or entry.work is not None:
                return  # gone already, or its worker calls `resume` when it ends
            try:
                self._clear(entry)
            except (OSError, InvalidPath) as error:
                self._keep(entry, tries, error, partial(self._remove, entry, serial))
                return
        self._own(entry, serial, "forget")

    # -- what the disk says -----------------------------------------------------------------

    def _look(self, now_monotonic: float) -> None:
        names = self._watch.look(now_monotonic)
        if names is not None:
            self.compare(names)

    def look_now(self) -> None:
        """Looks at the directory at once, and starts the tasks that were held."""
        try:
            self.compare(set(self._tasks.store.names()))
        except FileNotFoundError:
            _log.warning("the tasks directory is not there, which says nothing of the tasks")
        for entry in list(self._tasks.entries.values()):
            with entry.lock:
                self.schedule(entry)

    def compare(self, names: set[str]) -> None:
        """Takes in what the tasks directory says: files that were deleted, and new ones."""
        with self._comparing:
            self._compare(names)

    def _compare(self, names: set[str]) -> None:
        for entry in [e for i, e in list(self._tasks.entries.items()) if i not in names]:
            with entry.lock:
                self._check_deleted(entry)
        for task_id, invalid in list(self._tasks.invalid.items()):
            if task_id not in names and not os.path.lexists(invalid.path):
                self._tasks.unrefuse(task_id)
        for task_id in names:
            if task_id not in self._tasks.entries:
                entry = self._tasks.load(task_id)
                if entry is not None:
                    self._uploads.adopt(entry)
                    if self._executor is not None:  # else `start` finds it
                        self.dispatcher.put(partial(self.resume, entry))

    def _check_deleted(self, entry: Entry) -> None:
        record = entry.record
        alive = (entry.stored or entry.deleted) and self._tasks.role(record) is not Role.GONE
        # Only lstat decides: the names may be older than the file.
        if not alive or entry.removal_kept or self._tasks.store.exists(record.id):
            return
        try:
            self._tasks.deleted(entry)
        except (TaskNotSaved, InvalidTaskFile) as error:
            entry.removal_kept = True
            again = partial(self._removed_by_hand, entry, entry.serial)
            self.dispatcher.put(partial(self._keep, entry, 0, error, again))

    def _removed_by_hand(self, entry: Entry, serial: int, tries: int) -> None:
        self._own(entry, serial, "remove", tries, message="its task file was deleted")


def _shut_down(executor: Executor) -> None:
    """Ends an executor without waiting for it; not every kind of executor can cancel."""
    try:
        executor.shutdown(wait=False, cancel_futures=True)
    except TypeError:
        executor.shutdown(wait=False)


def entered_at(record: Task) -> float | None:
    """When the task entered its state, in unix seconds, as far as the record knows."""
    if record.history:
        return record.history[-1].time
    return record.update_time or record.initialization_time
