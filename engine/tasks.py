"""The one way to change a task: store, then memory, then tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import define

from ..errors import (
    EngineClosed,
    IllegalTransition,
    InvalidTaskFile,
    TaskFileDeleted,
    TaskFileEdited,
    TaskNotFound,
    TaskNotSaved,
)
from ..files import OwnedDirectories, written_at
from ..persistence import merge_edit
from ..statemachine import Edge, Role, Task, TaskMachine
from .entry import Absence, Entry
from .notifications import CHUNK_REQUEST, INTERNAL_ERROR, STATE_UPDATE, Notifier
from .table import Table
from .waiting import Waiting

#: A person (or a program) that edits a task file more often during one save wins.
_EDITS_MOST = 100

#: Called at an entry into a state with the task in memory; cannot fail or block.
OnEnter = Callable[[Entry], object]
#: What a client makes of a record.
Edit = Callable[[Task], Task]


@define(eq=False, repr=False)
class Sending:
    """One event on its way: what the machine's callbacks get besides the record."""

    entry: Entry
    #: The entry is notified as an `InternalError`.
    as_error: bool = False
    #: False: what the state starts waits for `Runner.start_held`.
    starts: bool = True


class Tasks:
    """The events that change tasks.

    `send`, `change`, `move` and `annotate` want the entry's lock held; the other methods take it
    themselves.
    """

    def __init__(
        self,
        table: Table,
        directories: OwnedDirectories,
        notifier: Notifier,
        clock: Callable[[], float],
        *,
        on_enter: Mapping[str, Iterable[OnEnter]],
        deleted: OnEnter,
    ) -> None:
        """`deleted` is called when the removal of a task whose file was deleted cannot be saved."""
        self.table = table
        self.lifecycle = table.lifecycle
        self.waiting = Waiting(table)
        self._directories = directories
        self._notifier = notifier
        self._clock = clock
        self._deleted = deleted
        self._closed = False
        self.machine = TaskMachine(
            table.lifecycle,
            save=self._save,
            entered=self._entered,
            on_enter={
                state: [_calling(callback) for callback in callbacks]
                for state, callbacks in on_enter.items()
            },
        )

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
        with self.table.adding(record) as entry:
            return self.send(entry, event, starts=starts, as_error=as_error, **request)

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
                entry.record, event, now=self._clock(), subject=sending, **request
            ),
        )

    def remove(self, entry: Entry) -> Task:
        """Sends `remove`, unless the task is on its way out already; raises as `send`."""
        try:
            if self.table.role(entry.record) not in {Role.REMOVING, Role.GONE}:
                self.send(entry, "remove")
        except IllegalTransition:
            # The user deleted the task file meanwhile: that is a removal, too.
            if self.table.role(entry.record) is not Role.REMOVING:
                raise
        return entry.record

    def annotate(self, entry: Entry, annotations: Mapping[str, Any]) -> Task:
        """Merges a client's annotations; raises as `send`, and ValueError."""

        def annotated(record: Task) -> Task:
            if self.table.role(record) is Role.REMOVING:
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
            if self.table.role(entry.record) is Role.GONE:
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
                record, event, now=self._clock(), message=message, subject=sending
            )

        return self._store(entry, moved)

    def tell(self, name: str, record: Task, message: str | None = None) -> None:
        self._notifier.tell(name, record, message)

    def last_activity(self, entry: Entry) -> float:
        """When something last happened to a task that waits, in unix seconds."""
        identity = self.table.store.identity(entry.record.id)
        saved_at = 0.0 if identity is None else written_at(identity)
        return max(saved_at, entry.active_at)

    def deleted(self, entry: Entry) -> None:
        """The user deleted the task file: the task goes to `remove`, and its file comes back.

        Raises:
            TaskNotSaved, InvalidTaskFile: Not now; it is tried again.
        """
        is_new = entry.saved is not Absence.DELETED
        entry.saved = Absence.DELETED
        if self.table.role(entry.record) is not Role.REMOVING:
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
        if not self.lifecycle.keeps_data(entry.record) and self.lifecycle.keeps_data(record):
            # Data of no use any more, or of no task, is never taken for the new one's.
            self._drop_directory(record.id)
        if isinstance(entry.saved, Task):
            entry.file.save(record)
        else:
            self._create_file(entry, record)
        entry.saved = record

    def _drop_directory(self, task_id: str) -> None:
        """What has the place of a directory and is none stays: it is refused when it is used."""
        if self._directories.has(task_id):
            self._directories.remove(task_id)

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
        is_new = self.table.role(entry.record) is Role.INITIAL
        entry.enter(record, anew=is_new or edge.begins_anew)
        if sending.starts:
            entry.started = entry.serial
        state = self.lifecycle.state(record.state)
        if state.role is Role.GONE:
            self.table.forget(entry)
            self._notifier.entered(record)
        else:
            self._notifier.tell(
                self._notification(edge, sending),
                record,
                record.message,
                entered=record.state,
                refresh=state.refreshes,
            )
        self.table.observe(record)
        if entry.waiters:
            self.waiting.resolve(entry)

    def _notification(self, edge: Edge, sending: Sending) -> str:
        state = self.lifecycle.state(str(edge.target))
        if state.takes_chunks:
            return CHUNK_REQUEST
        failed = (
            sending.as_error
            or edge.event in {"fail", "reject"}
            or (edge.event == "recover" and state.role is Role.FAILED)
        )
        return INTERNAL_ERROR if failed else STATE_UPDATE

    def close(self) -> None:
        """Saves nothing any more; whoever waits for a task gets `EngineClosed`."""
        self._closed = True
        for entry in list(self.table.entries.values()):
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
