"""What states start: the queue, the workers, timers, removal, and what the disk says."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import BrokenExecutor, Executor, Future
from functools import partial
from typing import Any

from ..errors import IllegalTransition, InvalidPath, InvalidTaskFile, MusicTasksError, TaskNotSaved
from ..files import OwnedDirectories
from ..persistence import TASK_ID, DirectoryWatch, TaskStore
from ..statemachine import Handler, Lifecycle, Outcome, Role, Task, fail
from .dispatcher import Dispatcher
from .entry import Entry
from .notifications import INTERNAL_ERROR, STATE_UPDATE, Notifier, progressed
from .settings import EngineSettings
from .tasks import Observer, OnEnter, TakeOver, Tasks, describe
from .working import LocalWork, Stopped, checked, run

_log = logging.getLogger(__name__)

#: An event that cannot be saved is tried again after 1, 2, 4 … and at the most so many seconds.
_BACKOFF_MOST_S = 60
#: So often the engine looks at the tasks directory.
_LOOK_EVERY_S = 0.4

#: Goes on with a task that was loaded; called with the task locked.
Resume = Callable[[Entry], object]
#: Removes what a task has outside its directory; called again until it does not raise.
CleanUp = Callable[[Any], object]


class Runner:
    """Does in the dispatcher's thread what the entries into states ask for."""

    def __init__(
        self,
        settings: EngineSettings,
        lifecycle: Lifecycle,
        store: TaskStore,
        directories: OwnedDirectories,
        notifier: Notifier,
        *,
        handlers: Mapping[str, Handler],
        executor: Callable[[], Executor],
        clock: Callable[[], float],
        clean_up: CleanUp | None,
        take_over: TakeOver | None,
        observers: Iterable[Observer],
    ) -> None:
        self._settings = settings
        self._directories = directories
        self._clean_up = clean_up
        self._new_executor = executor
        self._executor: Executor | None = None
        self._clock = clock
        self.dispatcher = Dispatcher(clock)
        self._ready: deque[tuple[Entry, int]] = deque()
        self._running: set[str] = set()
        self._stopping = False
        self._rested = threading.Condition()
        #: The handlers that work, also those that were left behind at the stop.
        self._futures: set[Future[Outcome | Stopped]] = set()
        self._at_rest: Callable[[], object] | None = None
        #: Held while the directory is compared: nothing is taken in twice, or missed by `start`.
        self._comparing = threading.Lock()
        #: By the name of a state: what goes on with the tasks that are found in it.
        self._resumes: dict[str, Resume] = {}
        self._watch = DirectoryWatch(store)
        on_enter = self._on_enter(lifecycle, handlers)
        self._starts = on_enter
        self.tasks = Tasks(
            lifecycle,
            store,
            directories,
            notifier,
            clock,
            on_enter=on_enter,
            deleted=self._later(self._remove_deleted),
            take_over=take_over,
            observers=observers,
        )

    def _on_enter(
        self, lifecycle: Lifecycle, handlers: Mapping[str, Handler]
    ) -> dict[str, list[OnEnter]]:
        """What the entry into each state starts: it appends to the dispatcher's queue, no more."""
        by_role = {
            Role.QUEUED: [self._later(self._enqueue)],
            Role.WAITING: [self._later(self._expire_if_idle)],
            Role.FINISHED: [self._later(self._retain)],
            Role.FAILED: [self._later(self._retain)],
            Role.PASSING: [self._later(self._pass)],
            Role.REMOVING: [_stop_worker, self._later(self._remove)],
        }
        resting = {
            state.name: by_role[state.role] for state in lifecycle.states if state.role in by_role
        }
        working = {stage.working: [self._start(handlers[stage.name])] for stage in lifecycle.stages}
        return resting | working

    def _later(self, job: Callable[[Entry, int], object]) -> OnEnter:
        return lambda entry: self.dispatcher.put(partial(job, entry, entry.serial))

    def _start(self, handler: Handler) -> OnEnter:
        """The on_enter callback of a working state: its stage's handler goes to a worker."""
        return self._later(partial(self._start_work, handler))

    # -- start and stop ---------------------------------------------------------------------

    def start(self, *, threaded: bool = True) -> None:
        """Recovers all tasks and goes to work; unthreaded, whoever tests runs the dispatcher."""
        # Invariant: cleaned before any handler works, whose files no record names yet.
        try:
            self._clean()
        except (OSError, InvalidPath) as error:
            _log.warning("what is left over could not be removed: %s", error)
        with self._comparing:
            self._executor = self._new_executor()
            self._start_what_waits()
        self.dispatcher.every(_LOOK_EVERY_S, self._look)
        if threaded:
            self.dispatcher.start()

    def load(self) -> None:
        """Takes in all tasks of the directory, once, before the start."""
        store = self.tasks.store
        store.sweep()
        for loaded in store.load_all():
            if isinstance(loaded, InvalidTaskFile):
                self.tasks.refuse(loaded)
            else:
                self.tasks.add(*loaded)

    def _clean(self) -> None:
        """Removes the directories of no task, and what removals left that were cut off.

        None of the former as long as a task file does not load: it may be that task's.
        """
        self._directories.sweep()
        for owner in () if self.tasks.invalid else self._directories.owners():
            if TASK_ID.fullmatch(owner) and owner not in self.tasks.entries:
                _log.info("the directory %s belongs to no task and is removed", owner)
                self._directories.remove(owner)

    def _start_what_waits(self) -> None:
        for entry in list(self.tasks.entries.values()):
            # What has entered a state since it was loaded is in the dispatcher's queue.
            if entry.started < entry.serial:
                self.dispatcher.put(partial(self.resume, entry))

    def on_resume(self, state: str, resume: Resume) -> None:
        """Lets `resume` go on with the tasks that are found in this state, before they rest.

        If it raises what a disk or a save raises, it is called again later.
        """
        self._resumes[state] = resume

    def resume(self, entry: Entry) -> None:
        """Goes on with a task that was loaded: as if it had just entered its state."""
        with entry.lock:
            if entry.started >= entry.serial:
                return
            entry.started = entry.serial
            record, serial = entry.record, entry.serial
        if self.tasks.role(record) is Role.WORKING:
            limit = {"attempts_limit": self._settings.attempts}
            self._fire(entry, serial, "recover", payload=limit, message="the server had stopped")
            return
        if record.state in self._resumes:
            self._resume_by(self._resumes[record.state], entry, serial)
        for start in self._starts.get(record.state, ()):
            with entry.lock:
                if entry.serial == serial:
                    start(entry)

    def _resume_by(self, resume: Resume, entry: Entry, serial: int, tries: int = 0) -> None:
        with entry.lock:
            if entry.serial != serial:
                return
            try:
                resume(entry)
            except (OSError, InvalidPath, TaskNotSaved, InvalidTaskFile) as error:
                again = partial(self._resume_by, resume, entry, serial)
                self._retry_later(entry, tries, error, again)

    def start_held(self, entry: Entry) -> None:
        """Starts what the state of a task starts, if it waits; nothing happens if it does not."""
        if self._executor is not None:  # else `start` finds it
            self.dispatcher.put(partial(self.resume, entry))

    def when_idle(self, job: Callable[[], object]) -> None:
        """Calls `job` when no handler works any more: now, or when the last one ends."""
        with self._rested:
            self._at_rest = job
            idle = not self._futures
        if idle:
            job()

    def stop(self) -> None:
        """Asks the handlers to stop and gives them time; who does not end is queued again."""
        self._stopping = True
        for entry in list(self.tasks.entries.values()):
            with entry.lock:
                _stop_worker(entry)
        with self._rested:
            self._rested.wait_for(lambda: not self._running, self._settings.stop_timeout_s)
        self.dispatcher.put(self._give_back)
        self.dispatcher.stop()
        if self._executor is not None:
            _shut_down(self._executor)

    def save_amended(self) -> None:
        """Saves the records that are ahead of their files, as the offsets of uploads are."""
        for entry in list(self.tasks.entries.values()):
            with entry.lock:
                try:
                    self.tasks.save_amended(entry)
                except (MusicTasksError, OSError) as error:
                    _log.warning("task %s: %s", entry.record.id, describe(error))

    def _give_back(self) -> None:
        for entry in list(self.tasks.entries.values()):
            if entry.worker is not None and self.tasks.role(entry.record) is Role.WORKING:
                self._take_back(entry, entry.serial)

    def _take_back(self, entry: Entry, serial: int) -> None:
        """A handler was asked to stop: the attempt does not count."""
        changes = {"attempts": max(entry.record.attempts - 1, 0)}
        limit = {"attempts_limit": self._settings.attempts + 1}
        self._fire(entry, serial, "recover", changes=changes, payload=limit)

    # -- events of the engine's own ---------------------------------------------------------

    def _fire(self, entry: Entry, serial: int, event: str, tries: int = 0, **request: Any) -> bool:
        """Fires an event of the engine's own, later again if it cannot be saved.

        Returns True when it has been fired.
        """
        with entry.lock:
            if entry.serial != serial:
                _log.info("task %s: %r comes too late, dropped", entry.record.id, event)
                return False
            try:
                self.tasks.send(entry, event, **request)
            except IllegalTransition as error:
                _log.info("dropped: %s", error)
                return False
            except (TaskNotSaved, InvalidTaskFile) as error:
                self._retry_later(
                    entry, tries, error, partial(self._fire, entry, serial, event), request
                )
                return False
        return True

    def _retry_later(
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
            self.tasks.tell(INTERNAL_ERROR, entry.record, reason)
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
            if entry.worker is None and self._fire(entry, serial, "begin"):
                self._running.add(entry.record.id)

    def _start_work(self, handler: Handler, entry: Entry, serial: int) -> None:
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
                self.tasks.tell(STATE_UPDATE, progressed(entry.record, done, total, path))

    def _worked(
        self, entry: Entry, serial: int, executor: Executor, future: Future[Outcome | Stopped]
    ) -> None:
        with entry.lock:
            entry.worker = None
            record, current = entry.record, entry.serial
        try:
            if current == serial:
                self._apply_outcome(entry, serial, record, executor, future)
            else:
                _log.info("task %s has moved on: an outcome is dropped", record.id)
                self._start_anew(entry)
        finally:
            self._ended(record)

    def _start_anew(self, entry: Entry) -> None:
        """What waited for an earlier worker of the task starts now: its removal, its next stage."""
        with entry.lock:
            for start in self._starts.get(entry.record.state, ()):
                start(entry)

    def _apply_outcome(
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
            self._fire(entry, serial, "recover", payload=limit, message=message)
            return
        except BaseException as error:
            outcome = fail(f"{type(error).__name__}: {error}")
        if isinstance(outcome, Stopped):
            if self._stopping:
                self._take_back(entry, serial)
                return
            outcome = fail("the handler stopped without having been asked to")
        outcome = checked(outcome, record, self.tasks.lifecycle, entry.file.check)
        outcome = self._allowed(outcome, record)
        self._fire(
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
            edge = self.tasks.machine.edge_taken(record, outcome.event)
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
        role = self.tasks.role(entry.record)
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
            if entry.serial != serial or self.tasks.lifecycle.keeps_data(entry.record):
                return
            try:
                self._directories.remove(entry.record.id)
            except (OSError, InvalidPath) as error:
                again = partial(self._release, entry, serial)
                self._retry_later(entry, tries, error, again)

    def _expire(self, entry: Entry, serial: int) -> None:
        if entry.serial == serial:
            self._fire(entry, serial, "remove", message="kept as long as the settings say")

    def _expire_if_idle(self, entry: Entry, serial: int) -> None:
        """A task that waits for a client goes when nothing happens to it for `max_age_s`."""
        if entry.serial != serial:
            return
        due = self._last_activity(entry) + self._settings.max_age_s
        if due > self._clock():
            self._at(due, self._expire_if_idle, entry, serial)
        else:
            self._fire(
                entry, serial, "remove", message="no activity for as long as the settings say"
            )

    def _last_activity(self, entry: Entry) -> float:
        """When something last happened to a task that waits, in unix seconds."""
        identity = self.tasks.store.identity(entry.record.id)
        saved_at = 0.0 if identity is None else identity.mtime_ns / 1e9
        return max(saved_at, entry.active_at)

    def _pass(self, entry: Entry, serial: int) -> None:
        self._fire(entry, serial, "remove")

    def remove_now(self, entry: Entry) -> None:
        """Removes a task where no dispatcher works yet; the caller holds the entry's lock.

        Raises:
            OSError, InvalidPath, TaskNotSaved, InvalidTaskFile: It stays in `remove`; the
                dispatcher goes on with it.
        """
        self._clear(entry)
        self.tasks.send(entry, "forget")

    def _clear(self, entry: Entry) -> None:
        # Invariant: data first, then the task file: a crash between finds the task again.
        self.clean_up(entry.record)
        self._directories.remove(entry.record.id)

    def clean_up(self, record: Task) -> None:
        """Removes what the task has outside its directory; OSError where the disk refuses."""
        if self._clean_up is not None:
            self._clean_up(record)

    def _remove(self, entry: Entry, serial: int, tries: int = 0) -> None:
        with entry.lock:
            if entry.serial != serial or entry.worker is not None:
                return  # gone already, or its worker calls `resume` when it ends
            try:
                self._clear(entry)
            except (OSError, InvalidPath) as error:
                self._retry_later(entry, tries, error, partial(self._remove, entry, serial))
                return
        self._fire(entry, serial, "forget")

    # -- what the disk says -----------------------------------------------------------------

    def _look(self, now_monotonic: float) -> None:
        names = self._watch.look(now_monotonic)
        if names is not None:
            self.compare(names)

    def look_now(self) -> None:
        """Looks at the directory at once, and starts the tasks that were held."""
        try:
            self.compare(set(self.tasks.store.names()))
        except FileNotFoundError:
            _log.warning("the tasks directory is not there, which says nothing of the tasks")
        if self._executor is not None:
            self._start_what_waits()

    def compare(self, names: set[str]) -> None:
        """Takes in what the tasks directory says: files that were deleted, and new ones."""
        with self._comparing:
            self._compare(names)

    def _compare(self, names: set[str]) -> None:
        for entry in [e for i, e in list(self.tasks.entries.items()) if i not in names]:
            with entry.lock:
                self._check_deleted(entry)
        for task_id, invalid in list(self.tasks.invalid.items()):
            if task_id not in names and not os.path.lexists(invalid.path):
                self.tasks.unrefuse(task_id)
        for task_id in names:
            if task_id not in self.tasks.entries:
                entry = self.tasks.load(task_id)
                if entry is not None:
                    self.start_held(entry)

    def _check_deleted(self, entry: Entry) -> None:
        record = entry.record
        there = isinstance(entry.saved, Task) and self.tasks.role(record) is not Role.GONE
        # Only lstat decides: the names may be older than the file.
        if not there or self.tasks.store.exists(record.id):
            return
        try:
            self.tasks.deleted(entry)
        except (TaskNotSaved, InvalidTaskFile) as error:
            _log.warning("%s", error)

    def _remove_deleted(self, entry: Entry, serial: int) -> None:
        self._fire(entry, serial, "remove", message="its task file was deleted")


def _stop_worker(entry: Entry) -> None:
    if isinstance(entry.worker, LocalWork):
        entry.worker.stop()


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
