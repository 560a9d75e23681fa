"""What a program of MusicDB hands to the managers: its configuration and its database."""

from __future__ import annotations

import os
from pathlib import Path

from attrs import field, frozen

from ..engine import Settings


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


def settings_of(
    config: MusicDBConfig | Settings | str | os.PathLike[str],
    database: MusicDatabase | str | os.PathLike[str] | None,
) -> Settings:
    """The settings that a manager was given.

    Raises:
        TypeError: One of the two is nothing of that kind.
        ValueError: The database is another one than that of the settings.
        SettingsError: A file of settings cannot be used.
    """
    if isinstance(config, str | os.PathLike):
        config = MusicDBConfig(config)
    settings = config.settings if isinstance(config, MusicDBConfig) else config
    if not isinstance(settings, Settings):
        raise TypeError(f"config is a MusicDBConfig, Settings, or a path, not {config!r}")
    if isinstance(database, str | os.PathLike):
        database = MusicDatabase(database)
    if database is not None and not isinstance(database, MusicDatabase):
        raise TypeError(f"database is None, a MusicDatabase, or a path, not {database!r}")
    if database and os.path.realpath(database.path) != os.path.realpath(settings.database):
        raise ValueError(
            f"the tasks work on {settings.database}, not on {database.path}: the database is "
            "music.db in the data directory of the settings"
        )
    return settings
