"""Runs tasks of any lifecycle: events in, dispatch to workers, notifications, timers, recovery."""

from ..persistence import as_dictionary
from .checking import TaskCheck, check_tasks
from .engine import Engine, Parts, check_annotations, check_task_id
from .held import HeldTask
from .notifications import CHUNK_REQUEST, INTERNAL_ERROR, STATE_UPDATE, Callback, Status
from .opening import Reading, open_engine, orphaned_directories, read_tasks
from .settings import EngineSettings

__all__ = [
    "CHUNK_REQUEST",
    "INTERNAL_ERROR",
    "STATE_UPDATE",
    "Callback",
    "Engine",
    "EngineSettings",
    "HeldTask",
    "Parts",
    "Reading",
    "Status",
    "TaskCheck",
    "as_dictionary",
    "check_annotations",
    "check_task_id",
    "check_tasks",
    "open_engine",
    "orphaned_directories",
    "read_tasks",
]
