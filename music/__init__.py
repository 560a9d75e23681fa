"""A music library's tasks: settings, uploads, integration, import, artwork, scan."""

from ..engine import (
    CHUNK_REQUEST,
    INTERNAL_ERROR,
    STATE_UPDATE,
    Callback,
    Reading,
    Status,
    as_dictionary,
)
from .engine import MusicEngine
from .opening import (
    archive_limits,
    default_handlers,
    music_directory,
    open_library,
    orphaned_uploads,
    read_tasks,
)
from .settings import Settings
from .takeover import RelativePaths, relative_to_uploads

__all__ = [
    "CHUNK_REQUEST",
    "INTERNAL_ERROR",
    "STATE_UPDATE",
    "Callback",
    "MusicEngine",
    "Reading",
    "RelativePaths",
    "Settings",
    "Status",
    "archive_limits",
    "as_dictionary",
    "default_handlers",
    "music_directory",
    "open_library",
    "orphaned_uploads",
    "read_tasks",
    "relative_to_uploads",
]
