"""The work of each stage: a task's record in, an outcome out."""

from .artwork_import import ArtworkImport
from .integration import Integration
from .music_import import MusicImport
from .preprocessing import Preprocessing
from .removal import Removal

__all__ = ["ArtworkImport", "Integration", "MusicImport", "Preprocessing", "Removal"]
