"""A task that somebody has locked, to do several things with it as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from ..statemachine import Edge, Task
from ..statemachine.evolving import evolve
from .entry import Entry
from .tasks import Tasks


@frozen(eq=False)
class HeldTask:
    """A task inside `with engine.hold(task_id) as task:`; nobody else changes it meanwhile.

    It is for those who build on the engine, as `musictasks.uploads` does. Do not call the engine
    for the same task inside the block: it would wait for itself.
    """

    _tasks: Tasks
    _entry: Entry

    @property
    def record(self) -> Any:
        """The record as it is now."""
        return self._entry.record

    @property
    def passed(self) -> Mapping[str, Task]:
        """The record of the latest entry into each state, since the work began anew."""
        return {record.state: record for record in self._entry.passed}

    @property
    def entries(self) -> int:
        """How many states the task has entered since it was made or loaded: tells them apart."""
        return self._entry.serial

    @property
    def key(self) -> object:
        """Stands for the task in weak dictionaries: it lives as long as the task is in memory."""
        return self._entry

    @property
    def is_worked_on(self) -> bool:
        """Whether a handler works on it, if only to notice that it has been asked to stop."""
        return self._entry.worker is not None

    def edge_taken(self, event: str, payload: Mapping[str, Any] | None = None) -> Edge | None:
        """The edge that `event` would take the task along; None where it is refused."""
        return self._tasks.machine.edge_taken(self.record, event, payload or {})

    def send(
        self,
        event: str,
        *,
        changes: Mapping[str, Any] | None = None,
        annotations: Mapping[str, Any] | None = None,
        payload: Mapping[str, Any] | None = None,
        message: str | None = None,
    ) -> Any:
        """Sends an event, whoever its declared sender is, and returns the next record.

        Raises:
            IllegalTransition, TaskNotSaved, InvalidTaskFile: Nothing has changed.
        """
        return self._tasks.send(
            self._entry,
            event,
            changes=changes or {},
            annotations=annotations or {},
            payload=payload or {},
            message=message,
        )

    def change(self, edit: Callable[[Any], Any]) -> Any:
        """Saves what `edit` makes of the record, in its state, and tells nobody; raises as `send`.

        `edit` may be called again, if the task file was edited meanwhile.
        """
        return self._tasks.change(self._entry, edit)

    def move(
        self,
        edit: Callable[[Any], Any],
        choose: Callable[[Any], str | None],
        message: str | None = None,
    ) -> Any:
        """Sends the event that `choose` names to what `edit` makes of the record, as one step.

        None: nothing happens. With a message the entry is notified as an `InternalError`. Raises
        as `send`.
        """
        return self._tasks.move(self._entry, edit, choose, message)

    def amend(self, **changes: Any) -> Any:
        """Changes fields in memory alone, whose truth lies elsewhere; the next save has them."""
        self._entry.record = evolve(self._entry.record, **changes)
        return self._entry.record

    def note_activity(self, when: float) -> None:
        """Notes that somebody did something for the task, at this unix time: it is not idle."""
        self._entry.active_at = max(self._entry.active_at, when)

    @property
    def last_activity(self) -> float:
        """When something last happened to it, in unix seconds: so long ago it is idle."""
        return self._tasks.last_activity(self._entry)

    def tell(self, notification: str, message: str | None = None) -> None:
        """Notifies the record as it is now."""
        self._tasks.tell(notification, self.record, message)
