"""The tasks in memory, and the one way to change them: store, then memory, then tell."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import frozen

from ..errors import (
    EngineClosed,
    IllegalTransition,
    InvalidPath,
    InvalidTaskFile,
    TaskExists,
    TaskFailed,
    TaskFileDeleted,
    TaskFileEdited,
    TaskNotFound,
    TaskNotSaved,
)
from ..files import Identity, OwnedDirectories
from ..persistence import TASK_ID, TaskFile, TaskStore, merge_edit
from ..statemachine import Edge, Lifecycle, Role, Task, TaskMachine
from .entry import Absence, Entry, Waiter
from .notifications import CHUNK_REQUEST, INTERNAL_ERROR, STATE_UPDATE, Notifier

_log = logging.getLogger(__name__)

#: So many of the tasks that were removed last are kept, in memory, for `wait`.
_REMOVED_KEPT = 1000
#: A person (or a program) that edits a task file more often during one save wins.
_EDITS_MOST = 100

#: Called at an entry into a state with the task in memory; cannot fail or block.
OnEnter = Callable[[Entry], object]
#: What a client makes of a record.
Edit = Callable[[Task], Task]
#: Gets each record that was loaded, and returns the one that counts.
TakeOver = Callable[[Task], Task]
#: Told of each entry into a state, and of each task that was loaded; cannot fail or block.
Observer = Callable[[Task], object]


@frozen
class Sending:
    """One event on its way: what the machine's callbacks get besides the record."""

    entry: Entry
    #: The entry is notified as an `InternalError`.
    as_error: bool = False
    #: False: what the state starts waits for `Runner.start_held`.
    starts: bool = True


