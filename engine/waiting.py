"""Waiting for a task to enter a state, also if it has entered it already."""

from __future__ import annotations

from collections.abc import Collection

from attrs import frozen

from ..errors import TaskFailed
from ..statemachine import Role, Task
from .entry import Entry, Waiter
from .table import Table


@frozen(eq=False, repr=False)
class Waiting:
    """Who waits for the tasks of a table."""

    table: Table

    def wait(self, task_id: str, states: Collection[str], timeout_s: float | None) -> Task:
        """See `Engine.wait`."""
        for state in states:
            self.table.lifecycle.require(state)
        return self.wait_for(self.table.last_known(task_id), states, timeout_s)

    def wait_for(self, entry: Entry, states: Collection[str], timeout_s: float | None) -> Task:
        """The same for a task that may not be in the table any more."""
        with entry.lock:
            passed = [record for record in entry.passed if record.state in states]
            if passed:
                return passed[-1]
            failure = self._failure(entry.record, states)
            if failure is not None:
                raise failure
            waiter = Waiter(states, entry.record.id)
            entry.waiters = (*entry.waiters, waiter)
        try:
            return waiter.wait(timeout_s)
        finally:
            with entry.lock:
                entry.waiters = tuple(one for one in entry.waiters if one is not waiter)

    def resolve(self, entry: Entry) -> None:
        """Wakes those for whom the state that the task has entered is an answer."""
        record = entry.record
        for waiter in entry.waiters:
            if record.state in waiter.states:
                waiter.resolve(record)
            elif failure := self._failure(record, waiter.states):
                waiter.resolve(failure)

    def _failure(self, record: Task, states: Collection[str]) -> TaskFailed | None:
        role = self.table.role(record)
        on_its_way = role is Role.REMOVING and self.table.lifecycle.gone in states
        if role in {Role.FAILED, Role.REMOVING, Role.GONE} and not on_its_way:
            return TaskFailed(record.id, record.state, record.message)
        return None
