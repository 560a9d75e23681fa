"""What a task is, and every state, event and edge, declared; no files, no threads, no clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

from .declaration import Edge, Guard, Kind, Role, Sender, Stage, StateSpec, Target, attempts_left
from .lifecycle import Lifecycle, bare_lifecycle
from .machine import TaskMachine
from .record import HISTORY_LIMIT, HistoryEntry, JSONObject, Task, in_file
from .upload_record import UploadTask, is_complete, is_incomplete
from .work import Handler, Outcome, Work, WorkStopped, fail, reject, succeed

if TYPE_CHECKING:
    from .comparing import compare
    from .comparison import Change, Comparison, Difference, Part, Stored, Verdict
    from .music import MUSIC, ArtworkSource, ContentType, MusicTask, State

else:
    # Not everybody needs these: they are imported when they are first asked for.
    __getattr__, _, _ = lazy_loader.attach(
        __name__,
        submod_attrs={
            "comparing": ["compare"],
            "comparison": ["Change", "Comparison", "Difference", "Part", "Stored", "Verdict"],
            "music": ["MUSIC", "ArtworkSource", "ContentType", "MusicTask", "State"],
        },
    )

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
