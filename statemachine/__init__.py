"""What a task is, and every state, event and edge, declared; no files, no threads, no clock."""

from __future__ import annotations

from .comparing import compare
from .comparison import Change, Comparison, Difference, Part, Stored, Verdict
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
    "Change",
    "Comparison",
    "ContentType",
    "Difference",
    "Edge",
    "Guard",
    "Handler",
    "HistoryEntry",
    "JSONObject",
    "Kind",
    "Lifecycle",
    "MusicTask",
    "Outcome",
    "Part",
    "Role",
    "Sender",
    "Stage",
    "State",
    "StateSpec",
    "Stored",
    "Target",
    "Task",
    "TaskMachine",
    "UploadTask",
    "Verdict",
    "Work",
    "WorkStopped",
    "attempts_left",
    "bare_lifecycle",
    "compare",
    "fail",
    "in_file",
    "is_complete",
    "is_incomplete",
    "reject",
    "succeed",
]