class Tasks:
    """The entries by task id, and the events that change them.

    Locks: an entry's lock before the table's, never two entries' at once. `send`, `change`, `move`
    and `annotate` want the entry's lock held; the other methods take it themselves.
    """

    def __init__(
        self,
        lifecycle: Lifecycle,
        store: TaskStore,
        directories: OwnedDirectories,
        notifier: Notifier,
        clock: Callable[[], float],
        *,
        on_enter: Mapping[str, Iterable[OnEnter]],
        deleted: OnEnter,
        take_over: TakeOver | None = None,
        observers: Iterable[Observer] = (),
    ) -> None:
        """`deleted` is called when the removal of a task whose file was deleted cannot be saved."""
        self.lifecycle = lifecycle
        self.store = store
        self.directories = directories
        self.notifier = notifier
        self.clock = clock
        self.entries: dict[str, Entry] = {}
        #: By the file's name without `.json`.
        self.invalid: dict[str, InvalidTaskFile] = {}
        self._deleted = deleted
        self._take_over = take_over
        self._observers = tuple(observers)
        self._refused: dict[str, Identity | None] = {}
        self._removed: OrderedDict[str, Entry] = OrderedDict()
        self._lock = threading.Lock()
        self._closed = False
        self._states = {state.name: state for state in lifecycle.states}
        self.machine = TaskMachine(
            lifecycle,
            save=self._save,
            entered=self._entered,
            on_enter={
                state: [_calling(callback) for callback in callbacks]
                for state, callbacks in on_enter.items()
            },
        )

    def role(self, record: Task) -> Role:
        return self._states[record.state].role

    def takes_chunks(self, record: Task) -> bool:
        return self._states[record.state].takes_chunks

    def find(self, task_id: str) -> Entry:
        """The entry of a task.

        Raises:
            TaskNotFound: There is none.
            InvalidTaskFile: There is a file of this name, but it does not load.
            TypeError: The id is no text.
        """
        if not isinstance(task_id, str):
            raise TypeError(f"a task id is text, not {task_id!r}")
        entry = self.entries.get(task_id)
        if entry is None or self.role(entry.record) is Role.INITIAL:
            if task_id in self.invalid:
                raise self.invalid[task_id]
            raise TaskNotFound(task_id)
        return entry

    @contextmanager
    def locked(self, task_id: str) -> Iterator[Entry]:
        """The entry of a task, locked; one that is being made is waited for. Raises as `find`."""
        entry = self.entries.get(task_id) or self.find(task_id)
        with entry.lock:
            if self.role(entry.record) in {Role.INITIAL, Role.GONE}:
                raise TaskNotFound(task_id)
            yield entry

    def records(self) -> list[Task]:
        """All records, the oldest tasks first."""
        found = [entry.record for entry in list(self.entries.values())]
        found = [record for record in found if self.role(record) is not Role.INITIAL]
        return sorted(found, key=lambda record: record.initialization_time or 0)

    # -- loading ----------------------------------------------------------------------------

    def add(self, file: TaskFile, record: Task) -> Entry | None:
        """Takes in a task that was loaded from its file; None if it cannot be taken over."""
        entry = Entry(record, record, file)
        try:
            self._bring_up_to_date(entry)
        except InvalidTaskFile as error:
            self.refuse(error)
            return None
        entry.passed[record.state] = entry.record
        with self._lock:
            self.entries[record.id] = entry
        self.unrefuse(record.id)
        self._observe(entry.record)
        return entry

    def _bring_up_to_date(self, entry: Entry) -> None:
        if self._take_over is None:
            return
        place = str(self.store.directory.root / f"{entry.record.id}.json")
        try:
            entry.record = self._take_over(entry.record)
        except (InvalidPath, OSError) as error:
            reason = error.reason if isinstance(error, InvalidPath) else str(error)
            raise InvalidTaskFile(place, f"its data cannot be taken over: {reason}") from error
        if entry.record is not entry.saved:
            try:
                entry.file.save(entry.record)
                entry.saved = entry.record
            except (OSError, TaskFileDeleted, TaskFileEdited) as error:
                # Taken over again at the next start, or stored with the next save.
                _log.warning("task %s: taken over, but not saved yet: %s", entry.record.id, error)

    def refuse(self, invalid: InvalidTaskFile) -> None:
        """Takes note of a file that does not load; it is looked at again when it changes."""
        task_id = Path(invalid.path).stem
        _log.warning("%s", invalid)
        self.invalid[task_id] = invalid
        if TASK_ID.fullmatch(task_id):
            self._refused[task_id] = self.store.identity(task_id)

    def unrefuse(self, task_id: str) -> None:
        """The file is gone."""
        self.invalid.pop(task_id, None)
        self._refused.pop(task_id, None)

    def load(self, task_id: str) -> Entry | None:
        """Takes in a file that appeared, or that did not load and has changed since.

        None where there is nothing new, or it does not load.
        """
        refused = self._refused.get(task_id)
        if refused is not None and refused == self.store.identity(task_id):
            return None
        try:
            return self.add(*self.store.load(task_id))
        except TaskFileDeleted:
            return None
        except InvalidTaskFile as error:
            self.refuse(error)
            return None

    # -- changing ---------------------------------------------------------------------------

    def create(
        self,
        record: Task,
        event: str,
        *,
        starts: bool = True,
        as_error: bool = False,
        **request: Any,
    ) -> Task:
        """Makes a task by its first event.

        Args:
            record: In the initial state.
            event: The event that makes it.
            starts: False: it is stored and told, but what its state starts waits.
            as_error: It is notified as an `InternalError`.
            request: As of `TaskMachine.send`.

        Raises:
            TaskExists: The id is known already.
            IllegalTransition, TaskNotSaved: There is no task.
        """
        entry = Entry(record, Absence.NOT_YET, self.store.task_file(record.id))
        with entry.lock:
            with self._lock:
                if self.known(record.id):
                    raise TaskExists(record.id)
                self.entries[record.id] = entry
            try:
                return self.send(entry, event, starts=starts, as_error=as_error, **request)
            except BaseException:
                with self._lock:
                    del self.entries[record.id]
                raise

    def known(self, task_id: str) -> bool:
        return task_id in self.entries or task_id in self.invalid or self.store.exists(task_id)

    def removed(self, task_id: str) -> bool:
        """Whether a task of this id is among those that were removed last."""
        return task_id in self._removed

    def send(
        self,
        entry: Entry,
        event: str,
        *,
        as_error: bool = False,
        starts: bool = True,
        **request: Any,
    ) -> Task:
        """Sends an event (`TaskMachine.send`) and returns the task's next record.

        Raises:
            IllegalTransition, TransitionRefused: The event is not allowed; nothing happened.
            TaskNotSaved: The disk refused; nothing happened.
            InvalidTaskFile: Somebody broke the task file; nothing happened.
        """
        if entry.saved is Absence.DELETED and event != "remove":
            self.deleted(entry)
        sending = Sending(entry, as_error, starts)
        return self._store(
            entry,
            lambda: self.machine.send(
                entry.record, event, now=self.clock(), subject=sending, **request
            ),
        )

    def remove(self, entry: Entry) -> Task:
        """Sends `remove`, unless the task is on its way out already; raises as `send`."""
        try:
            if self.role(entry.record) not in {Role.REMOVING, Role.GONE}:
                self.send(entry, "remove")
        except IllegalTransition:
            # The user deleted the task file meanwhile: that is a removal, too.
            if self.role(entry.record) is not Role.REMOVING:
                raise
        return entry.record

    def annotate(self, entry: Entry, annotations: Mapping[str, Any]) -> Task:
        """Merges a client's annotations; raises as `send`, and ValueError."""

        def annotated(record: Task) -> Task:
            if self.role(record) is Role.REMOVING:
                allowed = self.lifecycle.events_from(record.state)
                raise IllegalTransition(record.id, record.state, "annotate", allowed)
            return record.annotated(annotations)

        self.tell(STATE_UPDATE, record := self.change(entry, annotated))
        return record

    def change(self, entry: Entry, edit: Edit) -> Task:
        """Saves what `edit` makes of the record, its state as it is; raises as `send`."""
        if entry.saved is Absence.DELETED:
            self.deleted(entry)

        def changed() -> Task:
            if self.role(entry.record) is Role.GONE:
                raise TaskNotFound(entry.record.id)
            record = edit(entry.record)
            self._save(record, Sending(entry))
            return record

        return self._store(entry, changed)

    def move(
        self,
        entry: Entry,
        edit: Edit,
        choose: Callable[[Task], str | None],
        message: str | None = None,
    ) -> Task:
        """Sends the event that `choose` names to what `edit` makes of the record, as one step.

        None: nothing is left to do. A message is told as an `InternalError`. Raises as `send`.
        """
        if entry.saved is Absence.DELETED:
            self.deleted(entry)
        sending = Sending(entry, as_error=message is not None)

        def moved() -> Task:
            event = choose(record := edit(entry.record))
            if event is None:
                return entry.record
            return self.machine.send(
                record, event, now=self.clock(), message=message, subject=sending
            )

        return self._store(entry, moved)

    def tell(self, name: str, record: Task, message: str | None = None) -> None:
        self.notifier.tell(name, record, message)

    def deleted(self, entry: Entry) -> None:
        """The user deleted the task file: the task goes to `remove`, and its file comes back.

        Raises:
            TaskNotSaved, InvalidTaskFile: Not now; it is tried again.
        """
        is_new = entry.saved is not Absence.DELETED
        entry.saved = Absence.DELETED
        if self.role(entry.record) is not Role.REMOVING:
            try:
                self.send(entry, "remove", message="its task file was deleted")
            except (TaskNotSaved, InvalidTaskFile):
                if is_new:
                    self._deleted(entry)
                raise

    def _store(self, entry: Entry, action: Callable[[], Task]) -> Task:
        """Runs something that saves, again if the user did something to the file meanwhile."""
        edited = False
        for _ in range(_EDITS_MOST):
            try:
                if edited:
                    entry.record = merge_edit(entry.record, entry.file.reload())
                    edited = False
                entry.record = action()
            except TaskFileEdited:
                edited = True
            except TaskFileDeleted:
                # What the action was comes too late, and the machine will say so.
                self.deleted(entry)
                edited = False
            except OSError as error:
                raise TaskNotSaved(entry.record.id, error.strerror or str(error)) from error
            else:
                return entry.record
        raise TaskNotSaved(entry.record.id, "its task file changes all the time")

    def _save(self, record: Task, sending: Sending) -> None:
        if self._closed:
            raise EngineClosed
        entry = sending.entry
        if record.state == self.lifecycle.gone:
            entry.file.delete()
            return
        if self.lifecycle.keeps_data(record) and not self.lifecycle.keeps_data(entry.record):
            # Data of no use any more, or of no task, is never taken for the new one's.
            self.directories.remove(record.id)
        if isinstance(entry.saved, Task):
            entry.file.save(record)
        else:
            self._create_file(entry, record)
        entry.saved = record

    @staticmethod
    def _create_file(entry: Entry, record: Task) -> None:
        try:
            entry.file.create(record)
        except FileExistsError:
            if entry.saved is not Absence.DELETED:
                raise
            # Deleted and put back by hand: the deletion was seen, and stands.
            entry.file.reload()
            entry.file.save(record)

    def save_amended(self, entry: Entry) -> None:
        """Saves a record that is ahead of its file, as an upload's offset is; raises as `send`."""
        if isinstance(entry.saved, Task) and entry.record is not entry.saved:
            self.change(entry, lambda record: record)

    # -- entries into states ----------------------------------------------------------------

    def _entered(self, record: Task, edge: Edge, sending: Sending) -> None:
        entry = sending.entry
        entry.record = record
        entry.serial += 1
        if sending.starts:
            entry.started = entry.serial
        if edge.begins_anew:
            entry.passed = {}
        entry.passed.pop(record.state, None)  # the latest comes last
        entry.passed[record.state] = record
        state = self._states[record.state]
        if state.role is Role.GONE:
            self._forget(entry)
            self.notifier.entered(record)
        else:
            self.notifier.tell(
                self._notification(edge, sending),
                record,
                record.message,
                entered=record.state,
                refresh=state.refreshes,
            )
        self._observe(record)
        if entry.waiters:
            self._resolve(entry, record, state.role)

    def _observe(self, record: Task) -> None:
        for observer in self._observers:
            observer(record)

    def _notification(self, edge: Edge, sending: Sending) -> str:
        state = self._states[str(edge.target)]
        if state.takes_chunks:
            return CHUNK_REQUEST
        failed = (
            sending.as_error
            or edge.event in {"fail", "reject"}
            or (edge.event == "recover" and state.role is Role.FAILED)
        )
        return INTERNAL_ERROR if failed else STATE_UPDATE

    def _forget(self, entry: Entry) -> None:
        with self._lock:
            # Invariant: there before it is gone here, so that `wait` finds it in one of the two.
            self._removed[entry.record.id] = entry
            self.entries.pop(entry.record.id, None)
            while len(self._removed) > _REMOVED_KEPT:
                self._removed.popitem(last=False)

    # -- waiting ----------------------------------------------------------------------------

    def wait(self, task_id: str, states: Collection[str], timeout_s: float | None) -> Task:
        """See `Engine.wait`."""
        for state in states:
            self.lifecycle.require(state)
        entry = self.entries.get(task_id) or self._removed.get(task_id) or self.find(task_id)
        return self.wait_for(entry, states, timeout_s)

    def wait_for(self, entry: Entry, states: Collection[str], timeout_s: float | None) -> Task:
        with entry.lock:
            passed = [record for state, record in entry.passed.items() if state in states]
            if passed:
                return passed[-1]
            failure = self._failure(entry.record, self.role(entry.record), states)
            if failure is not None:
                raise failure
            waiter = Waiter(states)
            entry.waiters.append(waiter)
        try:
            return waiter.wait(timeout_s)
        finally:
            with entry.lock:
                entry.waiters.remove(waiter)

    def _resolve(self, entry: Entry, record: Task, role: Role) -> None:
        for waiter in entry.waiters:
            if record.state in waiter.states:
                waiter.resolve(record)
            elif failure := self._failure(record, role, waiter.states):
                waiter.resolve(failure)

    def _failure(self, record: Task, role: Role, states: Collection[str]) -> TaskFailed | None:
        on_its_way = role is Role.REMOVING and self.lifecycle.gone in states
        if role in {Role.FAILED, Role.REMOVING, Role.GONE} and not on_its_way:
            return TaskFailed(record.id, record.state, record.message)
        return None

    def close(self) -> None:
        """Saves nothing any more; whoever waits for a task gets `EngineClosed`."""
        self._closed = True
        for entry in list(self.entries.values()):
            # Invariant: whoever saves holds this lock; after it, nobody uses the store.
            with entry.lock:
                for waiter in entry.waiters:
                    waiter.resolve(EngineClosed())


def _calling(callback: OnEnter) -> Callable[[Task, Edge, Sending], object]:
    """The callback for the machine; not called where what the state starts has to wait."""

    def entered(_record: Task, _edge: Edge, sending: Sending) -> None:
        if sending.starts:
            callback(sending.entry)

    return entered


def describe(error: Exception) -> str:
    """A one-line reason for a notification."""
    return " ".join(str(error).split())
