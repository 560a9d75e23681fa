"""What a handler is given and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from attrs import field, frozen


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

    This one reports nothing and never says stopped, as does what a handler gets in another
    process. In the engine's own threads it does both. Tests of handlers make one themselves.

    Args:
        directory: The directory that `directory` gives.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory

    @property
    def directory(self) -> Path:
        """The task's own directory; it is there, and goes with the task.

        Everything that belongs to the task lies in it: its upload, what handlers make of it, their
        temporary files. A handler that was cut off finds what it left behind.

        Raises:
            RuntimeError: This `Work` was made without one.
            InvalidPath, OSError: It cannot be made, or something else has its place.
        """
        if self._directory is None:
            raise RuntimeError("this Work has no directory: make it as Work(directory)")
        return self._directory

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
    """The work of a stage. It must be idempotent: it may be cut off anywhere and run again.

    It may take the record class of its lifecycle.
    """

    def __call__(self, task: Any, work: Work, /) -> Outcome: ...
