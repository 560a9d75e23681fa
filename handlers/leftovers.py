"""Whether a task may have left temporary files in the Music Directory, by what its record tells."""

from __future__ import annotations

from ..statemachine import HistoryEntry, State, Task


def may_have_left_over(task: Task) -> bool:
    """Whether some of the task's work was cut off, failed, or is not known of any more.

    Work that succeeded leaves nothing, and a directory need not be listed to look for it. Work
    that has just begun does not count.
    """
    history = task.history
    if not history or history[0].source != State.NEW:
        return True  # the older entries are gone, or the task comes from another program
    return any(map(_ended_otherwise, history, history[1:]))


def _ended_otherwise(entry: HistoryEntry, following: HistoryEntry) -> bool:
    return entry.event == "begin" and following.event != "succeed"
