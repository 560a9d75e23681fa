"""The parts that a lifecycle is declared with: states, edges, stages, guards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from attrs import field, frozen

from .record import Task

#: A pure function of the record (as it was before the event's changes) and the event's payload.
#: It may take the record class of its lifecycle.
Guard = Callable[[Any, Mapping[str, Any]], bool]


class Role(StrEnum):
    """What a state is for the engine: what it does by itself when a task enters."""

    #: Before the first event; in memory only.
    INITIAL = "initial"
    #: Rests until a client does something; ages.
    WAITING = "waiting"
    #: In the queue of its stage.
    QUEUED = "queued"
    #: The stage's handler is at work.
    WORKING = "working"
    #: Left at once for removal: nothing is to be done any more.
    PASSING = "passing"
    #: Rests for the retention of finished tasks.
    FINISHED = "finished"
    #: Rests for the retention of failed tasks.
    FAILED = "failed"
    #: The data and the task are being removed.
    REMOVING = "removing"
    #: After the removal; never stored.
    GONE = "gone"


class Kind(StrEnum):
    """Where an edge comes from; diagrams draw the kinds apart."""

    DOCUMENTED = "documented"
    ADDED = "added"
    RECOVERY = "recovery"
    RETRY = "retry"


class Sender(StrEnum):
    """Who may send the event of an edge."""

    #: A client, by `Engine.send` and the like.
    CLIENT = "client"
    #: The engine, with the outcome of a stage's handler.
    HANDLER = "handler"
    #: Whoever receives the task's file, as `musictasks.uploads` does.
    UPLOAD = "upload"
    #: The engine alone, by itself.
    ENGINE = "engine"


@frozen
class StateSpec:
    """One state, declared."""

    name: str
    group: str
    role: Role
    #: The task receives its file here, chunk by chunk; its record is an `UploadTask`.
    takes_chunks: bool = field(default=False, kw_only=True)
    #: Whether a task in this state still has use for the files in its directory; where it has
    #: not, they are deleted. A guard (with an empty payload) where the record decides. Only where
    #: a task rests: queued and at work its files are its handler's, and where it takes chunks they
    #: are just coming. Before the first event, and from the removal on, nothing is of use,
    #: whatever this says.
    keeps_data: bool | Guard = field(default=True, kw_only=True)
    #: The refresh callbacks are called after a task has entered.
    refreshes: bool = field(default=False, kw_only=True)


@frozen(kw_only=True)
class Edge:
    """One way from a state, taken on an event if the guard allows it."""

    event: str
    source: str
    #: None: internal, the task stays where it is, without a history entry.
    target: str | None
    guard: Guard | None = None
    kind: Kind = Kind.ADDED
    sender: Sender = Sender.CLIENT
    #: False: the record is not saved (the truth lies elsewhere, as with an upload's offset).
    stored: bool = True
    #: The work begins anew: what the task went through before does not count for `Engine.wait`.
    begins_anew: bool = False
    #: Fields of the record that this edge sets, by their Python names.
    sets: Mapping[str, Any] = field(factory=dict, hash=False)

    @property
    def guard_name(self) -> str | None:
        return None if self.guard is None else getattr(self.guard, "__name__", repr(self.guard))

    def __str__(self) -> str:
        guard = f" [{self.guard_name}]" if self.guard else ""
        return f"{self.source} --{self.event}{guard}--> {self.target or '(internal)'}"


@frozen
class Target:
    """A state that a stage may lead to, under a guard."""

    state: str
    guard: Guard | None = None


def _targets(value: str | Target | tuple[str | Target, ...]) -> tuple[Target, ...]:
    several = value if isinstance(value, tuple) else (value,)
    return tuple(Target(one) if isinstance(one, str) else one for one in several)


@frozen(kw_only=True)
class Stage:
    """A piece of work: a queue, a handler at work, and what comes of it."""

    name: str = field(kw_only=False)
    group: str
    queued: str
    working: str
    #: One state, or several with guards, tried in order.
    succeeded: tuple[Target, ...] = field(converter=_targets)
    failed: str
    #: None: the work cannot find its content wrong.
    rejected: str | None = None
    kind: Kind = Kind.ADDED
    #: The kind of the edge to `failed`; None: that of the stage.
    failed_kind: Kind | None = None

    def edges(self) -> tuple[Edge, ...]:
        """The edges that make the stage: begin, its outcomes, recovery."""
        made = [self._own("begin", self.queued, self.working, self.kind)]
        for target in self.succeeded:
            made.append(self._outcome("succeed", target.state, self.kind, target.guard))
        made.append(self._outcome("fail", self.failed, self.failed_kind or self.kind))
        if self.rejected is not None:
            made.append(self._outcome("reject", self.rejected, self.kind))
        made.append(self._recovery(self.queued, attempts_left))
        made.append(self._recovery(self.failed))
        return tuple(made)

    def _outcome(self, event: str, target: str, kind: Kind, guard: Guard | None = None) -> Edge:
        return Edge(
            event=event,
            source=self.working,
            target=target,
            guard=guard,
            kind=kind,
            sender=Sender.HANDLER,
        )

    def _recovery(self, target: str, guard: Guard | None = None) -> Edge:
        return self._own("recover", self.working, target, Kind.RECOVERY, guard)

    def _own(
        self, event: str, source: str, target: str, kind: Kind, guard: Guard | None = None
    ) -> Edge:
        return Edge(
            event=event, source=source, target=target, guard=guard, kind=kind, sender=Sender.ENGINE
        )


#: How often a stage is begun before a crash in it ends in its failed state.
DEFAULT_ATTEMPTS = 3


def attempts_left(task: Task, payload: Mapping[str, Any]) -> bool:
    """The stage was begun fewer times than the payload's `attempts_limit` (3 without one)."""
    return task.attempts < payload.get("attempts_limit", DEFAULT_ATTEMPTS)
