"""Where an upload would go: by its tags, by its annotations, or by what a person says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath

from attrs import evolve, frozen

from ..errors import InvalidPath, MediaError
from ..library import (
    AlbumPath,
    AudioFormats,
    check_album_file,
    is_video,
    read_song,
    safe_album_path,
    safe_name,
    safe_song_path,
    safe_video_path,
)
from ..music import Settings
from ..statemachine import MusicTask
from .artists import Artists
from .overrides import Overrides


@frozen(kw_only=True)
class Proposal:
    """What is known of an upload's place; a `target` where that is enough."""

    #: Relative to the Music Directory.
    target: str | None = None
    #: Why there is no target, or why it cannot be used.
    reason: str | None = None
    #: As the library spells the name, unless a person gave it.
    artist: str | None = None
    #: How the library spells it, where a person gave it otherwise.
    spelling: str | None = None
    album: str | None = None
    year: int | None = None
    #: Where the tags tell of a second one.
    disc: int | None = None
    number: int | None = None
    #: Of a song or a video; of any other file its name, without the extension.
    title: str | None = None


def propose(settings: Settings, task: MusicTask, overrides: Overrides | None = None) -> Proposal:
    """Where an upload in `readyforintegration` would go; reads it, changes nothing.

    Args:
        settings: Those of the library.
        task: The upload.
        overrides: What a person says; it counts more than tags and annotations.

    Raises:
        OSError: The upload cannot be read.
    """
    overrides = overrides or Overrides()
    if task.content_type == "album":
        return _album(settings, task, overrides)
    if task.content_type == "video":
        return _video(settings, task, overrides)
    if task.content_type == "albumfile":
        return _album_file(settings, task, overrides)
    return Proposal(reason="name the album, or the video, that it is for")


def propose_album(settings: Settings, overrides: Overrides, told: str | None = None) -> Proposal:
    """Where an album goes of which only this is known; `told` is its artist where none is given."""
    artist, spelling = _artist(settings, overrides, told)
    known = Proposal(artist=artist, spelling=spelling, album=overrides.album, year=overrides.year)
    return _targeted(known, lambda: _album_path(known, overrides).path)


def _artist(
    settings: Settings, overrides: Overrides, told: str | None
) -> tuple[str | None, str | None]:
    """The artist that counts, and how the library spells one that a person gave otherwise."""
    name = overrides.artist or told
    if not name:
        return None, None
    spelled = Artists(settings, Overrides()).of_name(name)
    if overrides.artist is None:
        return spelled, None
    return name, None if spelled == name else spelled


def placed(settings: Settings, target: str) -> str | None:
    """Why nothing can be put at a target because of what lies there; None where nothing does."""
    place = settings.music / target
    try:
        place.lstat()
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"its place cannot be read: {error.strerror}"
    return f"{target} is there already, and is never overwritten"


def _album(settings: Settings, task: MusicTask, overrides: Overrides) -> Proposal:
    overrides = evolve(
        overrides,
        album=overrides.album or _text(task, "album"),
        year=overrides.year or _year(task, "releaseyear"),
    )
    return propose_album(settings, overrides, _text(task, "artist"))


def _video(settings: Settings, task: MusicTask, overrides: Overrides) -> Proposal:
    artist, spelling = _artist(settings, overrides, _text(task, "artistname"))
    known = Proposal(
        artist=artist,
        spelling=spelling,
        year=overrides.year or _year(task, "release"),
        title=overrides.name or _text(task, "name"),
    )
    suffix = PurePosixPath(task.source_filename or "").suffix
    if not is_video(f"_{suffix}"):
        suffix = ".webm" if task.mime_type == "video/webm" else ".mp4"

    def target() -> str:
        artist, year, name = known.artist, known.year, known.title
        if not (artist and year and name):
            raise _missing(overrides, artist=artist, year=year, name=name)
        return safe_video_path(artist, year, name, suffix).path

    return _targeted(known, target)


def _album_file(settings: Settings, task: MusicTask, overrides: Overrides) -> Proposal:
    path = task.preprocessed_path or task.upload_path or ""
    name = PurePosixPath(task.source_filename or path).name
    formats = settings.formats
    if not formats.is_song(path):
        suffix = PurePosixPath(name).suffix
        known = Proposal(
            artist=overrides.artist,
            album=overrides.album,
            year=overrides.year,
            title=(overrides.name or name).removesuffix(suffix),
        )
        return _targeted(known, lambda: _beside_songs(known, suffix, overrides, formats))
    try:
        with (settings.uploads / path).open("rb") as file:
            tags = read_song(file, PurePosixPath(path).name, formats)
    except MediaError as error:
        return Proposal(reason=error.reason)
    artist, spelling = _artist(settings, overrides, tags.artist_of_album or tags.artist)
    known = Proposal(
        artist=artist,
        spelling=spelling,
        album=overrides.album or tags.album,
        year=overrides.year or tags.year,
        disc=(tags.disc or 1) if (tags.disc or 1) > 1 or (tags.disc_count or 1) > 1 else None,
        number=overrides.number or tags.number,
        title=overrides.name or tags.title,
    )
    suffix = PurePosixPath(path).suffix.removeprefix(".")
    return _targeted(known, lambda: _song(known, suffix, overrides))


def _song(known: Proposal, suffix: str, overrides: Overrides) -> str:
    album = _album_path(known, overrides)
    if not (known.number and known.title):
        raise InvalidPath("", "its tags have no track number, or no title: write the tags")
    return safe_song_path(album, known.disc, known.number, known.title, suffix).path


def _beside_songs(known: Proposal, suffix: str, overrides: Overrides, formats: AudioFormats) -> str:
    name = safe_name(known.title or "", suffix)
    target = f"{_album_path(known, overrides).path}/{name}"
    check_album_file(target, formats)
    return target


def _album_path(known: Proposal, overrides: Overrides) -> AlbumPath:
    artist, year, album = known.artist, known.year, known.album
    if not (artist and year and album):
        raise _missing(overrides, artist=artist, year=year, album=album)
    return safe_album_path(artist, year, album)


def _missing(overrides: Overrides, **needed: str | int | None) -> InvalidPath:
    names = [name for name, value in needed.items() if not value]
    return InvalidPath("", f"nothing tells {', '.join(names)}: {overrides.wording.give(names)}")


def _targeted(known: Proposal, target: Callable[[], str]) -> Proposal:
    try:
        return evolve(known, target=target())
    except InvalidPath as error:
        return evolve(known, reason=error.reason)


def _text(task: MusicTask, key: str) -> str | None:
    value = task.annotations.get(key)
    return value.strip() or None if isinstance(value, str) else None


def _year(task: MusicTask, key: str) -> int | None:
    value = str(task.annotations.get(key, ""))
    return int(value) if len(value) == 4 and value.isascii() and value.isdigit() else None
