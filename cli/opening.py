"""Opens the engine; says what could not be made where that fails."""

from __future__ import annotations

from pathlib import Path

from ..music import MusicEngine, Settings
from ..music import open_library as _open_engine


def open_engine(settings: Settings) -> MusicEngine:
    """As `musictasks.music.open_library`; its `OSError` names the directory that is missing."""
    try:
        return _open_engine(settings)
    except OSError as error:
        missing = _missing(settings)
        if missing is None:
            raise
        raise OSError(f"{missing} cannot be made: {error.strerror or error}") from error


def _missing(settings: Settings) -> Path | None:
    """The uppermost of the library's directories, or above them, that is not there."""
    for wanted in (settings.music, settings.data, settings.uploads, settings.tasks):
        for path in (*reversed(wanted.absolute().parents), wanted.absolute()):
            if not path.exists():
                return path
    return None
