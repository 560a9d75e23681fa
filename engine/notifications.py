"""Notifications: each callback has a thread of its own and gets its notifications in order."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from queue import SimpleQueue
from typing import Any

from attrs import define, field, frozen

from ..persistence import as_dictionary
from ..statemachine import JSONObject, Task
from ..statemachine.evolving import evolve

_log = logging.getLogger(__name__)

CHUNK_REQUEST = "ChunkRequest"
STATE_UPDATE = "StateUpdate"
INTERNAL_ERROR = "InternalError"
NOTIFICATIONS = (CHUNK_REQUEST, STATE_UPDATE, INTERNAL_ERROR)

#: Gets the notification's name and its status.
Callback = Callable[[str, dict[str, Any]], object]
#: An integrator's own: gets the record as it was when the state was entered.
EntryCallback = Callable[[Any], object]
Unsubscribe = Callable[[], None]
#: Gets the notification itself, with the task's record instead of a dictionary.
Follower = Callable[["Notification"], object]
#: Whether a follower wants a notification.
Wanted = Callable[["Notification"], bool]
#: Gets each notification at once, in the thread that changes the task.
Observer = Callable[["Notification"], object]

#: So long entry callbacks wait for subscribers to have the notification first; then those are
#: slow, and nobody waits for them until they have caught up.
_PATIENCE_S = 1.0


class Status(dict[str, Any]):
    """What a callback gets with a notification: the documented dictionary.

    Its keys are `taskid`, `offset` (of the data wanted), `chunksize` (the most bytes of the next
    chunk), `state`, `message`, and `task` (the record as a dictionary).
    """

    #: True if the task has just entered its state; False for whatever else is told of it.
    entered: bool = False


@frozen(eq=False, repr=False)
class Notification:
    """What happened to a task, with its record as it was at that moment."""

    name: str
    #: None: there is no such task. A dictionary is what a program says of one.
    record: Task | JSONObject | None
    message: str | None
    chunk_size: int
    #: The state that is reported for a task that does not exist.
    gone: str
    #: The task has just entered its state.
    entered: bool

    @property
    def task_id(self) -> str | None:
        """None: there is no such task."""
        if self.record is None:
            return None
        return self.record.id if isinstance(self.record, Task) else self.record.copy().get("id")

    @property
    def state(self) -> str | None:
        """The state that is told."""
        if self.record is None:
            return self.gone
        record = self.record
        return record.state if isinstance(record, Task) else record.copy().get("state")

    def status(self) -> Status:
        """A new one for each callback."""
        if self.record is None:
            known = {"taskid": None, "offset": None, "chunksize": None, "task": None}
            return Status(known, state=self.gone, message=self.message)
        task = as_dictionary(self.record) if isinstance(self.record, Task) else self.record.copy()
        status = Status(
            taskid=task.get("id"),
            offset=task.get("offset"),
            chunksize=self.chunk_size,
            state=task.get("state"),
            message=self.message,
            task=task,
        )
        status.entered = self.entered
        return status


class _Latch:
    """Opens when the lanes have passed, or when the slow ones have had their time."""

    def __init__(self, lanes: Iterable[_Lane]) -> None:
        self._missing = set(lanes)
        self._lock = threading.Lock()
        self._open = threading.Event()
        self._until_s = time.monotonic() + _PATIENCE_S

    def passed(self, lane: _Lane) -> None:
        with self._lock:
            self._missing.discard(lane)
            if not self._missing:
                self._open.set()

    def wait(self) -> None:
        if not self._open.wait(max(self._until_s - time.monotonic(), 0)):
            with self._lock:
                for lane in self._missing:
                    lane.slow = True


@define(eq=False, repr=False)
class _Lane:
    """The thread of one callback."""

    callback: Callable[..., object]
    #: Of a follower: which notifications it wants; None: a subscriber, who gets the status of all.
    wanted: Wanted | None = None
    active: bool = True
    #: True: nobody waits for it, until it has caught up.
    slow: bool = False
    _jobs: SimpleQueue[Callable[[], object] | None] = field(factory=SimpleQueue, init=False)
    _thread: threading.Thread = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._thread = threading.Thread(
            target=self._run, name="musictasks-notifications", daemon=True
        )
        self._thread.start()

    def put(self, job: Callable[[], object]) -> None:
        self._jobs.put(job)

    def end(self) -> None:
        """The jobs that are in line still run."""
        self._jobs.put(None)

    def join(self, timeout_s: float) -> None:
        """Waits for the end; not from the lane's own callback."""
        if self._thread is not threading.current_thread():
            self._thread.join(max(timeout_s, 0))

    def delivered(self) -> None:
        """The callback has returned from a notification."""
        if self._jobs.empty():
            self.slow = False

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            if self.active:
                try:
                    job()
                except Exception:
                    _log.exception("the callback %r raised; the others go on", self.callback)


