"""Music videos: which files are meant as such, and the paths they get."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from attrs import frozen

from ..errors import ExtraMissing, InvalidPath
from ..library import AlbumPath, check_video_extra, is_video, read_video, safe_video_path
from .artists import Artists
from .overrides import Overrides
from .sources import Source


@frozen
class VideoNames:
    """What is known of a video without a look into it."""

    artist: str | None
    year: int | None
    name: str


def is_music_video(source: Source, albums: Collection[AlbumPath], overrides: Overrides) -> bool:
    """Whether a file is a music video, and not a file of an album.

    It is a file of the album that is given, or that the songs near it (`albums`) all belong to.
    A given name is that of a video.
    """
    if not is_video(source.name) or overrides.album is not None:
        return False
    return overrides.name is not None or len(albums) != 1


def video_names(stem: str, overrides: Overrides) -> VideoNames:
    """What the options and the file's own name say of a video.

    The file may be called `{artist} - {name}`, `{year} - {name}` or `{artist} - {year} - {name}`.
    What the options say otherwise is not in the file's name: all of that is the video's then.
    """
    artist, year, name = overrides.artist, overrides.year, stem
    head, rest = _divided(name)
    if rest and not _is_year(head) and (artist is None or _letters(artist) == _letters(head)):
        artist, name = artist or head, rest
        head, rest = _divided(name)
    if rest and _is_year(head) and year in (None, int(head)):
        year, name = int(head), rest
    return VideoNames(artist, year, overrides.name or name)


def _divided(name: str) -> tuple[str, str]:
    """What stands before and after the first ` - `; nothing after it where one part is empty."""
    head, _, rest = (part.strip() for part in name.partition(" - "))
    return (head, rest) if head and rest else (name, "")


def _letters(name: str) -> str:
    """What two spellings of an artist share, as AC/DC, AC-DC and ACDC do."""
    return "".join(filter(str.isalnum, name.casefold())) or name


def _is_year(text: str) -> bool:
    return re.fullmatch("[0-9]{4}", text) is not None


def video_target(source: Source, overrides: Overrides, artists: Artists) -> str:
    """The path of a music video in the Music Directory.

    Raises:
        InvalidPath: It has none; the reason says what to give.
        ExtraMissing: Videos cannot be read here.
    """
    suffix = source.path.suffix
    names = video_names(source.name[: -len(suffix)], overrides)
    missing = [what for what in ("artist", "year") if getattr(names, what) is None]
    if names.artist is None or names.year is None:
        remedy = overrides.wording.give(missing)
        reason = f"as a music video it has no {', no '.join(missing)}: {remedy}"
        raise InvalidPath(source.name, reason)
    check_video_extra()
    try:
        path = safe_video_path(names.artist, names.year, names.name, suffix.removeprefix("."))
        return artists.of_video(path).path
    except InvalidPath as error:
        raise InvalidPath(error.path, f"{error.reason}: give --name") from error


def check_video(path: Path) -> None:
    """Raises MediaError unless it is a video that can be read; OSError where the disk cannot."""
    with path.open("rb") as file:
        read_video(file, path.name)


def no_extra(error: ExtraMissing) -> str:
    """Why a video is refused without the extra, with what to install."""
    return f"videos cannot be read here, {error}"
