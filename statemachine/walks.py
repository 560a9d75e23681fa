"""Whether the history of a task is a walk of a lifecycle."""

from __future__ import annotations

from attrs import frozen

from .lifecycle import Lifecycle
from .record import HISTORY_LIMIT, HistoryEntry, Task


@frozen
class BrokenStep:
    """The first entry of a history that is no step of a walk."""

    #: Counted from 1, the oldest that is kept; one more than there are: the state is not the end.
    number: int
    entry: HistoryEntry
    reason: str
    #: The states that the lifecycle does not know, by neither name.
    unknown: tuple[str, ...] = ()

    def __str__(self) -> str:
        step = f"{self.entry.source} --{self.entry.event}--> {self.entry.target}"
        return f"step {self.number}, {step}: {self.reason}"


def broken_step(lifecycle: Lifecycle, task: Task) -> BrokenStep | None:
    """Where the history of a record is no walk; None: it is one, or there is no history.

    Each entry has to be an edge, begin where the one before ended, and the last one end in the
    state; the first one has to begin at the beginning, unless older ones are no longer kept.
    Guards are not asked: the record of that time is gone.
    """
    here = None if len(task.history) >= HISTORY_LIMIT else lifecycle.initial
    for number, entry in enumerate(task.history, 1):
        unknown = tuple(name for name in (entry.source, entry.target) if name not in lifecycle)
        if unknown:
            names = " and ".join(map(repr, unknown))
            return BrokenStep(number, entry, f"there is no state {names}", unknown)
        if entry.source != here and here is not None:
            return BrokenStep(number, entry, f"the walk was in {here!r}")
        edges = lifecycle.edges_from(entry.source, entry.event)
        if entry.target not in {edge.target for edge in edges}:
            return BrokenStep(number, entry, "there is no such edge")
        here = entry.target
    if task.history and here != task.state:
        entry = task.history[-1]
        return BrokenStep(len(task.history), entry, f"the task is in {task.state!r}")
    return None