class Notifier:
    """Tells the subscribers. `tell` never blocks and never fails."""

    def __init__(self, chunk_size_bytes: int, gone: str) -> None:
        """`gone`: the state that is reported for a task that does not exist."""
        self._chunk_size = chunk_size_bytes
        self._gone = gone
        self._lock = threading.Lock()
        # Replaced, never changed: read without the lock.
        self._subscribers: tuple[_Lane, ...] = ()
        self._observers: tuple[Observer, ...] = ()
        self._on_enter: Mapping[str, tuple[_Lane, ...]] = {}
        self._on_refresh: tuple[_Lane, ...] = ()

    def subscribe(self, callback: Callback) -> Unsubscribe:
        return self._take_in(_Lane(_callable(callback)))

    def follow(self, callback: Follower, wanted: Wanted) -> Unsubscribe:
        return self._take_in(_Lane(_callable(callback), _callable(wanted)))

    def observe(self, observer: Observer) -> Unsubscribe:
        _callable(observer)
        with self._lock:
            self._observers = (*self._observers, observer)

        def unsubscribe() -> None:
            with self._lock:
                self._observers = tuple(one for one in self._observers if one is not observer)

        return unsubscribe

    def _take_in(self, lane: _Lane) -> Unsubscribe:
        with self._lock:
            self._subscribers = (*self._subscribers, lane)

        def unsubscribe() -> None:
            with self._lock:
                self._subscribers = tuple(one for one in self._subscribers if one is not lane)
            _end(lane)

        return unsubscribe

    def on_enter(self, state: str, callback: EntryCallback) -> Unsubscribe:
        lane = _Lane(_callable(callback))
        with self._lock:
            lanes = (*self._on_enter.get(state, ()), lane)
            self._on_enter = {**self._on_enter, state: lanes}

        def unsubscribe() -> None:
            with self._lock:
                # After `close` nothing is left of the state.
                lanes = tuple(one for one in self._on_enter.get(state, ()) if one is not lane)
                self._on_enter = {**self._on_enter, state: lanes}
            _end(lane)

        return unsubscribe

    def on_refresh(self, callback: Callable[[], object]) -> Unsubscribe:
        lane = _Lane(_callable(callback))
        with self._lock:
            self._on_refresh = (*self._on_refresh, lane)

        def unsubscribe() -> None:
            with self._lock:
                self._on_refresh = tuple(one for one in self._on_refresh if one is not lane)
            _end(lane)

        return unsubscribe

    def tell(
        self,
        name: str,
        record: Task | JSONObject | None,
        message: str | None = None,
        *,
        entered: str | None = None,
        refresh: bool = False,
    ) -> None:
        """Puts a notification in every subscriber's line, then the callbacks that follow it."""
        followers = self._on_enter.get(entered, ()) if entered else ()
        refreshers = self._on_refresh if refresh else ()
        subscribers, observers = self._subscribers, self._observers
        if not (subscribers or observers or followers or refreshers):
            return
        notification = Notification(
            name, record, message, self._chunk_size, self._gone, entered is not None
        )
        for observer in observers:
            try:
                observer(notification)
            except Exception:
                _log.exception("the observer %r raised; the others go on", observer)
        subscribers = [one for one in subscribers if one.wanted is None or one.wanted(notification)]
        waited_for = [lane for lane in subscribers if not lane.slow]
        latch = _Latch(waited_for) if waited_for and (followers or refreshers) else None
        for lane in subscribers:
            lane.put(partial(_deliver, lane, notification, latch))
        for lane in followers:
            lane.put(lambda lane=lane: _follow(latch, lane.callback, record))
        for lane in refreshers:
            lane.put(lambda lane=lane: _follow(latch, lane.callback))

    def entered(self, record: Task) -> None:
        """Calls what was registered for the record's state, without a notification."""
        for lane in self._on_enter.get(record.state, ()):
            lane.put(lambda lane=lane: lane.callback(record))

    def close(self, timeout_s: float) -> None:
        """Delivers what is in line; a callback that does not return is left behind."""
        with self._lock:
            entered = [lane for lanes in self._on_enter.values() for lane in lanes]
            lanes = [*self._subscribers, *entered, *self._on_refresh]
            self._subscribers, self._on_enter, self._on_refresh = (), {}, ()
            self._observers = ()
        until_s = time.monotonic() + timeout_s
        for lane in lanes:
            lane.end()
        for lane in lanes:
            lane.join(until_s - time.monotonic())


def progressed(record: Task, done: int, total: int, path: str | None) -> Task:
    """The record with `annotations.progress`; for a notification, never saved."""
    progress = {"done": done, "total": total, "path": path}
    return evolve(record, annotations={**record.annotations, "progress": progress})


def _deliver(lane: _Lane, notification: Notification, latch: _Latch | None) -> None:
    try:
        if lane.wanted is None:
            lane.callback(notification.name, notification.status())
        else:
            lane.callback(notification)
    finally:
        if latch is not None:
            latch.passed(lane)
        lane.delivered()


def _follow(latch: _Latch | None, callback: Callable[..., object], *args: object) -> None:
    if latch is not None:
        latch.wait()
    callback(*args)


def _callable(callback: Any) -> Any:
    if not callable(callback):
        raise TypeError(f"a callback is a function, not {callback!r}")
    return callback


def _end(lane: _Lane) -> None:
    lane.active = False
    lane.end()
