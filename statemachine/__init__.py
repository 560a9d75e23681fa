"""What a task is, and every state, event and edge, declared; no files, no threads, no clock."""

from __future__ import annotations

from .declaration import Edge, Guard, Kind, Role, Stage, StateSpec, Target, attempts_left
from .lifecycle import Lifecycle
from .machine import TaskMachine
from .music import MUSIC
from .names import ArtworkSource, ContentType, State
from .record import HISTORY_LIMIT, HistoryEntry, JSONObject, Task
from .work import Handler, Outcome, Work, WorkStopped, fail, reject, succeed

__all__ = [
    "HISTORY_LIMIT",
    "MUSIC",
    "ArtworkSource",
    "ContentType",
    "Edge",
    "Guard",
    "Handler",
    "HistoryEntry",
    "JSONObject",
    "Kind",
    "Lifecycle",
    "Outcome",
    "Role",
    "Stage",
    "State",
    "StateSpec",
    "Target",
    "Task",
    "TaskMachine",
    "Work",
    "WorkStopped",
    "attempts_left",
    "fail",
    "reject",
    "succeed",
]
