"""The machine: the one place where a task's state changes, on `transitions`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import transitions
from attrs import define
from transitions.core import Event, EventData, Transition

from ..errors import IllegalTransition, TransitionRefused
from .declaration import Edge, Guard
from .evolving import evolve
from .lifecycle import Lifecycle
from .record import HISTORY_LIMIT, HistoryEntry, Task

logging.getLogger("transitions").setLevel(logging.WARNING)

#: Called with the record that is about to count, and the sender's subject; if it raises, nothing
#: has happened.
Save = Callable[[Any, Any], object]
#: Called when a task has entered a state: its record, the edge it came by, the sender's subject.
Entered = Callable[[Any, Edge, Any], object]

T = TypeVar("T", bound=Task)

_NOTHING: Mapping[str, Any] = {}
#: What an event's `changes` cannot name: the machine alone writes these.
RESERVED = frozenset({"id", "state", "history", "annotations", "handler_keys", "unknown"})


@define(eq=False, repr=False)
class _Cell:
    """What `transitions` drives: the record that counts and the one that comes next."""

    record: Task
    now: float
    changes: Mapping[str, Any]
    annotations: Mapping[str, Any]
    by_handler: bool
    message: str | None
    payload: Mapping[str, Any]
    #: What the sender wants its callbacks to get: who keeps the task in memory.
    subject: Any = None
    pending: Task | None = None
    #: True: only the edge is asked for; nothing happens.
    asks: bool = False

    @property
    def state(self) -> str:
        return self.record.state


class _Found(Exception):
    """Ends a dry run: the guards let this edge through."""

    def __init__(self, edge: Edge) -> None:
        super().__init__(edge)
        self.edge = edge


class _EventData(EventData):
    """What the callbacks get of `transitions`."""

    #: A `_Cell`.
    model: Any
    #: An `_EdgeTransition`.
    transition: Any


class _EdgeTransition(Transition):
    """A transition that knows the edge it was declared with."""

    def __init__(self, *args: Any, edge: Edge, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.edge = edge

    def execute(self, event_data: EventData) -> bool:
        for condition in self.conditions:
            if not condition.check(event_data):
                return False
        machine = event_data.machine
        for callback in machine.before_state_change:
            callback(event_data)  # pyright: ignore[reportCallIssue] - none is a string
        if self.dest is not None:
            machine.set_state(self.dest, event_data.model)
            for callback in machine.get_state(self.dest).on_enter:
                callback(event_data)  # pyright: ignore[reportCallIssue]
        return True


class _Event(Event):
    def trigger(self, model: Any, *args: Any, **kwargs: Any) -> bool:
        event_data = _EventData(None, self, self.machine, model, args, kwargs)
        for transition in self.transitions.get(model.state, ()):
            event_data.transition = transition
            if transition.execute(event_data):
                return True
        return False


class _Machine(transitions.Machine):
    """Conditions, `before_state_change` and `on_enter` alone, as `transitions` does them.

    An event costs a sixth of what it does there: the many kinds of callbacks that nobody has
    registered are not looked for, and the logger is not called twelve times.
    """

    event_cls = _Event
    transition_cls = _EdgeTransition

    def set_state(self, state: Any, model: Any = None) -> None:
        # The only write there is: state, history, attempts and changes at one instant.
        model.record = model.pending


class TaskMachine:
    """Takes tasks along the edges of a lifecycle; no disk, no threads, no clock of its own.

    One machine serves all tasks, and any number of threads as long as each task has its lock.
    For each event: the edge is found, guards are asked, the next record is given to `save`, it
    becomes the record that counts, then `entered` and the state's own `on_enter` are called.

    Args:
        lifecycle: What is allowed; checked as a whole here.
        save: Gets each record before it counts. If it raises, the task is as before.
        entered: Called on every entry into a state, before its `on_enter` callbacks.
        on_enter: By the name of a state: what its entry starts. Nothing here may fail or block,
            for the state is entered already.

    Raises:
        LifecycleError: The lifecycle is not whole, or `on_enter` names an unknown state.
    """

    def __init__(
        self,
        lifecycle: Lifecycle,
        *,
        save: Save | None = None,
        entered: Entered | None = None,
        on_enter: Mapping[str, Iterable[Entered]] | None = None,
    ) -> None:
        lifecycle.check()
        self.lifecycle = lifecycle
        self._save = save
        started = {name: tuple(callbacks) for name, callbacks in (on_enter or {}).items()}
        for name in started:
            lifecycle.require(name)
        every = (entered,) if entered else ()
        self._machine = _Machine(
            model=None,
            states=[
                transitions.State(
                    state.name,
                    on_enter=_entry(*every, *started.get(state.name, ())),
                )
                for state in lifecycle.states
            ],
            initial=None,  # pyright: ignore[reportArgumentType] - else it adds a state of its own
            auto_transitions=False,
            send_event=True,
            queued=False,
            before_state_change=self._store,
        )
        for edge in lifecycle.edges:
            self._machine.add_transition(
                edge.event,
                edge.source,
                edge.target,
                conditions=[_condition(edge.guard)] if edge.guard else None,
                edge=edge,
            )

    def send(
        self,
        task: T,
        event: str,
        *,
        now: float,
        changes: Mapping[str, Any] = _NOTHING,
        annotations: Mapping[str, Any] = _NOTHING,
        by_handler: bool = False,
        message: str | None = None,
        payload: Mapping[str, Any] = _NOTHING,
        subject: Any = None,
    ) -> T:
        """Takes a task along the edge of `event` and returns its next record.

        Args:
            task: The record as it is; guards see it so.
            event: The name of the event.
            now: Unix seconds.
            changes: Fields of the record to change with it, by their Python names.
            annotations: Annotations to merge into the task's.
            by_handler: They come from a handler: what the user has set stays.
            message: Kept in the history.
            payload: What the guards may ask besides the record.
            subject: Given to `save` and to the callbacks as it is.

        Raises:
            IllegalTransition: The state has no edge for this event.
            TransitionRefused: It has, but the guards said no.
            ValueError: `changes` names a field that the machine alone writes, or an annotation
                is nothing that JSON can hold.
        """
        if not RESERVED.isdisjoint(changes):
            names = ", ".join(sorted(RESERVED & set(changes)))
            raise ValueError(f"changes cannot set {names}: an event does that, not its changes")
        cell = _Cell(task, now, changes, annotations, by_handler, message, payload, subject)
        if not self._trigger(cell, event):
            raise self._illegal(task, event)
        return cell.pending  # pyright: ignore[reportReturnType] - of the class that it came in

    def edge_taken(
        self, task: Task, event: str, payload: Mapping[str, Any] = _NOTHING
    ) -> Edge | None:
        """The edge that `event` would take this task along; None where it is refused.

        Nothing happens: the guards are asked, and nobody else.
        """
        try:
            self._trigger(
                _Cell(task, 0.0, _NOTHING, _NOTHING, False, None, payload, asks=True), event
            )
        except _Found as found:
            return found.edge
        return None

    def _trigger(self, cell: _Cell, event: str) -> bool:
        trigger = self._machine.events.get(event)
        return trigger is not None and trigger.trigger(cell)

    def _store(self, event: _EventData) -> None:
        """Store first: whatever is raised here leaves memory, file and clients as before."""
        cell: _Cell = event.model
        edge: Edge = event.transition.edge
        if cell.asks:
            raise _Found(edge)
        cell.pending = self._next(cell, edge)
        if edge.stored and self._save is not None:
            self._save(cell.pending, cell.subject)

    def _next(self, cell: _Cell, edge: Edge) -> Task:
        task = cell.record.annotated(cell.annotations, by_handler=cell.by_handler)
        if edge.target is None:
            return evolve(task, **{**edge.sets, **cell.changes})
        now, first = int(cell.now), task.state == self.lifecycle.initial
        entry = HistoryEntry(cell.now, edge.event, task.state, edge.target, cell.message)
        changes = {
            "initialization_time": now if first else task.initialization_time,
            "update_time": None if first else now,
            "attempts": _attempts(task, edge.event),
            **edge.sets,
            **cell.changes,
        }
        history = (*task.history, entry)[-HISTORY_LIMIT:]
        return evolve(task, state=edge.target, history=history, **changes)

    def _illegal(self, task: Task, event: str) -> IllegalTransition:
        # Asked of the declaration: `trigger` only says False.
        edges = self.lifecycle.edges_from(task.state, event)
        allowed = self.lifecycle.events_from(task.state)
        guards = tuple(edge.guard_name for edge in edges if edge.guard_name)
        if guards:
            return TransitionRefused(task.id, task.state, event, allowed, guards)
        return IllegalTransition(task.id, task.state, event, allowed)


def _attempts(task: Task, event: str) -> int:
    if event == "begin":
        return task.attempts + 1
    return task.attempts if event == "recover" else 0


def _entry(*callbacks: Entered) -> list[Any]:
    """All in one: each callback of its own goes through three functions of `transitions`."""

    def entered(event: _EventData) -> None:
        cell: _Cell = event.model
        edge: Edge = event.transition.edge
        for callback in callbacks:
            callback(cell.record, edge, cell.subject)

    return [entered] if callbacks else []


def _condition(guard: Guard) -> Callable[[_EventData], bool]:
    def condition(event: _EventData) -> bool:
        # `transitions` takes a truthy value that is not True for False.
        cell: _Cell = event.model
        return bool(guard(cell.record, cell.payload))

    return condition
