"""Runs tasks: events in, dispatch to workers, uploads, notifications, timers, recovery."""

from ..persistence import as_dictionary
from .engine import Engine
from .notifications import CHUNK_REQUEST, INTERNAL_ERROR, STATE_UPDATE, Callback
from .opening import (
    Reading,
    archive_limits,
    default_handlers,
    music_directory,
    open_engine,
    orphaned_uploads,
    read_tasks,
)
from .settings import Settings

__all__ = [
    "CHUNK_REQUEST",
    "INTERNAL_ERROR",
    "STATE_UPDATE",
    "Callback",
    "Engine",
    "Reading",
    "Settings",
    "archive_limits",
    "as_dictionary",
    "default_handlers",
    "music_directory",
    "open_engine",
    "orphaned_uploads",
    "read_tasks",
]
