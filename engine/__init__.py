"""Runs tasks of any lifecycle: events in, dispatch to workers, notifications, timers, recovery."""

from typing import TYPE_CHECKING

import lazy_loader

from ..persistence import as_dictionary
from .engine import Engine, Parts, check_annotations, check_task_id
from .held import HeldTask
from .notifications import (
    CHUNK_REQUEST,
    INTERNAL_ERROR,
    STATE_UPDATE,
    Callback,
    Notification,
    Status,
)
from .opening import Reading, open_engine, orphaned_directories, read_tasks
from .settings import EngineSettings

if TYPE_CHECKING:
    from .checking import TaskCheck, check_tasks

else:
    # Imported when they are first asked for: an engine that runs does not need them.
    __getattr__, _, _ = lazy_loader.attach(
        __name__, submod_attrs={"checking": ["TaskCheck", "check_tasks"]}
    )

__all__ = [
    "CHUNK_REQUEST",
    "INTERNAL_ERROR",
    "STATE_UPDATE",
    "Callback",
    "Engine",
    "EngineSettings",
    "HeldTask",
    "Notification",
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
