"""What a handler is given and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from attrs import field, frozen

from .record import Task


@frozen
class Outcome:
    """How a handler's work ended. It names the event, never a state."""

    #: `succeed`, `fail` or `reject`.
    event: str
    #: Fields of the record to change, by their Python names; never `state`, `history` or `id`.
    changes: Mapping[str, Any] = field(factory=dict)
    #: Annotations to merge; those that the user has set stay.
    annotations: Mapping[str, Any] = field(factory=dict)
    message: str | None = None


def succeed(
    *,
    changes: Mapping[str, Any] | None = None,
    annotations: Mapping[str, Any] | None = None,
    message: str | None = None,
) -> Outcome:
    """The work is done."""
    return Outcome("succeed", changes or {}, annotations or {}, message)


def fail(message: str, *, annotations: Mapping[str, Any] | None = None) -> Outcome:
    """The server could not do it (disk full, file missing): it may work later."""
    return Outcome("fail", {}, annotations or {}, message)


def reject(message: str, *, annotations: Mapping[str, Any] | None = None) -> Outcome:
    """The content is wrong (no image, say): it never will work."""
    return Outcome("reject", {}, annotations or {}, message)


class WorkStopped(Exception):
    """The work was asked to stop. A handler lets it pass; the engine knows what it means."""


class Work:
    """What a handler may ask and tell while it works.

    This one reports nothing and never says stopped: it is what a handler gets in another
    process. In the engine's own threads it does both.
    """

    @property
    def stopped(self) -> bool:
        """True when the task goes to `remove` or the engine stops: long loops look at it."""
        return False

    def check(self) -> None:
        """Raises `WorkStopped` if the work shall stop; for a handler's loops."""
        if self.stopped:
            raise WorkStopped

    def progress(self, done: int, total: int, path: str | None = None) -> None:
        """Tells the clients how far the work is; nothing of it is saved."""


class Handler(Protocol):
    """The work of a stage. It must be idempotent: it may be cut off anywhere and run again."""

    def __call__(self, task: Task, work: Work, /) -> Outcome: ...
