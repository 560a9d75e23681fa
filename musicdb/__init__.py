"""The task management as MusicDB documents it, name for name, on the engine.

Of a program that was written for MusicDB only the imports change. `docs/musicdb.md` lists every
name, and where it deliberately differs.
"""

from .config import MusicDatabase, MusicDBConfig
from .manager import TaskManager
from .managers import (
    ArtworkManager,
    FilesystemManager,
    ImportManager,
    IntegrationManager,
    UploadManager,
)
from .thread import StartTaskManagementThread, StopTaskManagementThread, as_told

__all__ = [
    "ArtworkManager",
    "FilesystemManager",
    "ImportManager",
    "IntegrationManager",
    "MusicDBConfig",
    "MusicDatabase",
    "StartTaskManagementThread",
    "StopTaskManagementThread",
    "TaskManager",
    "UploadManager",
    "as_told",
]
