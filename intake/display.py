"""How far the work is, for whoever wants to show it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .batches import Batch


class Display(Protocol):
    """Is told how far `bring` is, in its thread: what is slow here holds the work up."""

    def begin(self, batches: Sequence[Batch]) -> None:
        """These will be carried out; the batches and their jobs may be read at any time."""
        ...

    def moved(self, batch: Batch) -> None:
        """Something of it has changed: a chunk was sent, a task is in another state."""
        ...

    def ended(self, batch: Batch) -> None:
        """All of its jobs have a result."""
        ...

    def trouble(self, task_id: str, message: str) -> None:
        """The engine cannot go on with a task of this plan, and tries again: a full disk, say."""
        ...


class Silent:
    """A display that shows nothing; a base for those that show a part of it."""

    def begin(self, batches: Sequence[Batch]) -> None:
        pass

    def moved(self, batch: Batch) -> None:
        pass

    def ended(self, batch: Batch) -> None:
        pass

    def trouble(self, task_id: str, message: str) -> None:
        pass
