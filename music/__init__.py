"""A music library's tasks: settings, uploads, integration, import, artwork, scan."""

from ..engine import (
    CHUNK_REQUEST,
    INTERNAL_ERROR,
    STATE_UPDATE,
    Callback,
    Notification,
    Reading,
    Status,
    TaskCheck,
    as_dictionary,
    check_tasks,
)
from .engine import MusicEngine
from .opening import (
    archive_limits,
    default_handlers,
    ledger,
    music_directory,
    open_library,
    orphaned_uploads,
    read_tasks,
)
from .preflight import Answer, Preflight, places, places_of_files
from .settings import Settings
from .takeover import RelativePaths, relative_to_uploads

__all__ = [
    "CHUNK_REQUEST",
    "INTERNAL_ERROR",
    "STATE_UPDATE",
    "Answer",
    "Callback",
    "MusicEngine",
    "Notification",
    "Preflight",
    "Reading",
    "RelativePaths",
    "Settings",
    "Status",
    "TaskCheck",
    "archive_limits",
    "as_dictionary",
    "check_tasks",
    "default_handlers",
    "ledger",
    "music_directory",
    "open_library",
    "orphaned_uploads",
    "places",
    "places_of_files",
    "read_tasks",
    "relative_to_uploads",
]
