"""What clients name: targets and sources, checked before anything is done with them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any

from ..errors import InvalidPath
from ..files import Directory, check_relative
from ..library import (
    MusicDirectory,
    check_video_extra,
    is_video,
    parse_album,
    parse_video,
    safe_album_path,
    safe_video_path,
)
from ..statemachine import ArtworkSource, MusicTask

IMAGE_EXTENSIONS = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp"})


def of_album_file(target: str, music: MusicDirectory) -> dict[str, Any]:
    """The changes for the integration of an album file to `target`."""
    check_relative(target)
    return {"album_file_path": target, "album_path": music.check_target(target).path}


def of_upload(task: MusicTask, target: str | None, music: MusicDirectory) -> dict[str, Any]:
    """The changes for the integration of an upload to `target`.

    Where that is None, the annotations of an album or a video say where it goes.

    Raises:
        InvalidPath: The target is none for such an upload, or the annotations are not enough.
    """
    if task.content_type == "album":
        target = _of_album_annotations(task) if target is None else target
        check_relative(target)
        return {"album_path": music.check_target_album(target).path}
    if task.content_type == "video":
        target = _of_video_annotations(task) if target is None else target
        check_relative(target)
        music.check_target_video(target)
        return {"video_path": target}
    if target is None:
        raise InvalidPath("", "name one: an album file needs it")
    return of_album_file(target, music)


def _of_video_annotations(task: MusicTask) -> str:
    artist, year, name = _annotated(task, "artistname", "release", "name")
    extension = PurePosixPath(task.source_filename or "").suffix
    if not is_video(f"_{extension}"):
        extension = ".webm" if task.mime_type == "video/webm" else ".mp4"
    return safe_video_path(artist, year, name, extension).path


def _of_album_annotations(task: MusicTask) -> str:
    """The path of an album whose songs agree on artist, year and name, or that a person named."""
    artist, year, name = _annotated(task, "artist", "releaseyear", "album")
    return safe_album_path(artist, year, name).path


def _annotated(task: MusicTask, artist: str, year: str, name: str) -> tuple[str, int, str]:
    found = {key: task.annotations.get(key, "") for key in (artist, year, name)}
    texts = (found[artist], found[name])
    release = str(found[year])
    if not all(isinstance(text, str) and text.strip() for text in texts) or not re.fullmatch(
        "[0-9]{4}", release
    ):
        needed = f"{artist}, {year} (4 digits) and {name}"
        known = ", ".join(f"{key}: {str(value)[:60]!r}" for key, value in found.items())
        raise InvalidPath("", f"name one, or annotate {needed} first (there are {known})")
    return str(texts[0]), int(release), str(texts[1])


@contextmanager
def _readable(path: str) -> Iterator[None]:
    """What the disk refuses is InvalidPath, too, with its reason."""
    try:
        yield
    except OSError as error:
        raise InvalidPath(path, f"it cannot be read: {disk_reason(error)}") from error


def disk_reason(error: OSError | InvalidPath) -> str:
    """What the disk said, of which file, as people say it."""
    if isinstance(error, InvalidPath):
        return str(error)
    named = f" ({error.filename})" if isinstance(error.filename, str) else ""
    return f"{error.strerror or error}{named}"


def of_import(content_type: str, path: str, music: MusicDirectory) -> dict[str, Any]:
    """The changes for the import of the album or video at `path`, which must be there."""
    check_relative(path)
    with _readable(path):
        if content_type == "video":
            check_video_extra()
            return {"video_path": _video_there(path, music)}
        parse_album(path)
        music.check_album(path)
        return {"album_path": path}


def of_uploaded_artwork(
    task: MusicTask, target: str | None, music: MusicDirectory
) -> dict[str, Any]:
    """The changes for artwork from an upload, for the album or video at `target`."""
    if target is None:
        raise InvalidPath("", "name the album's or the video's")
    return {
        **_of_artwork_target(target, music),
        "artwork_source_type": ArtworkSource.IMAGEFILE.value,
        "artwork_source_path": task.preprocessed_path or task.upload_path,
    }


def of_image(source: str, target: str, music: MusicDirectory, uploads: Directory) -> dict[str, Any]:
    """The changes for artwork from an image in the Upload Directory, for what is at `target`."""
    check_relative(source)
    if PurePosixPath(source).suffix.lower() not in IMAGE_EXTENSIONS:
        raise InvalidPath(source, "artwork comes from an image, of an upload")
    with _readable(source):
        if not uploads.is_file(source):
            raise InvalidPath(source, "there is no such file in the Upload Directory")
    kind = ArtworkSource.IMAGEFILE.value
    return {**_of_artwork_target(target, music), "artwork_source_type": kind}


def read_image(source: str, uploads: Directory, most_bytes: int) -> bytes:
    """The content of a file in the Upload Directory; InvalidPath where it cannot be had."""
    with _readable(source), uploads.open(source) as image:
        data = image.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise InvalidPath(source, f"it has more than the {most_bytes} bytes of [tasks] imagesize")
    return data


def of_artwork(source: str, target: str, music: MusicDirectory) -> dict[str, Any]:
    """The changes for artwork from `source` in the Music Directory, for what is at `target`."""
    check_relative(source)
    changes = _of_artwork_target(target, music)
    if music.formats.is_song(source):
        kind = ArtworkSource.SONGFILE
    elif PurePosixPath(source).suffix.lower() in IMAGE_EXTENSIONS:
        kind = ArtworkSource.IMAGEFILE
    elif is_video(source) and "video_path" in changes:
        check_video_extra()
        kind = ArtworkSource.VIDEOFILE
    elif is_video(source):
        raise InvalidPath(source, "the artwork of an album comes from a song or an image")
    else:
        raise InvalidPath(source, "artwork comes from a song, an image or a video")
    with _readable(source):
        is_there = music.directory.is_file(source)
    if not is_there:
        raise InvalidPath(source, "there is no such file in the Music Directory")
    return {**changes, "artwork_source_type": kind.value, "artwork_source_path": source}


def _of_artwork_target(target: str, music: MusicDirectory) -> dict[str, Any]:
    check_relative(target)
    with _readable(target):
        is_directory = music.directory.is_directory(target)
        if is_video(target) and not is_directory:
            return {"video_path": _video_there(target, music)}
    parse_album(target)
    if not is_directory:
        raise InvalidPath(target, "there is no such album in the Music Directory")
    return {"album_path": target}


def _video_there(path: str, music: MusicDirectory) -> str:
    parse_video(path)
    if not music.directory.is_file(path):
        raise InvalidPath(path, "there is no such video in the Music Directory")
    return path
