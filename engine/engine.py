"""The engine: events in, work done, notifications out."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast

from attrs import define, evolve, field, fields, frozen

from ..errors import EngineClosed, IllegalTransition, InvalidTaskFile, TaskInvalid, TaskNotFound
from ..files import OwnedDirectories
from ..persistence import TASK_ID, DirectoryOwner
from ..statemachine import Edge, JSONObject, Lifecycle, Role, Sender, Task
from ..statemachine.machine import RESERVED
from .held import HeldTask
from .notifications import (
    NOTIFICATIONS,
    Callback,
    EntryCallback,
    Follower,
    Notifier,
    Observer,
    Unsubscribe,
    Wanted,
)
from .runner import Runner
from .settings import EngineSettings
from .table import Table
from .tasks import Tasks

#: Annotations of a client in one call, as JSON.
_ANNOTATIONS_MOST_BYTES = 1024 * 1024

#: Fields that only the engine writes, besides those that no event can set.
_OWN_FIELDS = frozenset({"attempts", "initialization_time", "update_time"})

T = TypeVar("T", bound=Task)


def _random_id() -> str:
    return str(uuid.uuid4())


@frozen(eq=False, repr=False)
class Parts:
    """What an engine is put together from; made by `open_engine`."""

    settings: EngineSettings
    runner: Runner
    directories: OwnedDirectories
    notifier: Notifier
    owner: DirectoryOwner
    clock: Callable[[], float]


@define(eq=False, repr=False)
class Engine(Generic[T]):
    """Runs tasks of a lifecycle. Made by `open_engine`; works inside `with engine:`.

    Before that its calls work, too, but whatever they start waits in the queue. Every method may
    be called from any thread, also from a callback.
    """

    _parts: Parts
    _new_id: Callable[[], str] = field(default=_random_id, kw_only=True)
    _started: bool = field(default=False, init=False)
    _closed: bool = field(default=False, init=False)
    #: Called once, at the beginning of the close.
    _at_close: dict[object, Callable[[], object]] = field(factory=dict, init=False)

    @property
    def settings(self) -> Any:
        """What the engine was opened with."""
        return self._parts.settings

    @property
    def lifecycle(self) -> Lifecycle:
        """What its tasks may do."""
        return self._tasks.lifecycle

    @property
    def _runner(self) -> Runner:
        return self._parts.runner

    @property
    def _tasks(self) -> Tasks:
        return self._parts.runner.tasks

    @property
    def _table(self) -> Table:
        return self._parts.runner.table

    @property
    def _notifier(self) -> Notifier:
        return self._parts.notifier

    @property
    def is_started(self) -> bool:
        """Whether the work has been started, also if the engine was closed since."""
        return self._started

    @property
    def is_working(self) -> bool:
        """Whether it was started, is not closed, and the tasks directory is the one it took."""
        return self._started and not self._closed and self._parts.owner.is_owned

    # -- life -------------------------------------------------------------------------------

    def start(self) -> None:
        """Recovers the tasks that were loaded and starts the work; `with engine:` calls it.

        Raises:
            EngineClosed: The engine was closed.
        """
        self.check_open()
        if not self._started:
            try:
                self._runner.start()
            except BaseException:
                self.close()
                raise
            self._started = True

    def close(self) -> None:
        """Stops cleanly and gives the directory free; `with engine:` calls it at its end.

        Handlers are asked to stop and get `stop_timeout_s` seconds; what did not end is queued
        again at the next start, and the directory stays taken until it has ended. Notifications
        in line are delivered.
        """
        if self._closed:
            return
        self._closed = True
        for callback in list(self._at_close.values()):
            callback()
        try:
            if self._started:
                self._runner.workers.stop()
            self._runner.save_amended()
            self._tasks.close()
            self._notifier.close(self._parts.settings.stop_timeout_s)
        finally:
            # Invariant: as long as a handler works, nobody else begins its task.
            self._runner.workers.when_idle(self._give_free)

    def _give_free(self) -> None:
        self._table.store.close()
        self._parts.owner.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def check_open(self) -> None:
        """Raises EngineClosed if the engine was closed."""
        if self._closed:
            raise EngineClosed

    # -- listening --------------------------------------------------------------------------

    def subscribe(self, callback: Callback) -> Unsubscribe:
        """Calls `callback(notification, status)` for each notification, in order.

        Each callback has a thread of its own: a slow one delays nobody else, and one that raises
        is logged. Returns a function that ends it.
        """
        self.check_open()
        return self._notifier.subscribe(callback)

    def follow(self, callback: Follower, wanted: Wanted) -> Unsubscribe:
        """Calls `callback(notification)` for the notifications that are wanted, in order.

        For programs that look at every change of many tasks: the notification has the record
        itself, where `subscribe` makes a dictionary of it for each callback. `wanted(notification)`
        is asked in the thread that changes the task, which it must not keep, and must not raise;
        the callback has a thread of its own, as a subscriber has. Returns a function that ends it.
        """
        self.check_open()
        return self._notifier.follow(callback, wanted)

    def observe(self, observer: Observer) -> Unsubscribe:
        """Calls `observer(notification)` at once, in the thread that changes the task.

        For programs that keep count of all that happens, and would pay more for a thread of their
        own than for what they do: the task is locked meanwhile, so the observer must take
        microseconds, and must not call the engine. What it raises is logged. Notifications of one
        task come in order; those of several tasks come from several threads at once. Returns a
        function that ends it.
        """
        self.check_open()
        return self._notifier.observe(observer)

    def on_enter(self, state: str, callback: EntryCallback) -> Unsubscribe:
        """Calls `callback(task)` after a task has entered `state` and the notification is out.

        At most once: after a crash it is not called again. What must not be lost is a stage.
        The last state, after the removal, is not notified, but this is called for it, too.

        Raises:
            LifecycleError: There is no such state.
        """
        self.check_open()
        self.lifecycle.require(state)
        return self._notifier.on_enter(state, callback)

    def on_close(self, callback: Callable[[], object]) -> Unsubscribe:
        """Calls `callback()` when the engine begins to close, in the thread that closes it.

        It must not block or raise: it is for who waits for something that will not come now.

        Raises:
            EngineClosed: It was closed before.
        """
        key = object()
        self._at_close[key] = callback
        # Invariant: looked at afterwards, so that a close meanwhile is seen here or calls it.
        self.check_open()

        def end() -> None:
            self._at_close.pop(key, None)

        return end

    def on_refresh(self, callback: Callable[[], object]) -> Unsubscribe:
        """Calls `callback()` after each entry into a state that is declared to refresh: clients
        shall update their caches.
        """
        self.check_open()
        return self._notifier.on_refresh(callback)

    # -- reading ----------------------------------------------------------------------------

    def get(self, task_id: str) -> T:
        """The record of a task as it is now.

        Raises:
            TaskNotFound: There is no such task.
            InvalidTaskFile: Its file does not load.
        """
        return cast(T, self._table.find(task_id).record)

    def tasks(self) -> list[T]:
        """The records of all tasks, the oldest first."""
        return cast(list[T], self._table.records())

    def invalid(self) -> list[InvalidTaskFile]:
        """The task files that do not load, with the reasons; they are left as they are."""
        return list(self._table.invalid.values())

    def wait(self, task_id: str, states: Collection[str] | str, timeout: float | None = None) -> T:
        """Waits until a task enters one of `states`, and returns its record of that moment.

        Also if that has happened already, since the task was made, loaded or last retried; the
        last 1,000 removed tasks can still be asked for.

        Args:
            task_id: The id of the task.
            states: Names of states.
            timeout: Seconds; None waits for ever.

        Raises:
            TaskFailed: It entered a failed state, or the removal, instead.
            TimeoutError: None of it happened in time.
            TaskNotFound: There is no such task.
            EngineClosed: The engine was closed meanwhile.
        """
        self.check_open()
        states = {states} if isinstance(states, str) else states
        return cast(T, self._tasks.waiting.wait(task_id, frozenset(map(str, states)), timeout))

    # -- tasks ------------------------------------------------------------------------------

    def create(
        self,
        event: str,
        task_id: str | None = None,
        *,
        annotations: Mapping[str, Any] | None = None,
        payload: Mapping[str, Any] | None = None,
        message: str | None = None,
        hold: bool = False,
        **values: Any,
    ) -> T:
        """Makes a task by its first event: one that an edge from the initial state has.

        Args:
            event: The event.
            task_id: 1 to 64 of `A-Z a-z 0-9 -`; a new UUID4 where it is None.
            annotations: What is noted about it.
            payload: What the guards may ask besides the record.
            message: Kept in the history, and told as an `InternalError`.
            hold: What its first state starts waits for `release`, `look`, or the next start.
            values: Fields of the record, by their Python names.

        Raises:
            TaskExists: The id is known already.
            TaskInvalid: The record cannot hold this; it says where.
            IllegalTransition: No edge from the initial state has this event, or none allows it.
            TaskNotSaved: The disk refused. There is no task.
        """
        self.check_open()
        task_id = self._new_id() if task_id is None else task_id
        check_task_id(task_id)
        if annotations:
            check_annotations(annotations)
        record = self.draft(task_id, annotations=annotations, **values)
        self._check_record(record, values)
        made = self._tasks.create(
            record,
            event,
            starts=not hold,
            as_error=message is not None,
            payload=payload or {},
            message=message,
        )
        return cast(T, made)

    def draft(self, task_id: str, **values: Any) -> T:
        """The record that a task begins with, in memory only; no value of it is checked yet.

        Raises:
            TaskInvalid: The record has no such field.
        """
        kind = self.lifecycle.record
        _check_names(kind, task_id, values)
        try:
            record = kind(id=task_id, state=self.lifecycle.initial, **values)
        except (TypeError, ValueError) as error:
            raise TaskInvalid(task_id, str(error)) from error
        return cast(T, record)

    def _check_record(self, record: Task, names: Collection[str]) -> None:
        try:
            self._table.store.task_file(record.id).check(record, names)
        except (TypeError, ValueError, OSError) as error:
            raise TaskInvalid(record.id, str(error)) from error

    def directory(self, task_id: str) -> Path:
        """The task's own directory, which goes with the task; it is made where it is missing.

        Raises:
            TaskNotFound, InvalidTaskFile: There is no such task.
            InvalidPath, OSError: It cannot be made, or something else has its place.
        """
        self.check_open()
        with self._table.locked(task_id) as entry:
            if self._table.role(entry.record) is Role.REMOVING:
                raise TaskNotFound(task_id)
            return self._parts.directories.make(entry.record.id)

    @contextmanager
    def hold(self, task_id: str) -> Iterator[HeldTask]:
        """Locks a task for the time of a `with` block, to do several things with it as one.

        Raises:
            TaskNotFound, InvalidTaskFile: There is no such task.
            EngineClosed: The engine was closed.
        """
        self.check_open()
        with self._table.locked(task_id) as entry:
            yield HeldTask(self._tasks, entry)

    def held_in(self, state: str) -> Iterator[HeldTask]:
        """Locks each task that is in a state, one after the other, as `hold` does.

        Raises:
            EngineClosed: The engine was closed.
        """
        self.check_open()
        for entry in list(self._table.entries.values()):
            if entry.record.state == state:
                with entry.lock:
                    if entry.record.state == state:
                        yield HeldTask(self._tasks, entry)

    def edge_taken(
        self, task: Task, event: str, payload: Mapping[str, Any] | None = None
    ) -> Edge | None:
        """The edge that `event` would take a task with this record along; None where it is refused.

        Nothing happens: the guards are asked, and nobody else.
        """
        return self._tasks.machine.edge_taken(task, event, payload or {})

    def on_resume(self, state: str, callback: Callable[[HeldTask], object]) -> None:
        """Lets `callback(task)` go on with each task that is found in `state` by a start.

        Before it rests; in the engine's thread, with the task locked. If it raises OSError,
        InvalidPath, TaskNotSaved or InvalidTaskFile, it is called again later. One for each state.
        After the start, those that have rested there since are gone on with now.

        Raises:
            LifecycleError: There is no such state.
        """
        self.check_open()
        self.lifecycle.require(state)
        self._runner.on_resume(state, lambda entry: callback(HeldTask(self._tasks, entry)))

    def annotate(self, task_id: str, annotations: Mapping[str, Any]) -> T:
        """Merges annotations into those of a task, saves and notifies them.

        Raises:
            TypeError, ValueError: Nothing that JSON can hold, or more than 1 MiB; it says where.
            TaskNotFound, TaskNotSaved, InvalidTaskFile: Nothing has changed.
            IllegalTransition: The task is being removed.
        """
        self.check_open()
        if not isinstance(annotations, Mapping):
            raise TypeError(f"annotations are a mapping, not {type(annotations).__name__}")
        entry = self._table.find(task_id)
        check_annotations(annotations)
        with entry.lock:
            return cast(T, self._tasks.annotate(entry, annotations))

    def send(
        self,
        task_id: str,
        event: str,
        *,
        changes: Mapping[str, Any] | None = None,
        annotations: Mapping[str, Any] | None = None,
        message: str | None = None,
        payload: Mapping[str, Any] | None = None,
    ) -> T:
        """Sends an event of a client's to a task.

        Args:
            task_id: The id of the task.
            event: One whose edges are declared with the sender `client`.
            changes: Fields of the record to change with it, by their Python names.
            annotations: Annotations to merge into the task's.
            message: Kept in the history.
            payload: What the guards may ask besides the record.

        Raises:
            IllegalTransition: Not from its state, or not by a client.
            TaskInvalid: The changes are nothing that the record can hold.
            ValueError: The annotations are nothing that JSON can hold.
            TaskNotFound, TaskNotSaved, InvalidTaskFile: Nothing has changed.
        """
        self.check_open()
        entry = self._table.find(task_id)
        if annotations:
            check_annotations(annotations)
        with entry.lock:
            record = entry.record
            edges = self.lifecycle.edges_from(record.state, event)
            if any(edge.sender is not Sender.CLIENT for edge in edges):
                ways = self.lifecycle.edges_from(record.state)
                allowed = dict.fromkeys(e.event for e in ways if e.sender is Sender.CLIENT)
                raise IllegalTransition(record.id, record.state, event, tuple(allowed))
            if changes:
                self._check_record(_changed(record, changes), changes)
            sent = self._tasks.send(
                entry,
                event,
                changes=changes or {},
                annotations=annotations or {},
                message=message,
                payload=payload or {},
            )
            return cast(T, sent)

    def retry(self, task_id: str) -> T:
        """Does again what failed: sends the event `retry`; raises as `send`."""
        return self.send(task_id, "retry")

    def remove(self, task_id: str) -> T:
        """Removes a task and its directory. On a task that is being removed: nothing happens.

        Raises:
            TaskNotFound, TaskNotSaved, InvalidTaskFile: Nothing has changed.
        """
        self.check_open()
        entry = self._table.find(task_id)
        with entry.lock:
            return cast(T, self._tasks.remove(entry))

    def discard(self, task_id: str) -> None:
        """Removes a task and its directory, and returns when it is gone; also before `start`.

        Raises:
            TaskNotFound, TaskNotSaved, InvalidTaskFile: Nothing has changed.
            OSError, InvalidPath: Before `start` only: its data cannot be removed yet.
            EngineClosed: The engine was closed meanwhile.
        """
        self.check_open()
        entry = self._table.find(task_id)
        with entry.lock:
            self._tasks.remove(entry)
            if not self._started and entry.record.state != self.lifecycle.gone:
                self._runner.resting.remove_now(entry)
        self._tasks.waiting.wait_for(entry, {self.lifecycle.gone}, None)

    def release(self, task_id: str) -> T:
        """Starts what the state of a task starts, if it was made with `hold`; else nothing happens.

        Raises:
            TaskNotFound, InvalidTaskFile: There is no such task.
        """
        self.check_open()
        entry = self._table.find(task_id)
        self._runner.start_held(entry)
        return cast(T, entry.record)

    def look(self) -> None:
        """Looks at the tasks directory now: what was deleted, what is new; starts what was held."""
        self.check_open()
        self._runner.look_now()

    def is_known(self, task_id: str) -> bool:
        """Whether there is a task or a task file of this id, one that loads or not."""
        return self._table.known(task_id)

    def was_removed(self, task_id: str) -> bool:
        """Whether a task of this id is among the 1,000 that were removed last."""
        return self._table.was_removed(task_id)

    def has_file(self, task_id: str) -> bool:
        """Whether there is a task file of this id, one that loads or not."""
        return bool(TASK_ID.fullmatch(task_id)) and self._table.store.exists(task_id)

    def clean_up(self, task_id: str) -> None:
        """Removes what the task has outside its directory, as its removal will.

        Raises:
            TaskNotFound, InvalidTaskFile: There is no such task.
            OSError: The disk refuses.
        """
        self._runner.resting.clean_up(self._table.find(task_id).record)

    def notify(
        self, notification: str, task: Mapping[str, Any] | None, message: str | None = None
    ) -> None:
        """Sends a notification with what a program says of a task; None: there is none.

        Raises:
            ValueError: There is no such notification, or JSON cannot hold the dictionary.
        """
        self.check_open()
        if notification not in NOTIFICATIONS:
            names = ", ".join(NOTIFICATIONS)
            raise ValueError(f"there is no notification {notification!r}, but {names}")
        record = None if task is None else JSONObject(task)
        self._notifier.tell(notification, record, message)

    def new_id(self) -> str:
        """An id that no task has: a random UUID4."""
        return self._new_id()

    def now(self) -> float:
        """The engine's clock, in unix seconds."""
        return self._parts.clock()


