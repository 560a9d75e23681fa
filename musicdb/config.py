"""What a program of MusicDB hands to the managers: its configuration and its database."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from attrs import field, fields, frozen

from ..music import Settings


def _path(value: str | os.PathLike[str]) -> Path:
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"a path is text or a Path, not {value!r}")
    return Path(value)


@frozen
class MusicDBConfig:
    """The configuration of MusicDB: its `musicdb.ini`.

    Raises:
        SettingsError: The file cannot be read, or a value in it cannot be used.
        TypeError: The path is none.
    """

    path: Path = field(converter=_path)
    settings: Settings = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "settings", Settings.from_file(self.path))


@frozen
class MusicDatabase:
    """Names the music database; the engine alone opens it."""

    path: Path = field(converter=_path)


def settings_of(config: Any, database: Any) -> Settings:
    """The settings that a manager was given.

    Args:
        config: A `MusicDBConfig`, `Settings`, a path, or the configuration object of MusicDB
            itself, which has its sections and their keys as attributes.
        database: None, a `MusicDatabase`, or a path.

    Raises:
        TypeError: One of the two is nothing of that kind.
        ValueError: The database is another one than that of the settings.
        SettingsError: A file or an object of settings cannot be used.
    """
    if isinstance(config, str | os.PathLike):
        config = MusicDBConfig(config)
    if isinstance(config, MusicDBConfig):
        config = config.settings
    if not isinstance(config, Settings):
        config = _of_object(config)
    if isinstance(database, str | os.PathLike):
        database = MusicDatabase(database)
    if database is not None and not isinstance(database, MusicDatabase):
        raise TypeError(f"database is None, a MusicDatabase, or a path, not {database!r}")
    if database and os.path.realpath(database.path) != os.path.realpath(config.database):
        raise ValueError(
            f"the tasks work on {config.database}, not on {database.path}: the database is "
            "music.db in the data directory of the settings"
        )
    return config


def _of_object(config: object) -> Settings:
    """The settings of an object that has sections, and their keys, as attributes."""
    directories = getattr(config, "directories", None)
    if not (hasattr(directories, "music") and hasattr(directories, "data")):
        raise TypeError(f"config is a MusicDBConfig, Settings, or a path, not {config!r}")
    places = [item.metadata["place"] for item in fields(Settings)]
    found = {
        (section, key): getattr(getattr(config, section, None), key, None)
        for section, key in places
    }
    texts = {place: _text(value, place[0]) for place, value in found.items() if value is not None}
    return Settings.from_texts(texts, type(config).__name__)


def _text(value: object, section: str) -> str:
    """A value as a `musicdb.ini` has it."""
    if isinstance(value, list | tuple | set | frozenset):
        return (" / " if section == "music" else ", ").join(map(str, value))
    return str(value)
