"""What a task is, and every state, event and edge, declared; no files, no threads, no clock."""

from __future__ import annotations

from .declaration import Edge, Guard, Kind, Role, Sender, Stage, StateSpec, Target, attempts_left
from .lifecycle import Lifecycle, bare_lifecycle
from .machine import TaskMachine
from .music import MUSIC, ArtworkSource, ContentType, MusicTask, State
from .record import HISTORY_LIMIT, HistoryEntry, JSONObject, Task, in_file
from .upload_record import UploadTask, is_complete, is_incomplete
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
    "MusicTask",
    "Outcome",
    "Role",
    "Sender",
    "Stage",
    "State",
    "StateSpec",
    "Target",
    "Task",
    "TaskMachine",
    "UploadTask",
    "Work",
    "WorkStopped",
    "attempts_left",
    "bare_lifecycle",
    "fail",
    "in_file",
    "is_complete",
    "is_incomplete",
    "reject",
    "succeed",
]
