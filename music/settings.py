"""The settings: what they are called, what they mean, and where they come from.

The file is MusicDB's own `musicdb.ini`, with one section more; docs/settings.md has a table.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Mapping
from configparser import ConfigParser, InterpolationError
from configparser import Error as ConfigError
from pathlib import Path
from typing import Any

from attrs import Attribute, field, fields, frozen

from ..engine import EngineSettings
from ..errors import SettingsError
from ..library.audio_formats import DOCUMENTED, EXTENSIONS, AudioFormats

_log = logging.getLogger(__name__)

#: The content types that a client may upload.
UPLOADABLE = frozenset({"video", "albumfile", "album", "artwork"})

_KIB = 1024
_GIB = 1024**3


def _whole(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise ValueError
    return int(text)


def _separated(separator: str) -> Callable[[str], list[str]]:
    """A parser of lists; empty entries do not count, so an empty text is an empty list."""

    def parse(text: str) -> list[str]:
        return [entry.strip() for entry in text.split(separator) if entry.strip()]

    return parse


def _whole_numbers(text: str) -> list[int]:
    return [_whole(entry) for entry in _separated(",")(text)]


def _resolution(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]{1,5})[x×]([0-9]{1,5})", text)
    if not match:
        raise ValueError
    return int(match[1]), int(match[2])


def _resolutions(text: str) -> list[tuple[int, int]]:
    return [_resolution(entry) for entry in _separated(",")(text)]


def _path(text: str) -> Path:
    if not text:
        raise ValueError
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # a "~name" that no user has
        raise ValueError from error


def _collected(kind: type) -> Callable[[Any], Any]:
    """A converter to `kind` that leaves a text as it is: one text is no list of them."""
    return lambda value: value if isinstance(value, str) else kind(value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_resolution(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(map(_is_whole, value))


def _is_duration(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e10


def _check(_instance: object, attribute: Attribute[Any], value: Any) -> None:
    """Refuses a value that the setting cannot have, wherever it comes from."""
    if not attribute.metadata["valid"](value):
        shown = ", ".join(sorted(map(str, value))) if isinstance(value, frozenset) else value
        raise _error(attribute, f"{shown!r} is not {attribute.metadata['expected']}")


def _error(attribute: Attribute[Any], reason: str, file: str | None = None) -> SettingsError:
    section, key = attribute.metadata["place"]
    return SettingsError(file, section, key, reason)


def _place(
    place: str, parse: Callable[[str], Any], valid: Callable[[Any], bool], expected: str
) -> dict[str, Any]:
    """What a field knows of its place in the file ("section key") and of what it may hold."""
    return {"place": tuple(place.split()), "parse": parse, "valid": valid, "expected": expected}


def _directory(value: str | os.PathLike[str]) -> Path:
    return Path(value).absolute()


def _directory_place(key: str) -> dict[str, Any]:
    return _place(f"directories {key}", _path, lambda p: "\0" not in str(p), "a directory's path")


def _setting(
    place: str,
    parse: Callable[[str], Any],
    valid: Callable[[Any], bool],
    expected: str,
    **options: Any,
) -> Any:
    return field(metadata=_place(place, parse, valid, expected), validator=_check, **options)


def _number(place: str, default: int) -> Any:
    expected = "a whole number, 1 or more"
    return _setting(place, _whole, _is_whole, expected, default=default)


def _size(place: str, default: int) -> Any:
    expected = "a number of bytes, 1 or more"
    return _setting(place, _whole, _is_whole, expected, default=default)


def _seconds(place: str, default: float) -> Any:
    expected = "a number of seconds, 0 or more"
    return _setting(place, float, _is_duration, expected, default=default)


def _names(place: str, default: frozenset[str]) -> Any:
    return _setting(
        place,
        _separated("/"),
        lambda names: isinstance(names, frozenset) and all(isinstance(name, str) for name in names),
        "a list of names, separated by ' / '",
        default=default,
        converter=_collected(frozenset),
    )


@frozen(kw_only=True)
class Settings:
    """Everything that can be set. All have defaults but the two directories.

    Sizes are bytes, durations seconds. Every value is checked, a `SettingsError` names the
    section and the key it has in the file. Settings are values: they compare and pickle, and
    `attrs.evolve` makes others of them. They do not look at the disk.
    """

    #: The Music Directory.
    music: Path = field(converter=_directory, validator=_check, metadata=_directory_place("music"))
    #: Where tasks, uploads, the database and the artwork are.
    data: Path = field(converter=_directory, validator=_check, metadata=_directory_place("data"))
    #: The content types that clients may upload; empty: uploads are off.
    allow: frozenset[str] = _setting(
        "uploads allow",
        _separated(","),
        lambda allow: isinstance(allow, frozenset) and allow <= UPLOADABLE,
        f"a list, separated by commas, of {', '.join(sorted(UPLOADABLE))}",
        default=UPLOADABLE,
        converter=_collected(frozenset),
    )
    ignore_artists: frozenset[str] = _names("music ignoreartists", frozenset({"lost+found"}))
    ignore_albums: frozenset[str] = _names("music ignorealbums", frozenset())
    ignore_songs: frozenset[str] = _names(
        "music ignoresongs",
        frozenset({".directory", "desktop.ini", "Desktop.ini", ".DS_Store", "Thumbs.db", "README"}),
    )
    #: Edge lengths, in pixels, that artwork is scaled to.
    artwork_scales: tuple[int, ...] = _setting(
        "albumcover scales",
        _whole_numbers,
        lambda scales: isinstance(scales, tuple) and all(map(_is_whole, scales)),
        "a list of numbers of pixels, separated by commas",
        default=(150, 200, 500, 1000),
        converter=_collected(tuple),
    )
    #: How many frames are taken of a video.
    video_frames: int = _number("videoframes frames", 5)
    #: Width and height, in pixels, that frames are scaled to.
    video_scales: tuple[tuple[int, int], ...] = _setting(
        "videoframes scales",
        _resolutions,
        lambda scales: isinstance(scales, tuple) and all(map(_is_resolution, scales)),
        "a list of WIDTHxHEIGHT in pixels, separated by commas",
        default=((150, 83),),
        converter=_collected(tuple),
    )
    #: How long the animation of a video's frames runs, in seconds.
    video_preview_length_s: float = _seconds("videoframes previewlength", 3)

    #: The most bytes that a chunk request asks for.
    chunk_size: int = _size("tasks chunksize", 400 * _KIB)
    max_upload_size_bytes: int = _size("tasks maxuploadsize", 4 * _GIB)
    #: A task that waits so long for a client without activity is removed.
    max_age_s: float = _seconds("tasks maxage", 24 * 3600)
    #: How long a finished task stays listed.
    keep_finished_s: float = _seconds("tasks keepfinished", 60)
    #: How long a failed task stays, for a look or a `retry`.
    keep_failed_s: float = _seconds("tasks keepfailed", 24 * 3600)
    #: How long a stopping engine waits for the work under way.
    stop_timeout_s: float = _seconds("tasks stoptimeout", 10)
    #: How often a stage is begun, crashes counted, before it has failed.
    attempts: int = _number("tasks attempts", 3)
    #: How many handlers work side by side.
    workers: int = _number("tasks workers", os.cpu_count() or 1)
    #: "fsync": a state that anybody was told of outlives a power cut. "none": it may not.
    durability: str = _setting(
        "tasks durability",
        str,
        lambda value: value in ("fsync", "none"),
        "'fsync' or 'none'",
        default="fsync",
    )
    #: The most bytes that an archive may hold, unpacked.
    archive_size_bytes: int = _size("tasks archivesize", 4 * _GIB)
    #: The most files that an archive may hold.
    archive_files: int = _number("tasks archivefiles", 2000)
    #: The most bytes that one byte of an archive may unpack to.
    archive_ratio: int = _number("tasks archiveratio", 100)
    #: The most bytes of an image file.
    image_size_bytes: int = _size("tasks imagesize", 20 * 1000 * 1000)
    #: The most pixels of an image.
    image_pixels: int = _number("tasks imagepixels", 25 * 1000 * 1000)
    #: The kinds of audio that are songs. A MusicDB server reads no others than the default ones.
    audio_formats: frozenset[str] = _setting(
        "tasks audioformats",
        lambda text: [name.lower() for name in _separated(",")(text)],
        lambda names: isinstance(names, frozenset) and bool(names) and names <= EXTENSIONS.keys(),
        f"a list, separated by commas, of {', '.join(EXTENSIONS)}",
        default=DOCUMENTED,
        converter=_collected(frozenset),
    )

    @property
    def formats(self) -> AudioFormats:
        """Which files are songs."""
        return AudioFormats(self.audio_formats)

    @property
    def engine(self) -> EngineSettings:
        """What of it the engine of the tasks needs."""
        names = [item.name for item in fields(EngineSettings)]
        return EngineSettings(**{name: getattr(self, name) for name in names})

    @property
    def durable(self) -> bool:
        """Whether what is saved is made to outlive a power cut."""
        return self.durability == "fsync"

    @property
    def uploads(self) -> Path:
        """The Upload Directory."""
        return self.data / "uploads"

    @property
    def tasks(self) -> Path:
        """Where each task has its file."""
        return self.data / "tasks"

    @property
    def database(self) -> Path:
        return self.data / "music.db"

    @property
    def ledger(self) -> Path:
        """What stands in the Music Directory, with checksums; `verify --anew` makes it again."""
        return self.data / "ledger.db"

    @property
    def scan_cache(self) -> Path:
        """The checksums of files that the database does not know; may be deleted at any time."""
        return self.data / "scancache.db"

    @property
    def known_files(self) -> Path:
        """What was found in files that were given; may be deleted at any time."""
        return self.data / "knownfiles.db"

    @property
    def artwork(self) -> Path:
        return self.data / "webdata" / "artwork"

    @property
    def video_frames_root(self) -> Path:
        return self.data / "webdata" / "videoframes"

    @property
    def owner_file(self) -> Path:
        """Says who works on the tasks, for people; the lock is on the directory itself."""
        return self.data / "tasks.owner.json"

    @classmethod
    def in_directory(cls, directory: str | os.PathLike[str], **overrides: Any) -> Settings:
        """The defaults, with the music in `directory/music` and all else in `directory/data`.

        Raises:
            SettingsError: A value of `overrides` cannot be used.
        """
        root = Path(directory)
        return cls(**{"music": root / "music", "data": root / "data", **overrides})

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], **overrides: Any) -> Settings:
        """The settings of a `musicdb.ini`; `overrides` count more than the file.

        Relative directories are relative to the file's. Sections that are not ours, and other
        keys in MusicDB's sections, are ignored. `%(name)s` in a value is another value of its
        section or of `[DEFAULT]`, `%%` a percent sign. A content type in `[uploads] allow` that is
        unknown here is logged and left out.

        Raises:
            SettingsError: The file cannot be read, or a value in it cannot be used, or
                `[tasks]` holds a key that nobody knows: with file, section and key.
        """
        parser = _read(Path(path))
        settings = {item.metadata["place"]: item for item in fields(cls)}
        for key in parser["tasks"] if parser.has_section("tasks") else ():
            if ("tasks", key) not in settings and key not in parser.defaults():
                known = ", ".join(key for section, key in settings if section == "tasks")
                reason = f"there is no such setting; there are {known}"
                raise SettingsError(str(path), "tasks", key, reason)
        texts = {
            place: _interpolated(item, parser, str(path))
            for place, item in settings.items()
            if item.name not in overrides and parser.has_option(*place)
        }
        return cls.from_texts(texts, str(path), **overrides)

    @classmethod
    def from_texts(
        cls, texts: Mapping[tuple[str, str], str], where: str, **overrides: Any
    ) -> Settings:
        """The settings of texts by section and key, as a `musicdb.ini` has them.

        Args:
            texts: Those that are set; sections and keys that are not ours are ignored.
            where: Where they come from, for errors: a file, to whose directory relative ones are.
            overrides: Values that count more, by their Python names.

        Raises:
            SettingsError: A value cannot be used, or a directory is missing.
        """
        values = {
            item.name: _parsed(item, texts[item.metadata["place"]], where)
            for item in fields(cls)
            if item.name not in overrides and item.metadata["place"] in texts
        }
        if "allow" in values:
            values["allow"] = _known_types(values["allow"], where)
        for directory in {"music", "data"} - values.keys() - overrides.keys():
            raise SettingsError(where, "directories", directory, "is missing")
        try:
            return cls(**(values | overrides))
        except SettingsError as error:
            raise SettingsError(where, error.section, error.key, error.reason) from None


def _read(path: Path) -> ConfigParser:
    parser = ConfigParser()
    try:
        parser.read_string(path.read_text(encoding="utf-8-sig"), str(path))
    except (OSError, UnicodeDecodeError, ConfigError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).replace("\n", " ")
        raise SettingsError(str(path), "", "", f"cannot be read: {reason}") from error
    return parser


def _interpolated(item: Attribute[Any], parser: ConfigParser, file: str) -> str:
    try:
        return parser.get(*item.metadata["place"])
    except InterpolationError as error:
        text = parser.get(*item.metadata["place"], raw=True)
        detail = str(error).partition(" Raw value")[0].rstrip(".")
        reason = f"{text!r} cannot be interpolated: {detail}; a percent sign is written '%%'"
        raise _error(item, reason, file) from None


def _known_types(allow: list[str], file: str) -> list[str]:
    """Without those of later versions of MusicDB, or misspelled."""
    unknown = sorted(set(allow) - UPLOADABLE)
    if unknown:
        _log.warning(
            "%s: [uploads] allow: unknown here and left out: %s (known are %s)",
            file, ", ".join(unknown), ", ".join(sorted(UPLOADABLE)),
        )  # fmt: skip
    return [content_type for content_type in allow if content_type in UPLOADABLE]


def _parsed(item: Attribute[Any], text: str, file: str) -> Any:
    try:
        value = item.metadata["parse"](text)
    except ValueError:
        reason = f"{text!r} is not {item.metadata['expected']}"
        raise _error(item, reason, file) from None
    return Path(file).parent / value if isinstance(value, Path) else value
