"""What a program of MusicDB hands to the managers: its configuration and its database."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol

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
        TypeError: The path is not one.
    """

    path: Path = field(converter=_path)
    settings: Settings = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "settings", Settings.from_file(self.path))


@frozen
class MusicDatabase:
    """Names the music database; the engine alone opens it."""

    path: Path = field(converter=_path)


class Sections(Protocol):
    """A configuration object of MusicDB's own: the sections are attributes, their keys theirs.

    It has at least `directories.music` and `directories.data`.
    """

    @property
    def directories(self) -> Any: ...


#: What managers take as configuration; see `settings_of`.
Config = MusicDBConfig | Settings | Sections | str | os.PathLike[str]
#: What managers take as database.
Database = MusicDatabase | str | os.PathLike[str] | None


def settings_of(config: Config, database: Database) -> Settings:
    """The settings that a manager was given.

    Args:
        config: A `MusicDBConfig`, `Settings`, the path of a `musicdb.ini`, or a configuration
            object of MusicDB's own. Of that all keys count that a `musicdb.ini` can have here;
            those that it lacks, or that are None, have our defaults.
        database: None, a `MusicDatabase`, or a path.

    Raises:
        TypeError: One of the two has another type.
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
    directories = getattr(config, "directories", None)
    if not (hasattr(directories, "music") and hasattr(directories, "data")):
        raise TypeError(
            "config is a MusicDBConfig, Settings, a path, or has directories.music and "
            f"directories.data, not {config!r}"
        )
    texts = {}
    for item in fields(Settings):
        section, key = item.metadata["place"]
        value = getattr(getattr(config, section, None), key, None)
        if value is not None:
            texts[section, key] = _text(value, separator="/" if section == "music" else ",")
    return Settings.from_texts(texts, f"the {type(config).__name__} given")


def _text(value: object, separator: str) -> str:
    """A value as a `musicdb.ini` has it: a list, and in a list width and height."""
    if isinstance(value, list | tuple | set | frozenset):
        return separator.join(
            "x".join(map(str, entry)) if isinstance(entry, tuple | list) else str(entry)
            for entry in value
        )
    return str(value)
