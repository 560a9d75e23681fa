"""The work of each stage: a task's record in, an outcome out."""

from .artwork_import import ArtworkImport
from .integration import Integration
from .music_import import MusicImport
from .preprocessing import Preprocessing
from .removal import Removal
from .scanning import FilesystemScan

__all__ = [
    "ArtworkImport",
    "FilesystemScan",
    "Integration",
    "MusicImport",
    "Preprocessing",
    "Removal",
]