def _changed(record: Task, changes: Mapping[str, Any]) -> Task:
    _check_names(type(record), record.id, changes)
    return evolve(record, **changes)


def _check_names(kind: type[Task], task_id: str, values: Iterable[str]) -> None:
    """Refuses values for fields that the record class has not, or that only the engine sets."""
    settable = _settable(kind)
    unknown = sorted(set(values) - settable - {"annotations", "unknown"})
    if unknown:
        reason = f"a {kind.__name__} has no field {', '.join(unknown)} to be set"
        raise TaskInvalid(task_id, f"{reason}; it has {', '.join(sorted(settable))}")


@cache
def _settable(kind: type[Task]) -> frozenset[str]:
    """The fields of a record that whoever makes or changes a task can set."""
    return frozenset(str(item.alias) for item in fields(kind)) - RESERVED - _OWN_FIELDS


def check_task_id(task_id: object) -> None:
    """Refuses what is no id of a task.

    Raises:
        TypeError: It is no text.
        TaskInvalid: It is not 1 to 64 of `A-Z a-z 0-9 -`.
    """
    if not isinstance(task_id, str):
        raise TypeError(f"a task id is text, not {task_id!r}")
    if not TASK_ID.fullmatch(task_id):
        shown = task_id[:80]
        raise TaskInvalid(shown, f"the id {shown!r} is not 1 to 64 of A-Z a-z 0-9 -")


def check_annotations(annotations: Mapping[str, Any]) -> None:
    """Raises ValueError if they are nothing that JSON can hold, or more than 1 MiB."""
    plain = JSONObject(annotations).copy()
    size = len(json.dumps(plain, ensure_ascii=False).encode())
    if size > _ANNOTATIONS_MOST_BYTES:
        raise ValueError(f"{size} bytes of annotations are more than 1 MiB")
